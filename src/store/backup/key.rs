//! The keys that open backups.

use rusqlite::Row;

use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::row;
use super::super::writer::Writer;
use crate::domain::secret::Sealed;
use crate::domain::time::Timestamp;

/// A key that opens backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupKey {
    /// For whom files are sealed that it opens: `age1…`.
    pub recipient: String,
    /// The key itself, sealed.
    pub secret: Sealed,
    /// When it was made.
    pub created: Timestamp,
}

impl BackupKey {
    /// What it is sealed for.
    #[must_use]
    pub fn place(recipient: &str) -> String {
        format!("backup-key/{recipient}")
    }
}

impl Writer {
    /// Keeps a key, which is the newest from then on; one that is there stays as it is.
    pub async fn add_backup_key(&self, key: BackupKey) -> Result<(), StoreError> {
        let BackupKey { recipient, secret, created } = key;
        self.write(move |tx| {
            tx.execute(
                "INSERT OR IGNORE INTO backup_key (recipient, secret, created) VALUES (?1, ?2, ?3)",
                (recipient, secret.0, created.0),
            )?;
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// Every key, newest first.
    pub async fn backup_keys(&self) -> Result<Vec<BackupKey>, StoreError> {
        self.read(|tx| row::all(tx, "SELECT * FROM backup_key ORDER BY id DESC", [], read)).await
    }
}

fn read(row: &Row<'_>) -> Result<BackupKey, StoreError> {
    Ok(BackupKey {
        recipient: row::number(row, "recipient")?,
        secret: Sealed(row::number(row, "secret")?),
        created: row::time(row, "created")?,
    })
}
