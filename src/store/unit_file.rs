//! Unit files that rivetr wrote: the digests of their texts, so that what somebody changed by hand is known.

use rusqlite::Row;

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::writer::Writer;
use crate::domain::drift::{Kept, TextDigest, Verdict, WrittenUnit};

/// How a digest comes out of a column.
type Bytes = Option<[u8; 32]>;

impl Writer {
    /// Says that a file is about to be written over what is there, which is rivetr's own.
    pub async fn expect_unit(
        &self,
        owner: String,
        path: String,
        before: Option<TextDigest>,
        coming: TextDigest,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute(
                "INSERT INTO unit_file (path, owner, written, coming) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (path) DO UPDATE SET owner = ?2, written = ?3, coming = ?4, kept = NULL, \
                 kept_there = NULL, kept_wanted = NULL",
                (path, owner, before.map(|before| before.0), coming.0),
            )?;
            Ok(())
        })
        .await
    }

    /// Says that what was about to be written is.
    pub async fn unit_written(&self, path: String) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE unit_file SET written = coming, coming = NULL \
                       WHERE path = ?1 AND coming IS NOT NULL";
            tx.execute(sql, [path])?;
            Ok(())
        })
        .await
    }

    /// Takes files of an owner for written as they are, and forgets others.
    pub async fn note_units(
        &self,
        owner: String,
        there: Vec<(String, TextDigest)>,
        gone: Vec<String>,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            for (path, digest) in &there {
                let sql = "INSERT OR IGNORE INTO unit_file (path, owner, written) VALUES (?1, ?2, ?3)";
                tx.execute(sql, (path, &owner, digest.0))?;
            }
            for path in &gone {
                tx.execute("DELETE FROM unit_file WHERE path = ?1", [path])?;
            }
            Ok(())
        })
        .await
    }

    /// Forgets a file.
    pub async fn forget_unit(&self, path: String) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("DELETE FROM unit_file WHERE path = ?1", [path])?;
            Ok(())
        })
        .await
    }

    /// Stores that a changed file stays as it is.
    pub async fn keep_unit(&self, path: String, verdict: Verdict) -> Result<(), StoreError> {
        let Verdict { kept, there, wanted } = verdict;
        self.write(move |tx| {
            tx.execute(
                "UPDATE unit_file SET kept = ?2, kept_there = ?3, kept_wanted = ?4 WHERE path = ?1",
                (path, kept.as_str(), there.map(|there| there.0), wanted.map(|wanted| wanted.0)),
            )?;
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// What is known of the files of an owner, by path.
    pub async fn unit_files(&self, owner: &str) -> Result<Vec<WrittenUnit>, StoreError> {
        let owner = owner.to_owned();
        self.read(move |tx| {
            row::all(tx, "SELECT * FROM unit_file WHERE owner = ?1 ORDER BY path", [owner], read)
        })
        .await
    }

    /// What is known of one file.
    pub async fn unit_file(&self, path: &str) -> Result<Option<WrittenUnit>, StoreError> {
        let path = path.to_owned();
        self.read(move |tx| row::first(tx, "SELECT * FROM unit_file WHERE path = ?1", [path], read)).await
    }

    /// What is known of every file, by owner and path.
    pub async fn every_unit_file(&self) -> Result<Vec<WrittenUnit>, StoreError> {
        self.read(|tx| row::all(tx, "SELECT * FROM unit_file ORDER BY owner, path", [], read)).await
    }
}

fn read(row: &Row<'_>) -> Result<WrittenUnit, StoreError> {
    let digest =
        |column: &'static str| Ok::<_, StoreError>(row::number::<Bytes>(row, column)?.map(TextDigest));
    let kept = row::maybe_parsed(row, "kept", row::word(Kept::parse))?;
    let (there, wanted) = (digest("kept_there")?, digest("kept_wanted")?);
    Ok(WrittenUnit {
        path: row::number(row, "path")?,
        owner: row::number(row, "owner")?,
        written: digest("written")?,
        coming: digest("coming")?,
        verdict: kept.map(|kept| Verdict { kept, there, wanted }),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;
    use crate::domain::drift::Change;

    #[tokio::test]
    async fn what_was_written_is_known_until_it_is_forgotten() {
        let store = Fixture::new();
        let (owner, path) = ("app-blog", "app-blog/rivetr-app-blog-1.container");
        let [one, two, three] = [1, 2, 3].map(|of| TextDigest([of; 32]));
        let known = async || store.reader.unit_file(path).await.unwrap();
        let expect = async |before, coming| {
            store.writer.expect_unit(owner.to_owned(), path.to_owned(), before, coming).await.unwrap();
        };
        assert_eq!(known().await, None);
        expect(None, one).await;
        assert_eq!(known().await.unwrap().change(None), None);
        store.writer.unit_written(path.to_owned()).await.unwrap();
        let found = known().await.unwrap();
        assert_eq!(
            (found.written, found.coming, found.change(None)),
            (Some(one), None, Some(Change::Removed))
        );

        let verdict = Verdict { kept: Kept::Adopted, there: Some(three), wanted: None };
        store.writer.keep_unit(path.to_owned(), verdict).await.unwrap();
        assert_eq!(known().await.unwrap().settled(Some(three), None), Some(Kept::Adopted));
        expect(Some(one), two).await;
        let found = known().await.unwrap();
        assert_eq!((found.verdict, found.change(Some(one)), found.change(Some(two))), (None, None, None));

        let more = vec![(path.to_owned(), three), ("rivetr-app-blog.target".to_owned(), three)];
        store.writer.note_units(owner.to_owned(), more, vec![]).await.unwrap();
        let all = store.reader.unit_files(owner).await.unwrap();
        assert_eq!(all, store.reader.every_unit_file().await.unwrap());
        assert_eq!(all.iter().map(|unit| unit.written).collect::<Vec<_>>(), [Some(one), Some(three)]);
        let gone = vec!["rivetr-app-blog.target".to_owned()];
        store.writer.note_units(owner.to_owned(), vec![], gone).await.unwrap();
        store.writer.forget_unit(path.to_owned()).await.unwrap();
        assert_eq!(store.reader.unit_files(owner).await.unwrap(), []);
    }
}
