//! All that is sealed in the database, sealed anew in one transaction: for a change of the master key.
//!
//! [`COLUMNS`] lists every column that holds sealed bytes; a table that gets one is added there. It cannot open
//! anything: what is to become of a value is said by whoever has the keys.

use rusqlite::{OptionalExtension, Transaction};

use super::error::StoreError;
use super::writer::Writer;
use super::{settings, source};
use crate::domain::app::Settings;
use crate::domain::mount::MountedFile;
use crate::domain::secret::Sealed;
use crate::domain::source::{GitAccess, GitSource, Source};
use crate::domain::variable::Variable;

/// A column of sealed bytes.
struct Column {
    table: &'static str,
    name: &'static str,
    /// The place its values are sealed for, in SQL.
    place: &'static str,
}

const COLUMNS: [Column; 16] = [
    Column { table: "key", name: "private", place: "'key/' || name" },
    Column { table: "database", name: "password", place: "'database/' || volume" },
    Column { table: "database", name: "root_password", place: "'database/' || volume" },
    Column { table: "variable", name: "value", place: "'env/' || key" },
    Column {
        table: "webhook",
        name: "sealed",
        place: "'webhook/' || ifnull(app, 'service-' || service) || '/' || provider",
    },
    Column { table: "mounted_file", name: "content", place: "'file/' || path" },
    Column { table: "registry", name: "password", place: "'registry/' || host" },
    Column { table: "acme_account", name: "key", place: "'acme-account/' || directory" },
    Column { table: "acme_account", name: "next", place: "'acme-account/' || directory" },
    Column { table: "backup_destination", name: "secret", place: "'backup-destination/' || name" },
    Column { table: "backup_key", name: "secret", place: "'backup-key/' || recipient" },
    Column { table: "certificate", name: "key", place: "'certificate/' || name" },
    Column { table: "own_certificate", name: "key", place: "'own-certificate/' || name" },
    Column { table: "revision", name: "content", place: "'revision/' || service || '/' || number" },
    Column { table: "service", name: "variables", place: "'service-variables/' || id" },
    Column { table: "user", name: "totp", place: "'totp/' || id" },
];

/// What became of the sealed values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// How many were sealed anew.
    pub values: usize,
    /// Those that could not be opened, as `blog, deployment 7: env/TOKEN`; they are as they were.
    pub left: Vec<String>,
}

impl Writer {
    /// Hands each sealed value with its place to `reseal` and stores what it gives; none: it could not be opened.
    /// All or nothing, and can be done twice.
    pub async fn reseal<E, F>(&self, mut reseal: F) -> Result<Resealed, E>
    where
        E: From<StoreError> + Send + 'static,
        F: FnMut(&str, &Sealed) -> Result<Option<Sealed>, E> + Send + 'static,
    {
        self.write(move |tx| {
            let mut done = Resealed::default();
            let mut each = |whose: &str, place: &str, sealed: &mut Sealed| -> Result<(), E> {
                match reseal(place, sealed)? {
                    Some(anew) => {
                        *sealed = anew;
                        done.values += 1;
                    }
                    None => done.left.push(format!("{whose}: {place}")),
                }
                Ok(())
            };
            for column in &COLUMNS {
                of_column(tx, column, &mut each)?;
            }
            of_sources(tx, "app", &mut each)?;
            of_sources(tx, "service", &mut each)?;
            of_deployments(tx, &mut each)?;
            Ok(done)
        })
        .await
    }
}

/// One row after the other: all of them at once may be more than the memory.
fn of_column<E: From<StoreError>>(
    tx: &Transaction<'_>,
    Column { table, name: column, place }: &Column,
    each: &mut impl FnMut(&str, &str, &mut Sealed) -> Result<(), E>,
) -> Result<(), E> {
    let select = format!(
        "SELECT rowid, {place}, {column} FROM {table} WHERE rowid > ?1 AND {column} IS NOT NULL ORDER BY rowid LIMIT 1"
    );
    let update = format!("UPDATE {table} SET {column} = ?2 WHERE rowid = ?1");
    let mut last = 0_i64;
    while let Some((id, place, bytes)) = next::<Vec<u8>>(tx, &select, last)? {
        let mut sealed = Sealed(bytes);
        each(table, &place, &mut sealed)?;
        tx.execute(&update, (id, sealed.0)).map_err(StoreError::from)?;
        last = id;
    }
    Ok(())
}

/// The tokens of apps and of services for their repositories.
fn of_sources<E: From<StoreError>>(
    tx: &Transaction<'_>,
    table: &'static str,
    each: &mut impl FnMut(&str, &str, &mut Sealed) -> Result<(), E>,
) -> Result<(), E> {
    let select = format!(
        "SELECT id, slug, source FROM {table} WHERE id > ?1 AND source IS NOT NULL ORDER BY id LIMIT 1"
    );
    let update = format!("UPDATE {table} SET source = ?2 WHERE id = ?1");
    let mut last = 0_i64;
    while let Some((id, slug, json)) = next::<String>(tx, &select, last)? {
        let mut source = source::from_json(&json)?;
        if let Source::Git(GitSource { url, access: GitAccess::Token { token, .. }, .. }) = &mut source {
            each(&slug, &url.token_place(&format!("{table}/{slug}")), token)?;
            let json = source::to_json(&source)?;
            tx.execute(&update, (id, json)).map_err(StoreError::from)?;
        }
        last = id;
    }
    Ok(())
}

/// The copies that deployments keep of their settings.
fn of_deployments<E: From<StoreError>>(
    tx: &Transaction<'_>,
    each: &mut impl FnMut(&str, &str, &mut Sealed) -> Result<(), E>,
) -> Result<(), E> {
    let select = "SELECT deployment.id, slug || ', deployment ' || number, deployment.settings FROM deployment \
                  JOIN app ON app.id = deployment.app WHERE deployment.id > ?1 ORDER BY deployment.id LIMIT 1";
    let mut last = 0_i64;
    while let Some((id, whose, json)) = next::<String>(tx, select, last)? {
        let mut settings = settings::from_json(&json)?;
        let Settings {
            port: _,
            variables,
            files,
            health: _,
            runtime: _,
            build: _,
            replicas: _,
            commands: _,
            rollback_window: _,
            linked: _,
        } = &mut settings;
        for Variable { key, value, .. } in &mut *variables {
            each(&whose, &Variable::place(key), value)?;
        }
        for MountedFile { path, content } in &mut *files {
            each(&whose, &MountedFile::place(path), content)?;
        }
        if !(variables.is_empty() && files.is_empty()) {
            let json = settings::to_json(&settings)?;
            tx.execute("UPDATE deployment SET settings = ?2 WHERE id = ?1", (id, json))
                .map_err(StoreError::from)?;
        }
        last = id;
    }
    Ok(())
}

fn next<T: rusqlite::types::FromSql>(
    tx: &Transaction<'_>,
    select: &str,
    after: i64,
) -> Result<Option<(i64, String, T)>, StoreError> {
    let mut statement = tx.prepare_cached(select)?;
    let found = statement.query_row([after], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    Ok(found.optional()?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;
    use crate::domain::mount::MountPath;
    use crate::domain::name::EnvKey;
    use crate::domain::source::{Branch, GitUrl, Reference, TokenUser};
    use crate::domain::variable::{NewVariable, Owner};

    #[tokio::test]
    async fn every_sealed_value_is_reached_with_its_place() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let mark = || Sealed(b"sealed with the old key".to_vec());
        let new = |key: &str| NewVariable {
            key: EnvKey::parse(key).unwrap(),
            value: mark(),
            secret: None,
            usage: None,
        };
        store.writer.set_variables(&Owner::App(app.id), vec![new("OWN")], true).await.unwrap();
        let shared = Owner::Project(app.project.slug.clone());
        store.writer.set_variables(&shared, vec![new("SHARED")], true).await.unwrap();
        let file = MountedFile { path: MountPath::parse("/f").unwrap(), content: mark() };
        store.writer.set_file(app.id, file).await.unwrap();
        let url = GitUrl::parse("https://git.example.org/blog.git").unwrap();
        let git = GitSource::new(url, Reference::Branch(Branch::parse("main").unwrap()));
        let access = GitAccess::Token { user: TokenUser::parse("git").unwrap(), token: mark() };
        store.writer.set_source(app.id, Source::Git(GitSource { access, ..git })).await.unwrap();
        let deployment = store.enqueue(&app).await;

        let (tell, told) = std::sync::mpsc::channel();
        let done = store
            .writer
            .reseal(move |place, sealed| {
                tell.send(place.to_owned()).unwrap();
                let anew = Sealed([b"new:", sealed.0.get(..3).unwrap_or_default()].concat());
                Ok::<_, StoreError>((place != "env/SHARED").then_some(anew))
            })
            .await
            .unwrap();
        let mut places: Vec<String> = told.iter().collect();
        places.sort();
        let token = "app/blog/git-token/https://git.example.org";
        assert_eq!(places, [token, "env/OWN", "env/OWN", "env/SHARED", "env/SHARED", "file//f", "file//f"]);
        assert_eq!(done.values, 5);
        assert_eq!(done.left, ["variable: env/SHARED", "blog, deployment 1: env/SHARED"]);
        let kept = store.reader.deployment(deployment.id).await.unwrap().unwrap().settings;
        assert_eq!(kept.variables[0].value, Sealed(b"new:sea".to_vec()));
        assert_eq!(
            (&kept.variables[1].value, &kept.files[0].content),
            (&mark(), &Sealed(b"new:sea".to_vec()))
        );
    }

    #[tokio::test]
    async fn an_error_leaves_everything_as_it_was() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        store.enqueue(&app).await;
        let before = store.reader.variables(&Owner::App(app.id)).await.unwrap();
        let mut count = 0;
        let broken = store.writer.reseal(move |_, _| {
            count += 1;
            if count == 2 { Err(StoreError::Locked) } else { Ok(Some(Sealed(vec![]))) }
        });
        assert!(broken.await.is_err());
        assert_eq!(store.reader.variables(&Owner::App(app.id)).await.unwrap(), before);
    }

    /// A column that is forgotten here would be unreadable after a change of the key.
    #[tokio::test]
    async fn every_column_of_bytes_is_known() {
        let store = Fixture::new();
        let found = store
            .reader
            .read(|tx| {
                super::super::row::all(
                    tx,
                    "SELECT m.name || '.' || c.name AS name FROM sqlite_schema m \
                     JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND c.type = 'BLOB' ORDER BY 1",
                    [],
                    |row| super::super::row::number::<String>(row, "name"),
                )
            })
            .await
            .unwrap();
        let mut known: Vec<String> =
            COLUMNS.iter().map(|one| format!("{}.{}", one.table, one.name)).collect();
        // Digests and what others sent, which no key opens.
        let open = [
            "audit.hash",
            "audit_start.hash",
            "backup.sha256",
            "invitation.hash",
            "recovery_code.hash",
            "reset_link.hash",
            "session.hash",
            "setup_link.hash",
            "token.hash",
            "unit_file.coming",
            "unit_file.kept_there",
            "unit_file.kept_wanted",
            "unit_file.written",
            "webhook.hash",
            "webhook_delivery.body",
            "webhook_delivery.body_hash",
        ];
        known.extend(open.map(str::to_owned));
        known.sort();
        assert_eq!(found, known);
    }
}
