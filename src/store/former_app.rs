//! Whose an app or a service was that is gone: its volumes may be here still.

use rusqlite::Transaction;

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::volume::VolumeOf;

impl Reader {
    /// The team whose app or service of that name was deleted last.
    pub async fn former_team(&self, of: &VolumeOf) -> Result<Option<TeamId>, StoreError> {
        let (sql, slug) = match of {
            VolumeOf::App(app) => ("SELECT team FROM former_app WHERE slug = ?1", app.clone()),
            VolumeOf::Service(service) => {
                ("SELECT team FROM former_service WHERE slug = ?1", service.clone())
            }
        };
        self.read(move |tx| row::first(tx, sql, [slug.as_str()], |row| Ok(TeamId(row::number(row, "team")?))))
            .await
    }
}

/// An app goes, and its name stays known as that team's.
pub(super) fn remember(tx: &Transaction<'_>, app: &Slug, team: TeamId) -> Result<(), StoreError> {
    tx.execute("INSERT OR REPLACE INTO former_app (slug, team) VALUES (?1, ?2)", (app.as_str(), team.0))?;
    Ok(())
}

/// An app takes the name.
pub(super) fn forget(tx: &Transaction<'_>, app: &Slug) -> Result<(), StoreError> {
    tx.execute("DELETE FROM former_app WHERE slug = ?1", [app.as_str()])?;
    Ok(())
}
