//! Apps and the hosts they answer for.

use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use thiserror::Error;

use super::error::StoreError;
use super::project::project;
use super::reader::Reader;
use super::writer::Writer;
use super::{route, row, settings, source};
use crate::domain::app::{App, AppId, NewApp, Wish};
use crate::domain::deployment::DeploymentId;
use crate::domain::name::{HostName, Slug};
use crate::domain::time::Timestamp;

/// Why an app could not be created.
#[derive(Debug, Error)]
pub enum CreateAppError {
    /// Another app has the name.
    #[error("there is an app {0} already: choose another name")]
    SlugTaken(Slug),
    /// Another app answers for the host.
    #[error("the host {host} belongs to app {app}: choose another one, or take it from that app first")]
    HostTaken {
        /// The host.
        host: HostName,
        /// The app that has it.
        app: Slug,
    },
    /// There is no such project.
    #[error("there is no project {0}: create it first")]
    NoProject(Slug),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an app's automatic host could not be set.
#[derive(Debug, Error)]
pub enum SetHostError {
    /// Another app answers for the host.
    #[error("the host {host} belongs to app {app}: take it from that app first")]
    HostTaken {
        /// The host.
        host: HostName,
        /// The app that has it.
        app: Slug,
    },
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an app could not be deleted.
#[derive(Debug, Error)]
pub enum DeleteAppError {
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// Its deletion has not begun, so something of it may still run.
    #[error("the deletion of this app has not begun")]
    NotBegun,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Creates an app that answers for its own hosts and for the `automatic` one.
    pub async fn create_app(
        &self,
        new: NewApp,
        automatic: Option<HostName>,
        now: Timestamp,
    ) -> Result<App, CreateAppError> {
        self.write(move |tx| create(tx, &new, automatic.as_ref(), now)).await
    }

    /// Gives an app another automatic host, or none.
    pub async fn set_automatic_host(&self, app: AppId, host: Option<HostName>) -> Result<(), SetHostError> {
        self.write(move |tx| set_automatic(tx, app, host.as_ref())).await
    }

    /// Marks an app as being deleted: nothing new starts, and no route leads to it. Can be done twice.
    pub async fn begin_deletion(&self, app: AppId) -> Result<(), DeleteAppError> {
        self.write(move |tx| match mark_deleting(tx, app)? {
            0 => Err(DeleteAppError::NoApp),
            _ => Ok(()),
        })
        .await
    }

    /// Forgets an app whose deletion has begun, with its deployments, hosts and addresses. Can be done twice.
    pub async fn finish_deletion(&self, app: AppId) -> Result<(), DeleteAppError> {
        self.write(move |tx| match by_id(tx, app)? {
            Some(App { deleting: true, .. }) => Ok(forget(tx, app)?),
            Some(_) => Err(DeleteAppError::NotBegun),
            None => Ok(()),
        })
        .await
    }
}

impl Reader {
    /// Every app, by name.
    pub async fn apps(&self) -> Result<Vec<App>, StoreError> {
        self.read(|tx| {
            let mut apps = row::all(tx, &format!("{SELECT} ORDER BY app.slug"), [], read)?;
            for app in &mut apps {
                app.hosts = hosts(tx, app.id)?;
            }
            Ok(apps)
        })
        .await
    }

    /// The app of that name.
    pub async fn app(&self, slug: &Slug) -> Result<Option<App>, StoreError> {
        let slug = slug.clone();
        self.read(move |tx| by_slug(tx, &slug)).await
    }

    /// The app of that number.
    pub async fn app_by_id(&self, id: AppId) -> Result<Option<App>, StoreError> {
        self.read(move |tx| by_id(tx, id)).await
    }
}

const SELECT: &str = "SELECT app.id AS id, app.slug AS slug, environment, source, settings, live, wish, deleting, created, \
     (SELECT number FROM deployment WHERE deployment.id = app.live) AS release, \
     project.id AS project_id, project.slug AS project_slug, project.subnet AS subnet \
     FROM app JOIN project ON project.id = app.project";

fn create(
    tx: &Transaction<'_>,
    new: &NewApp,
    automatic: Option<&HostName>,
    now: Timestamp,
) -> Result<App, CreateAppError> {
    if by_slug(tx, &new.slug)?.is_some() {
        return Err(CreateAppError::SlugTaken(new.slug.clone()));
    }
    ensure_environment(tx, &new.project, &new.environment)?;
    let Some(id) = insert(tx, new, now)? else {
        return Err(CreateAppError::NoProject(new.project.clone()));
    };
    let given = new.hosts.iter().map(|host| (host, false)).chain(automatic.map(|host| (host, true)));
    for (host, automatic) in given {
        match claim(tx, id, host, automatic)? {
            Some(other) if other != new.slug => {
                return Err(CreateAppError::HostTaken { host: host.clone(), app: other });
            }
            // The same host twice is no harm.
            Some(_) | None => {}
        }
    }
    by_id(tx, id)?.ok_or(CreateAppError::Store(StoreError::Malformed("app")))
}

fn ensure_environment(tx: &Transaction<'_>, project: &Slug, environment: &Slug) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO environment (project, slug) SELECT id, ?2 FROM project WHERE slug = ?1 \
         ON CONFLICT (project, slug) DO NOTHING",
    )?
    .execute((project.as_str(), environment.as_str()))?;
    Ok(())
}

fn insert(tx: &Transaction<'_>, new: &NewApp, now: Timestamp) -> Result<Option<AppId>, StoreError> {
    let NewApp { slug, project, environment, source, hosts: _, settings } = new;
    let id = tx
        .prepare_cached(
            "INSERT INTO app (slug, project, environment, source, settings, created) \
             SELECT ?1, id, ?3, ?4, ?5, ?6 FROM project WHERE slug = ?2 RETURNING id",
        )?
        .query_row(
            (
                slug.as_str(),
                project.as_str(),
                environment.as_str(),
                source::to_json(source)?,
                settings::to_json(settings)?,
                now.0,
            ),
            |row| row.get(0),
        )
        .optional()?;
    Ok(id.map(AppId))
}

/// Gives a host to an app; if an app has it already, that one keeps it and is named.
fn claim(
    tx: &Transaction<'_>,
    app: AppId,
    host: &HostName,
    automatic: bool,
) -> Result<Option<Slug>, StoreError> {
    if let Some(slug) = row::first(
        tx,
        "SELECT slug FROM app JOIN host ON host.app = app.id WHERE name = ?1",
        [host.as_str()],
        |row| row::parsed(row, "slug", Slug::parse),
    )? {
        return Ok(Some(slug));
    }
    tx.prepare_cached("INSERT INTO host (name, app, automatic) VALUES (?1, ?2, ?3)")?.execute((
        host.as_str(),
        app.0,
        automatic,
    ))?;
    Ok(None)
}

fn set_automatic(tx: &Transaction<'_>, app: AppId, host: Option<&HostName>) -> Result<(), SetHostError> {
    let Some(App { slug, live, hosts: before, .. }) = by_id(tx, app)? else {
        return Err(SetHostError::NoApp);
    };
    tx.execute("DELETE FROM host WHERE app = ?1 AND automatic = 1", [app.0]).map_err(StoreError::from)?;
    if let Some(host) = host
        && let Some(other) = claim(tx, app, host, true)?
        && other != slug
    {
        return Err(SetHostError::HostTaken { host: host.clone(), app: other });
    }
    if live.is_some() && hosts(tx, app)? != before {
        route::bump(tx)?;
    }
    Ok(())
}

fn mark_deleting(tx: &Transaction<'_>, app: AppId) -> Result<usize, StoreError> {
    let marked = tx.execute("UPDATE app SET deleting = 1 WHERE id = ?1", [app.0])?;
    route::bump(tx)?;
    Ok(marked)
}

fn forget(tx: &Transaction<'_>, app: AppId) -> Result<(), StoreError> {
    let of_deployments = "deployment IN (SELECT id FROM deployment WHERE app = ?1)";
    tx.execute("UPDATE app SET live = NULL WHERE id = ?1", [app.0])?;
    tx.execute(&format!("DELETE FROM replica WHERE {of_deployments}"), [app.0])?;
    tx.execute(&format!("DELETE FROM address WHERE {of_deployments}"), [app.0])?;
    tx.execute(&format!("DELETE FROM deployment_event WHERE {of_deployments}"), [app.0])?;
    tx.execute("DELETE FROM deployment WHERE app = ?1", [app.0])?;
    tx.execute("DELETE FROM host WHERE app = ?1", [app.0])?;
    tx.execute("DELETE FROM app WHERE id = ?1", [app.0])?;
    route::bump(tx)?;
    Ok(())
}

/// The app of that number, in the transaction at hand.
pub(super) fn by_id(connection: &Connection, id: AppId) -> Result<Option<App>, StoreError> {
    with_hosts(connection, row::first(connection, &format!("{SELECT} WHERE app.id = ?1"), [id.0], read)?)
}

fn by_slug(connection: &Connection, slug: &Slug) -> Result<Option<App>, StoreError> {
    with_hosts(
        connection,
        row::first(connection, &format!("{SELECT} WHERE app.slug = ?1"), [slug.as_str()], read)?,
    )
}

fn with_hosts(connection: &Connection, app: Option<App>) -> Result<Option<App>, StoreError> {
    app.map(|app| Ok(App { hosts: hosts(connection, app.id)?, ..app })).transpose()
}

/// Its own in the order they were given, then the automatic one.
fn hosts(connection: &Connection, app: AppId) -> Result<Vec<HostName>, StoreError> {
    let select = "SELECT name FROM host WHERE app = ?1 ORDER BY automatic, id";
    row::all(connection, select, [app.0], |row| row::parsed(row, "name", HostName::parse))
}

/// Everything of an app but its hosts, which stand in a table of their own.
fn read(row: &Row<'_>) -> Result<App, StoreError> {
    Ok(App {
        id: AppId(row::number(row, "id")?),
        slug: row::parsed(row, "slug", Slug::parse)?,
        project: project(row, "project_id", "project_slug", "subnet")?,
        environment: row::parsed(row, "environment", Slug::parse)?,
        source: row::parsed(row, "source", source::from_json)?,
        hosts: Vec::new(),
        settings: row::parsed(row, "settings", settings::from_json)?,
        live: row::number::<Option<i64>>(row, "live")?.map(DeploymentId),
        release: row::number(row, "release")?,
        wish: row::parsed(row, "wish", row::word(wish))?,
        deleting: row::number(row, "deleting")?,
        created: row::time(row, "created")?,
    })
}

/// The wish of the word that is stored.
fn wish(word: &str) -> Option<Wish> {
    match word {
        "run" => Some(Wish::Run),
        "start" => Some(Wish::Start),
        "stop" => Some(Wish::Stop),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, NOW, host, new_app, slug};
    use super::*;
    use crate::domain::source::{Branch, GitUrl, Source};

    #[tokio::test]
    async fn an_app_is_read_as_it_was_created() {
        let store = Fixture::new();
        store.project("default").await;
        let git = Source::Git {
            url: GitUrl::parse("https://example.org/a.git").unwrap(),
            branch: Branch::parse("trunk").unwrap(),
        };
        let mut wanted = new_app("blog");
        wanted.source = git.clone();
        wanted.hosts = vec![host("z.example.org"), host("a.example.org"), host("z.example.org")];
        let automatic = host("blog.apps.example.org");
        let app = store.writer.create_app(wanted.clone(), Some(automatic.clone()), NOW).await.unwrap();

        assert_eq!((&app.slug, &app.source, &app.settings), (&wanted.slug, &git, &wanted.settings));
        assert_eq!(app.hosts, [host("z.example.org"), host("a.example.org"), automatic]);
        assert_eq!((app.live, app.release, app.deleting, app.created), (None, None, false, NOW));
        assert_eq!(store.reader.app(&slug("blog")).await.unwrap().as_ref(), Some(&app));
        assert_eq!(store.reader.app_by_id(app.id).await.unwrap().as_ref(), Some(&app));
        assert_eq!(store.reader.apps().await.unwrap(), [app]);
        assert_eq!(store.reader.app(&slug("other")).await.unwrap(), None);
    }

    #[tokio::test]
    async fn names_and_hosts_belong_to_one_app() {
        let store = Fixture::new();
        store.project("default").await;
        let automatic = Some(host("blog.test"));
        let first = store.writer.create_app(new_app("blog"), automatic, NOW).await.unwrap();

        let again = store.writer.create_app(new_app("blog"), None, NOW).await.unwrap_err();
        assert!(matches!(again, CreateAppError::SlugTaken(taken) if taken == first.slug));

        let mut thief = new_app("thief");
        thief.hosts = vec![host("own.test"), host("blog.test")];
        let refused = store.writer.create_app(thief.clone(), None, NOW).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the host blog.test belongs to app blog: choose another one, or take it from that app first"
        );
        assert_eq!(store.reader.app(&thief.slug).await.unwrap(), None, "nothing of it is left");

        thief.project = slug("nowhere");
        let homeless = store.writer.create_app(thief, None, NOW).await.unwrap_err();
        assert!(matches!(homeless, CreateAppError::NoProject(_)));
    }

    #[tokio::test]
    async fn the_automatic_host_can_change() {
        let store = Fixture::new();
        let (blog, other) = (store.app("blog").await, store.app("other").await);
        let set = |name| store.writer.set_automatic_host(blog.id, name);
        set(Some(host("blog.one.test"))).await.unwrap();
        set(Some(host("blog.two.test"))).await.unwrap();
        let hosts = async || store.reader.app_by_id(blog.id).await.unwrap().unwrap().hosts;
        assert_eq!(hosts().await, [host("blog.two.test")]);

        let taken = store.writer.set_automatic_host(other.id, Some(host("blog.two.test"))).await.unwrap_err();
        assert!(matches!(taken, SetHostError::HostTaken { app, .. } if app == blog.slug));
        set(None).await.unwrap();
        assert_eq!(hosts().await, []);
    }

    #[tokio::test]
    async fn an_app_knows_the_number_of_its_release() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        store.live(&store.app("other").await).await;
        for number in 1..=2 {
            let live = store.live(&app).await;
            let app = store.reader.app_by_id(app.id).await.unwrap().unwrap();
            assert_eq!((app.live, app.release), (Some(live.id), Some(number)));
        }
    }

    #[tokio::test]
    async fn a_deleted_app_leaves_nothing() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        store.writer.set_automatic_host(app.id, Some(host("blog.test"))).await.unwrap();
        let live = store.live(&app).await;
        let before = store.reader.routes().await.unwrap();
        assert_eq!(before.routes.len(), 1);
        let early = store.writer.finish_deletion(app.id).await.unwrap_err();
        assert!(matches!(early, DeleteAppError::NotBegun));

        for _ in 0..2 {
            store.writer.begin_deletion(app.id).await.unwrap();
        }
        assert!(store.reader.app_by_id(app.id).await.unwrap().unwrap().deleting);
        let during = store.reader.routes().await.unwrap();
        assert!(during.routes.is_empty() && during.generation > before.generation, "nobody is sent there");

        for _ in 0..2 {
            store.writer.finish_deletion(app.id).await.unwrap();
        }
        assert_eq!(store.reader.apps().await.unwrap(), []);
        assert_eq!(store.reader.deployment(live.id).await.unwrap(), None);
        assert_eq!(store.reader.events(live.id).await.unwrap(), []);
        let after = store.reader.routes().await.unwrap();
        assert!(after.routes.is_empty() && after.generation > during.generation);
        let gone = store.writer.begin_deletion(app.id).await.unwrap_err();
        assert!(matches!(gone, DeleteAppError::NoApp));

        let again = store.app("blog").await;
        assert_ne!(again.id, app.id);
        let first = store.enqueue(&again).await;
        assert_eq!(first.number, 1);
        assert_ne!(first.id, live.id);
    }
}
