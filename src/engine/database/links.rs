//! Apps that are told of databases: what they get, and that they are started anew when it changes.

use super::super::{Engine, EngineError};
use crate::domain::app::{App, Wish};
use crate::domain::database::{Connection, Database, DatabaseId, Link, Part, Prefix};
use crate::domain::deployment::Trigger;
use crate::domain::name::Slug;
use crate::domain::secret::Secret;
use crate::domain::variable::{Usage, Variable};
use crate::store::{LinkError, Return};

/// A link with both its ends.
#[derive(Debug, Clone)]
pub struct Linked {
    /// The app that is told.
    pub app: Slug,
    /// The database.
    pub database: Slug,
    /// What the names of its variables begin with.
    pub prefix: Prefix,
}

impl Engine {
    /// Has an app told of a database, from its next start on; what serves is started anew with it.
    pub async fn link_database(
        &self,
        app: &Slug,
        database: &Slug,
        prefix: Option<Prefix>,
    ) -> Result<Linked, EngineError> {
        let found = self.reader().app(app).await?.ok_or_else(|| EngineError::no_app(app))?;
        let database = self.database(database).await?;
        let prefix = prefix.unwrap_or_else(|| Prefix::usual(database.kind));
        let link = Link { app: found.id, database: database.id, prefix: prefix.clone() };
        self.0.writer.link_database(link).await?;
        self.tell_app(&found).await?;
        Ok(Linked { app: found.slug, database: database.slug, prefix })
    }

    /// Ends that an app is told of a database. What serves keeps what it was told until its next deployment.
    pub async fn unlink_database(&self, app: &Slug, database: &Slug) -> Result<(), EngineError> {
        let found = self.reader().app(app).await?.ok_or_else(|| EngineError::no_app(app))?;
        let database = self.database(database).await?;
        if self.0.writer.unlink_database(found.id, database.id).await? {
            return Ok(());
        }
        Err(EngineError::NotFound { what: "link", name: format!("{app} to {}", database.slug) })
    }

    /// Every link, of one database or of all.
    pub async fn linked(&self, database: Option<DatabaseId>) -> Result<Vec<Linked>, EngineError> {
        let (links, apps) = (self.reader().database_links(None).await?, self.reader().apps().await?);
        let databases = self.reader().databases().await?;
        let with_ends = |link: Link| {
            let app = apps.iter().find(|app| app.id == link.app)?;
            let found = databases.iter().find(|database| database.id == link.database)?;
            let wanted = database.is_none_or(|id| id == link.database);
            wanted.then(|| Linked {
                app: app.slug.clone(),
                database: found.slug.clone(),
                prefix: link.prefix,
            })
        };
        Ok(links.into_iter().filter_map(with_ends).collect())
    }

    /// How programs of its project reach a database.
    pub fn reach_within(&self, database: &Database) -> Result<String, EngineError> {
        self.with_connection(database, database.slug.as_str(), database.kind.port(), |connection| {
            database.kind.url(connection)
        })
    }

    /// How programs elsewhere reach it, where it has a public port.
    pub fn reach_from_outside(&self, database: &Database) -> Result<Option<String>, EngineError> {
        let Some(public) = &database.settings.public else { return Ok(None) };
        let url = self.with_connection(database, &self.own_host(), public.port.get(), |connection| {
            database.kind.url(connection)
        })?;
        Ok(Some(url))
    }

    /// The name of this host for programs elsewhere; a word in its place where rivetr was not told one.
    #[must_use]
    pub fn own_host(&self) -> String {
        let own = self.0.settings.own_host.as_ref().map(ToString::to_string);
        own.unwrap_or_else(|| "HOST".to_owned())
    }

    fn with_connection<T>(
        &self,
        database: &Database,
        host: &str,
        port: u16,
        take: impl FnOnce(&Connection<'_>) -> T,
    ) -> Result<T, EngineError> {
        let opened = self.open_database(database)?;
        let password = str::from_utf8(opened.password.reveal()).map_err(EngineError::internal)?;
        Ok(take(&Connection::of(&database.credentials, password, host, port)))
    }

    /// The variables by which an app is told of its databases, sealed.
    pub(in crate::engine) async fn told_of_databases(&self, app: &App) -> Result<Vec<Variable>, EngineError> {
        let mut told = Vec::new();
        for link in self.reader().database_links(Some(app.id)).await? {
            let Some(database) = self.reader().database_by_id(link.database).await? else { continue };
            let parts = |connection: &Connection<'_>| {
                Part::ALL.map(|part| (part, part.value(database.kind, connection)))
            };
            let host = database.slug.as_str();
            for (part, value) in self.with_connection(&database, host, database.kind.port(), parts)? {
                let key = part.key(&link.prefix).map_err(EngineError::internal)?;
                let value = self.vault().seal(&Variable::place(&key), &Secret::from(value.as_str()))?;
                told.push(Variable { key, value, secret: part.is_secret(), usage: Usage::Run });
            }
        }
        Ok(told)
    }

    /// Starts every app anew that is told of a database, with what it is told now.
    pub(super) async fn tell_linked_apps(&self, database: DatabaseId) -> Result<(), EngineError> {
        let links = self.reader().database_links(None).await?;
        for link in links.into_iter().filter(|link| link.database == database) {
            if let Some(app) = self.reader().app_by_id(link.app).await? {
                self.tell_app(&app).await?;
            }
        }
        Ok(())
    }

    async fn tell_app(&self, app: &App) -> Result<(), EngineError> {
        let Some(live) = app.live.filter(|_| app.wish != Wish::Stop && !app.deleting) else { return Ok(()) };
        let wish =
            Return { to: live, trigger: Trigger::Restart, reason: None, instead_of: None, told: Vec::new() };
        self.enqueue_return(app, wish).await?;
        Ok(())
    }
}

impl From<LinkError> for EngineError {
    fn from(error: LinkError) -> Self {
        let message = error.to_string();
        match error {
            LinkError::OtherProject { .. } | LinkError::Gone => Self::Conflict { field: "database", message },
            LinkError::PrefixTaken { .. } => Self::Conflict { field: "prefix", message },
            LinkError::Store(error) => error.into(),
        }
    }
}
