//! Apps, as people create and delete them.

use rusqlite::{Connection, OptionalExtension, Row, ToSql, Transaction};
use thiserror::Error;

use super::domain::{self, Claim, Holder};
use super::error::StoreError;
use super::project::project;
use super::reader::Reader;
use super::writer::Writer;
use super::{database, former_app, key, mount, quota, route, row, settings, source, variable};
use crate::domain::app::{App, AppId, NewApp, Settings, Wish};
use crate::domain::deployment::DeploymentId;
use crate::domain::domain::{Behind, Pattern, Site};
use crate::domain::name::{HostName, Slug};
use crate::domain::person::TeamId;
use crate::domain::quota::OverQuota;
use crate::domain::source::{GitAccess, Source};
use crate::domain::time::Timestamp;

/// Why an app could not be created.
#[derive(Debug, Error)]
pub enum CreateAppError {
    /// Another app has the name.
    #[error("there is an app {0} already: choose another name")]
    SlugTaken(Slug),
    /// Another app answers for the host.
    #[error("the host {host} belongs to {app}: choose another one, or take it from that app first")]
    HostTaken {
        /// The host.
        host: HostName,
        /// The app that has it.
        app: Holder,
    },
    /// There is no such project.
    #[error("there is no project {0}: `rivetr projects create {0}` makes it")]
    NoProject(Slug),
    /// There is no such environment.
    #[error(
        "the project {project} has no environment {environment}: \
         `rivetr projects environments add {project} {environment}` makes it"
    )]
    NoEnvironment {
        /// The project.
        project: Slug,
        /// The environment.
        environment: Slug,
    },
    /// There is no such key.
    #[error("there is no key {0}: make it first, with `rivetr keys create {0}`")]
    NoKey(Slug),
    /// The team may not use so much.
    #[error(transparent)]
    OverQuota(OverQuota),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an app's automatic host could not be set.
#[derive(Debug, Error)]
pub enum SetHostError {
    /// Another app answers for the host.
    #[error("the host {host} belongs to {app}: take it from that app first")]
    HostTaken {
        /// The host.
        host: HostName,
        /// The app that has it.
        app: Holder,
    },
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an app's code could not be made to come from elsewhere.
#[derive(Debug, Error)]
pub enum SetSourceError {
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// There is no such key.
    #[error("there is no key {0}: make it first, with `rivetr keys create {0}`")]
    NoKey(Slug),
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

    /// Makes an app's code come from elsewhere, from its next deployment on.
    pub async fn set_source(&self, app: AppId, source: Source) -> Result<(), SetSourceError> {
        self.write(move |tx| {
            let team = "SELECT team FROM project JOIN app ON app.project = project.id WHERE app.id = ?1";
            if let Some(missing) = missing_key(tx, &source, team, &[&app.0])? {
                return Err(SetSourceError::NoKey(missing));
            }
            let json = source::to_json(&source)?;
            let set = tx.execute("UPDATE app SET source = ?2 WHERE id = ?1", (app.0, json));
            if set.map_err(StoreError::from)? == 0 { Err(SetSourceError::NoApp) } else { Ok(()) }
        })
        .await
    }

    /// Marks an app as being deleted: nothing new starts, and no route leads to it. Can be done twice; that its
    /// volumes go with it is said once.
    pub async fn begin_deletion(&self, app: AppId, volumes: bool) -> Result<(), DeleteAppError> {
        self.write(move |tx| match mark_deleting(tx, app, volumes)? {
            0 => Err(DeleteAppError::NoApp),
            _ => Ok(()),
        })
        .await
    }

    /// Forgets an app whose deletion has begun, with its deployments, domains and addresses. Can be done twice.
    pub async fn finish_deletion(&self, app: AppId) -> Result<(), DeleteAppError> {
        self.write(move |tx| match by_id(tx, app)? {
            Some(App { deleting: true, slug, project, .. }) => {
                former_app::remember(tx, &slug, project.team)?;
                Ok(forget(tx, app)?)
            }
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
            let apps = row::all(tx, &format!("{SELECT} ORDER BY app.slug"), [], read)?;
            let (mut domains, mut variables) = (domain::by_app(tx)?, variable::names_by_app(tx)?);
            let whole = |app: App| App {
                domains: domains.remove(&app.id).unwrap_or_default(),
                variables: variables.remove(&app.id).unwrap_or_default(),
                ..app
            };
            Ok(apps.into_iter().map(whole).collect())
        })
        .await
    }

    /// How many apps there are.
    pub async fn app_count(&self) -> Result<u64, StoreError> {
        let count =
            |tx: &Transaction<'_>| tx.query_row("SELECT count(*) FROM app", [], |row| row.get::<_, i64>(0));
        let count = self.read(move |tx| Ok(count(tx)?)).await?;
        u64::try_from(count).map_err(|_| StoreError::Malformed("apps"))
    }

    /// The app of that name.
    pub async fn app(&self, slug: &Slug) -> Result<Option<App>, StoreError> {
        let slug = slug.clone();
        self.read(move |tx| by_slug(tx, &slug)).await
    }

    /// Whether the volumes of an app go with it when it is deleted.
    pub async fn takes_volumes_along(&self, app: AppId) -> Result<bool, StoreError> {
        let found = self
            .read(move |tx| {
                let sql = "SELECT delete_volumes FROM app WHERE id = ?1";
                row::first(tx, sql, [app.0], |row| row::number(row, "delete_volumes"))
            })
            .await?;
        Ok(found.unwrap_or(false))
    }

    /// The app of that number.
    pub async fn app_by_id(&self, id: AppId) -> Result<Option<App>, StoreError> {
        self.read(move |tx| by_id(tx, id)).await
    }
}

const SELECT: &str = "SELECT app.id AS id, app.slug AS slug, environment, source, settings, live, wish, \
     app.deleting AS deleting, created, \
     (SELECT number FROM deployment WHERE deployment.id = app.live) AS release, \
     project.id AS project_id, project.slug AS project_slug, project.team AS team, project.subnet AS subnet \
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
    let team = "SELECT team FROM project WHERE slug = ?1";
    if let Some(missing) = missing_key(tx, &new.source, team, &[&new.project.as_str()])? {
        return Err(CreateAppError::NoKey(missing));
    }
    let of_project =
        row::first(tx, team, [new.project.as_str()], |row| Ok(TeamId(row::number(row, "team")?)))?;
    let settings = match of_project {
        Some(team) => quota::of_new(tx, team, &new.settings)?.map_err(CreateAppError::OverQuota)?,
        None => new.settings.clone(),
    };
    let Some(id) = insert(tx, new, settings, now)? else {
        return Err(missing(tx, new)?);
    };
    let given = new.hosts.iter().map(|host| (host, false)).chain(automatic.map(|host| (host, true)));
    for (host, automatic) in given {
        match claim(tx, id, host, automatic)? {
            Some(other) if !other.is_app(&new.slug) => {
                return Err(CreateAppError::HostTaken { host: host.clone(), app: other });
            }
            // The same host twice is no harm.
            Some(_) | None => {}
        }
    }
    variable::insert_first(tx, id, &new.settings.variables)?;
    former_app::forget(tx, &new.slug)?;
    by_id(tx, id)?.ok_or(CreateAppError::Store(StoreError::Malformed("app")))
}

/// The key that a source names and that the team, which `sql` selects, has not got.
pub(super) fn missing_key(
    tx: &Transaction<'_>,
    source: &Source,
    sql: &str,
    params: &[&dyn ToSql],
) -> Result<Option<Slug>, StoreError> {
    let team = || row::first(tx, sql, params, |row| Ok(TeamId(row::number(row, "team")?)));
    match source {
        Source::Git(git) => match &git.access {
            GitAccess::Key(name) => {
                let known = team()?.map_or(Ok(false), |team| key::exists(tx, name, team))?;
                Ok((!known).then(|| name.clone()))
            }
            GitAccess::Token { .. } | GitAccess::Public => Ok(None),
        },
        Source::Push { .. } | Source::Image { .. } | Source::Upload | Source::Inline { .. } => Ok(None),
    }
}

fn insert(
    tx: &Transaction<'_>,
    new: &NewApp,
    settings: Settings,
    now: Timestamp,
) -> Result<Option<AppId>, StoreError> {
    let NewApp { slug, project, environment, source, git_token: _, hosts: _, settings: _, variables: _ } =
        new;
    let settings = Settings { variables: Vec::new(), ..settings };
    let id = tx
        .prepare_cached(
            "INSERT INTO app (slug, project, environment, source, settings, created) \
             SELECT ?1, project.id, environment.slug, ?4, ?5, ?6 FROM project \
             JOIN environment ON environment.project = project.id AND environment.slug = ?3 \
             WHERE project.slug = ?2 AND deleting = 0 RETURNING id",
        )?
        .query_row(
            (
                slug.as_str(),
                project.as_str(),
                environment.as_str(),
                source::to_json(source)?,
                settings::to_json(&settings)?,
                now.0,
            ),
            |row| row.get(0),
        )
        .optional()?;
    Ok(id.map(AppId))
}

/// Which of project and environment is not there.
fn missing(tx: &Transaction<'_>, new: &NewApp) -> Result<CreateAppError, StoreError> {
    let sql = "SELECT 1 FROM project WHERE slug = ?1 AND deleting = 0";
    Ok(match row::first(tx, sql, [new.project.as_str()], |_| Ok(()))? {
        None => CreateAppError::NoProject(new.project.clone()),
        Some(()) => CreateAppError::NoEnvironment {
            project: new.project.clone(),
            environment: new.environment.clone(),
        },
    })
}

/// Gives a whole host to an app; if another app has it already, or one of another project what covers it, that one
/// keeps it and is named.
pub(super) fn claim(
    tx: &Transaction<'_>,
    app: AppId,
    host: &HostName,
    automatic: bool,
) -> Result<Option<Holder>, StoreError> {
    Ok(match domain::claim(tx, Behind::App(app), None, &Site::plain(host.clone()), automatic)? {
        Claim::Done(_) => None,
        Claim::Taken(other) | Claim::Overlaps(_, other) => Some(other),
    })
}

fn set_automatic(tx: &Transaction<'_>, app: AppId, host: Option<&HostName>) -> Result<(), SetHostError> {
    let Some(before) = by_id(tx, app)? else {
        return Err(SetHostError::NoApp);
    };
    let old = before.domains.iter().find(|domain| domain.automatic).map(|domain| &domain.site);
    if old.and_then(|site| site.host.exact()) == host {
        return Ok(());
    }
    tx.execute("DELETE FROM domain WHERE app = ?1 AND automatic = 1", [app.0]).map_err(StoreError::from)?;
    if let Some(host) = host {
        // What was said about the old name holds for the new one.
        let mut site = old.cloned().unwrap_or_else(|| Site::plain(host.clone()));
        site.host = Pattern::Exact(host.clone());
        site.redirect_to = site.redirect_to.filter(|to| to != host);
        match domain::claim(tx, Behind::App(app), None, &site, true)? {
            Claim::Taken(other) | Claim::Overlaps(_, other) if !other.is_app(&before.slug) => {
                return Err(SetHostError::HostTaken { host: host.clone(), app: other });
            }
            Claim::Done(_) | Claim::Taken(_) | Claim::Overlaps(..) => {}
        }
    }
    // Who was sent to the old name is sent to the new one.
    if let Some(Pattern::Exact(old)) = old.map(|site| &site.host) {
        tx.execute(
            "UPDATE domain SET redirect_to = nullif(?3, host) WHERE app = ?1 AND redirect_to = ?2",
            (app.0, old.as_str(), host.map(HostName::as_str)),
        )
        .map_err(StoreError::from)?;
    }
    Ok(domain::changed(tx, &before)?)
}

fn mark_deleting(tx: &Transaction<'_>, app: AppId, volumes: bool) -> Result<usize, StoreError> {
    let marked = tx.execute(
        "UPDATE app SET deleting = 1, delete_volumes = delete_volumes OR ?2 WHERE id = ?1",
        (app.0, volumes),
    )?;
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
    tx.execute("DELETE FROM one_off WHERE app = ?1", [app.0])?;
    tx.execute("DELETE FROM domain WHERE app = ?1", [app.0])?;
    database::forget_app(tx, app)?;
    variable::forget(tx, app)?;
    mount::forget(tx, app)?;
    tx.execute("DELETE FROM app WHERE id = ?1", [app.0])?;
    route::bump(tx)?;
    Ok(())
}

/// The app of that number, in the transaction at hand.
pub(super) fn by_id(connection: &Connection, id: AppId) -> Result<Option<App>, StoreError> {
    let found = row::first(connection, &format!("{SELECT} WHERE app.id = ?1"), [id.0], read)?;
    found.map(|app| whole(connection, app)).transpose()
}

fn by_slug(connection: &Connection, slug: &Slug) -> Result<Option<App>, StoreError> {
    let found = row::first(connection, &format!("{SELECT} WHERE app.slug = ?1"), [slug.as_str()], read)?;
    found.map(|app| whole(connection, app)).transpose()
}

/// The app with what stands in tables of its own.
fn whole(connection: &Connection, app: App) -> Result<App, StoreError> {
    let (domains, variables) =
        (domain::of(connection, Behind::App(app.id))?, variable::names(connection, app.id)?);
    Ok(App { domains, variables, ..app })
}

/// Everything of an app but its domains and variables, which stand in tables of their own.
fn read(row: &Row<'_>) -> Result<App, StoreError> {
    Ok(App {
        id: AppId(row::number(row, "id")?),
        slug: row::parsed(row, "slug", Slug::parse)?,
        project: project(row, "project_id", "project_slug")?,
        environment: row::parsed(row, "environment", Slug::parse)?,
        source: row::parsed(row, "source", source::from_json)?,
        domains: Vec::new(),
        settings: row::parsed(row, "settings", settings::from_json)?,
        variables: Vec::new(),
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
    use crate::domain::source::{Branch, GitSource, GitUrl, Reference};

    #[tokio::test]
    async fn an_app_is_read_as_it_was_created() {
        let store = Fixture::new();
        store.project("default").await;
        let git = Source::Git(GitSource::new(
            GitUrl::parse("https://example.org/a.git").unwrap(),
            Reference::Branch(Branch::parse("trunk").unwrap()),
        ));
        let mut wanted = new_app("blog");
        wanted.source = git.clone();
        wanted.hosts = vec![host("z.example.org"), host("a.example.org"), host("z.example.org")];
        let automatic = host("blog.apps.example.org");
        let app = store.writer.create_app(wanted.clone(), Some(automatic.clone()), NOW).await.unwrap();

        assert_eq!((&app.slug, &app.source), (&wanted.slug, &git));
        let wanted_port = wanted.settings.port;
        assert_eq!(app.settings, Settings::new(wanted_port), "variables have rows of their own");
        assert_eq!(app.variables, [wanted.settings.variables[0].key.clone()]);
        let hosts = [host("z.example.org"), host("a.example.org"), automatic];
        assert!(app.hosts().eq(&hosts), "{:?}", app.domains);
        assert_eq!((app.live, app.release, app.deleting, app.created), (None, None, false, NOW));
        assert_eq!(store.reader.app(&slug("blog")).await.unwrap().as_ref(), Some(&app));
        assert_eq!(store.reader.app_by_id(app.id).await.unwrap().as_ref(), Some(&app));
        assert_eq!(store.reader.apps().await.unwrap(), [app]);
        assert_eq!(store.reader.app_count().await.unwrap(), 1);
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

        let mut lost = new_app("lost");
        lost.environment = slug("staging");
        let lost = store.writer.create_app(lost, None, NOW).await.unwrap_err();
        assert!(matches!(lost, CreateAppError::NoEnvironment { .. }), "{lost}");
    }

    #[tokio::test]
    async fn the_automatic_host_can_change() {
        let store = Fixture::new();
        let (blog, other) = (store.app("blog").await, store.app("other").await);
        let set = |name| store.writer.set_automatic_host(blog.id, name);
        set(Some(host("blog.one.test"))).await.unwrap();
        set(Some(host("blog.two.test"))).await.unwrap();
        let hosts = async || {
            let app = store.reader.app_by_id(blog.id).await.unwrap().unwrap();
            app.hosts().cloned().collect::<Vec<_>>()
        };
        assert_eq!(hosts().await, [host("blog.two.test")]);
        let domain = store.reader.app_by_id(blog.id).await.unwrap().unwrap().domains.remove(0);
        let plain = Site { https_redirect: false, ..domain.site };
        store.writer.change_domain(domain.id, plain).await.unwrap();
        set(Some(host("blog.three.test"))).await.unwrap();
        let domain = store.reader.app_by_id(blog.id).await.unwrap().unwrap().domains.remove(0);
        assert!(domain.site.is_all_of(&host("blog.three.test")) && !domain.site.https_redirect);
        set(Some(host("blog.two.test"))).await.unwrap();

        let taken = store.writer.set_automatic_host(other.id, Some(host("blog.two.test"))).await.unwrap_err();
        assert!(matches!(taken, SetHostError::HostTaken { app, .. } if app.slug == blog.slug));
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
            store.writer.begin_deletion(app.id, false).await.unwrap();
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
        let gone = store.writer.begin_deletion(app.id, false).await.unwrap_err();
        assert!(matches!(gone, DeleteAppError::NoApp));

        let again = store.app("blog").await;
        assert_ne!(again.id, app.id);
        let first = store.enqueue(&again).await;
        assert_eq!(first.number, 1);
        assert_ne!(first.id, live.id);
    }
}
