//! Domains: which app has which, and that nobody takes those of another.

use std::collections::BTreeMap;
use std::fmt;

use rusqlite::{Connection, Row, Transaction};
use thiserror::Error;

use super::error::StoreError;
use super::reader::Reader;
use super::writer::Writer;
use super::{app, route, row, service};
use crate::domain::app::{App, AppId};
use crate::domain::domain::{DOMAINS_MAX, Domain, DomainId, PathPrefix, Pattern, Site};
use crate::domain::name::{HostName, Slug};

/// Why a domain could not be added, changed or removed.
#[derive(Debug, Error)]
pub enum DomainError {
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// There is no such domain.
    #[error("there is no such domain")]
    NoDomain,
    /// The app is being deleted.
    #[error("the app {0} is being deleted: it can be changed no more")]
    Deleting(Slug),
    /// An app has it.
    #[error("{site} belongs to {app} already: choose another one, or remove it there first")]
    Taken {
        /// The domain.
        site: String,
        /// The app that has it, which may be the same.
        app: Holder,
    },
    /// An app of another project has a domain that covers it, or that it covers.
    #[error(
        "{site} and {other} of {app} would share requests, and the apps are of different projects: \
         remove that one first, or have both apps in one project"
    )]
    Overlaps {
        /// The domain.
        site: String,
        /// The domain that is there.
        other: String,
        /// The app that has it.
        app: Holder,
    },
    /// It is the one that rivetr gives.
    #[error(
        "{0} is the name that rivetr gives to the app by itself: it cannot be removed, but it can redirect"
    )]
    Automatic(String),
    /// It is to redirect to something that the app does not answer at.
    #[error("the app does not answer at {0} itself: add that domain first")]
    NoTarget(HostName),
    /// Others redirect to it.
    #[error("{by} redirects to {host}: remove or change that one first")]
    RedirectedTo {
        /// The domain that is redirected to.
        host: HostName,
        /// The one that does.
        by: String,
    },
    /// The app has enough.
    #[error("an app has at most {DOMAINS_MAX} domains: remove one first")]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The app that has something. One of another team is not named to those who run into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its name.
    pub slug: Slug,
    kind: &'static str,
    foreign: bool,
}

impl Holder {
    /// Whether it is the app of that name.
    pub(super) fn is_app(&self, slug: &Slug) -> bool {
        self.kind == "app" && self.slug == *slug
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slug, kind, foreign } = self;
        if *foreign { write!(f, "another {kind}") } else { write!(f, "{kind} {slug}") }
    }
}

impl Writer {
    /// Gives an app one more domain.
    pub async fn add_domain(&self, app: AppId, site: Site) -> Result<Domain, DomainError> {
        self.write(move |tx| add(tx, app, &site)).await
    }

    /// Changes what happens at a domain; where it is stays.
    pub async fn change_domain(&self, id: DomainId, site: Site) -> Result<Domain, DomainError> {
        self.write(move |tx| change(tx, id, &site)).await
    }

    /// Takes a domain from its app.
    pub async fn remove_domain(&self, id: DomainId) -> Result<Domain, DomainError> {
        self.write(move |tx| remove(tx, id)).await
    }
}

impl Reader {
    /// The domain of that number.
    pub async fn domain(&self, id: DomainId) -> Result<Option<Domain>, StoreError> {
        self.read(move |tx| by_id(tx, id)).await
    }

    /// Every domain of every app that is not being deleted.
    pub async fn domains(&self) -> Result<Vec<Domain>, StoreError> {
        let sql = "SELECT domain.* FROM domain JOIN app ON app.id = domain.app WHERE NOT app.deleting \
                   ORDER BY host, path";
        self.read(move |tx| row::all(tx, sql, [], read)).await
    }
}

/// What came of a claim.
pub(super) enum Claim {
    /// The app has it now.
    Done(DomainId),
    /// An app has it, perhaps the same one.
    Taken(Holder),
    /// An app of another project has this one, which is about some of the same requests.
    Overlaps(String, Holder),
}

/// Gives a domain to an app, unless an app has it or has what must not overlap with it.
pub(super) fn claim(
    tx: &Transaction<'_>,
    app: AppId,
    site: &Site,
    automatic: bool,
) -> Result<Claim, StoreError> {
    let Site { host, path, strip, redirect_to, https_redirect } = site;
    let taken = row::first(
        tx,
        &format!(
            "SELECT app.slug AS slug, {IS_FOREIGN} FROM app JOIN domain ON domain.app = app.id \
             JOIN project ON project.id = app.project WHERE host = ?2 AND path = ?3"
        ),
        (app.0, host.to_string(), path.as_str()),
        holder,
    )?;
    if let Some(holder) = taken {
        return Ok(Claim::Taken(holder));
    }
    if let Some((slug, team)) = service::taken(tx, host)? {
        let foreign = app::by_id(tx, app)?.is_none_or(|app| app.project.team != team);
        return Ok(Claim::Taken(Holder { slug, kind: "service", foreign }));
    }
    if let Some((other, holder)) = overlapping(tx, app, host)? {
        return Ok(Claim::Overlaps(other, holder));
    }
    let id = tx
        .prepare_cached(
            "INSERT INTO domain (app, host, path, strip, redirect_to, https_redirect, automatic) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id",
        )?
        .query_row(
            (
                app.0,
                host.to_string(),
                path.as_str(),
                strip,
                redirect_to.as_ref().map(HostName::as_str),
                https_redirect,
                automatic,
            ),
            |row| row.get(0),
        )?;
    Ok(Claim::Done(DomainId(id)))
}

/// A domain of another project that is about some of the same hosts. Apps of one project may share a host; between
/// projects it would let one read what is meant for the other.
fn overlapping(
    tx: &Transaction<'_>,
    app: AppId,
    pattern: &Pattern,
) -> Result<Option<(String, Holder)>, StoreError> {
    let (covers, base) = match pattern {
        Pattern::Exact(host) => {
            ("host = '*.' || ?3", host.as_str().split_once('.').map_or("", |(_, rest)| rest))
        }
        Pattern::Below(base) => ("substr(host, instr(host, '.') + 1) = ?3", base.as_str()),
    };
    let sql = format!(
        "SELECT host, path, app.slug AS slug, {IS_FOREIGN} FROM domain JOIN app ON app.id = domain.app \
         JOIN project ON project.id = app.project WHERE project <> (SELECT project FROM app WHERE id = ?1) AND (host = ?2 OR {covers}) \
         ORDER BY host = ?2 DESC, host, path LIMIT 1"
    );
    row::first(tx, &sql, (app.0, pattern.to_string(), base), |row| {
        let (host, path) =
            (row::parsed(row, "host", Pattern::parse)?, row::parsed(row, "path", PathPrefix::parse)?);
        let path = if path.is_root() { "" } else { path.as_str() };
        let holder = holder(row)?;
        let site = if holder.foreign { "a domain".to_owned() } else { format!("{host}{path}") };
        Ok((site, holder))
    })
}

/// Whether the project at hand is of another team than the app ?1.
const IS_FOREIGN: &str = "project.team <> (SELECT p.team FROM app AS a JOIN project AS p ON p.id = a.project WHERE a.id = ?1) AS is_foreign";

fn holder(row: &Row<'_>) -> Result<Holder, StoreError> {
    let slug = row::parsed(row, "slug", Slug::parse)?;
    Ok(Holder { slug, kind: "app", foreign: row::number(row, "is_foreign")? })
}

fn add(tx: &Transaction<'_>, id: AppId, site: &Site) -> Result<Domain, DomainError> {
    let app = alive(tx, id)?;
    if app.domains.len() >= DOMAINS_MAX {
        return Err(DomainError::TooMany);
    }
    check_target(&app, site)?;
    let id = match claim(tx, id, site, false)? {
        Claim::Done(id) => id,
        Claim::Taken(app) => return Err(DomainError::Taken { site: site.to_string(), app }),
        Claim::Overlaps(other, app) => {
            return Err(DomainError::Overlaps { site: site.to_string(), other, app });
        }
    };
    changed(tx, &app)?;
    by_id(tx, id)?.ok_or(DomainError::NoDomain)
}

fn change(tx: &Transaction<'_>, id: DomainId, site: &Site) -> Result<Domain, DomainError> {
    let before = by_id(tx, id)?.ok_or(DomainError::NoDomain)?;
    let app = alive(tx, before.app)?;
    check_target(&app, site)?;
    if site.whole_host().is_none() {
        check_unused(&app, &before)?;
    }
    let Site { host: _, path: _, strip, redirect_to, https_redirect } = site;
    tx.execute(
        "UPDATE domain SET strip = ?2, redirect_to = ?3, https_redirect = ?4 WHERE id = ?1",
        (id.0, strip, redirect_to.as_ref().map(HostName::as_str), https_redirect),
    )
    .map_err(StoreError::from)?;
    changed(tx, &app)?;
    by_id(tx, id)?.ok_or(DomainError::NoDomain)
}

fn remove(tx: &Transaction<'_>, id: DomainId) -> Result<Domain, DomainError> {
    let before = by_id(tx, id)?.ok_or(DomainError::NoDomain)?;
    let app = alive(tx, before.app)?;
    if before.automatic {
        return Err(DomainError::Automatic(before.site.to_string()));
    }
    check_unused(&app, &before)?;
    tx.execute("DELETE FROM domain WHERE id = ?1", [id.0]).map_err(StoreError::from)?;
    changed(tx, &app)?;
    Ok(before)
}

fn alive(tx: &Transaction<'_>, id: AppId) -> Result<App, DomainError> {
    let app = app::by_id(tx, id)?.ok_or(DomainError::NoApp)?;
    if app.deleting { Err(DomainError::Deleting(app.slug)) } else { Ok(app) }
}

/// What is redirected to must serve, and not send on again.
fn check_target(app: &App, site: &Site) -> Result<(), DomainError> {
    match &site.redirect_to {
        Some(to) if !app.hosts().any(|host| host == to) => Err(DomainError::NoTarget(to.clone())),
        Some(_) | None => Ok(()),
    }
}

/// Nobody is sent to where nothing answers.
fn check_unused(app: &App, domain: &Domain) -> Result<(), DomainError> {
    let Some(host) = domain.site.whole_host() else { return Ok(()) };
    let by = app.domains.iter().find(|other| other.site.redirect_to.as_ref() == Some(host));
    match by {
        Some(by) => Err(DomainError::RedirectedTo { host: host.clone(), by: by.site.to_string() }),
        None => Ok(()),
    }
}

/// The routes follow if anything of the app serves and its domains are others now.
pub(super) fn changed(tx: &Transaction<'_>, before: &App) -> Result<(), StoreError> {
    if before.live.is_some() && of(tx, before.id)? != before.domains {
        route::bump(tx)?;
    }
    Ok(())
}

/// The domains of an app: its own in the order they were given, then the automatic one.
pub(super) fn of(connection: &Connection, app: AppId) -> Result<Vec<Domain>, StoreError> {
    row::all(connection, "SELECT * FROM domain WHERE app = ?1 ORDER BY automatic, id", [app.0], read)
}

/// The same of every app.
pub(super) fn by_app(connection: &Connection) -> Result<BTreeMap<AppId, Vec<Domain>>, StoreError> {
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for domain in row::all(connection, "SELECT * FROM domain ORDER BY automatic, id", [], read)? {
        found.entry(domain.app).or_default().push(domain);
    }
    Ok(found)
}

fn by_id(connection: &Connection, id: DomainId) -> Result<Option<Domain>, StoreError> {
    row::first(connection, "SELECT * FROM domain WHERE id = ?1", [id.0], read)
}

fn read(row: &Row<'_>) -> Result<Domain, StoreError> {
    Ok(Domain {
        id: DomainId(row::number(row, "id")?),
        app: AppId(row::number(row, "app")?),
        automatic: row::number(row, "automatic")?,
        site: site(row)?,
    })
}

/// The site in a row of the table.
pub(super) fn site(row: &Row<'_>) -> Result<Site, StoreError> {
    Ok(Site {
        host: row::parsed(row, "host", Pattern::parse)?,
        path: row::parsed(row, "path", PathPrefix::parse)?,
        strip: row::number(row, "strip")?,
        redirect_to: row::maybe_parsed(row, "redirect_to", HostName::parse)?,
        https_redirect: row::number(row, "https_redirect")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::SubnetPool;
    use super::super::testing::{Fixture, NOW, host, new_app, slug};
    use super::*;

    fn site(text: &str) -> Site {
        let (host, path) = text.split_once('/').unwrap_or((text, ""));
        Site {
            host: Pattern::parse(host).unwrap(),
            path: PathPrefix::parse(&format!("/{path}")).unwrap(),
            ..Site::plain(HostName::parse("unused.test").unwrap())
        }
    }

    async fn generation(store: &Fixture) -> u64 {
        store.reader.routes().await.unwrap().generation
    }

    #[tokio::test]
    async fn what_an_app_of_another_team_has_is_said_and_not_whose_it_is() {
        let store = Fixture::new();
        let (blog, own) = (store.app("blog").await, store.app("shop").await);
        let team = store.writer.create_team(slug("other"), None, NOW).await.unwrap().id;
        let pool = SubnetPool::parse("10.90.0.0/16").unwrap();
        store.writer.create_project(team, slug("else"), vec![slug("production")], pool).await.unwrap();
        let new = crate::domain::app::NewApp { project: slug("else"), ..new_app("secret-plan") };
        let foreign = store.writer.create_app(new, None, NOW).await.unwrap();
        store.writer.add_domain(foreign.id, site("plan.theirs.test")).await.unwrap();
        store.writer.add_domain(own.id, site("ours.test")).await.unwrap();
        let refused =
            async |text| store.writer.add_domain(blog.id, site(text)).await.unwrap_err().to_string();
        for text in ["plan.theirs.test", "*.theirs.test"] {
            let words = refused(text).await;
            assert!(words.contains("another app"), "{words}");
            for secret in ["secret-plan", "else", "other"] {
                assert!(!words.replace("another", "").contains(secret), "{words}");
            }
        }
        assert!(!refused("*.theirs.test").await.contains("plan.theirs.test"));
        assert!(refused("ours.test").await.contains("belongs to app shop"), "of one's own team it is named");
        let mut new = new_app("docs");
        new.hosts = vec![host("plan.theirs.test")];
        let words = store.writer.create_app(new, None, NOW).await.unwrap_err().to_string();
        assert!(words.contains("another app") && !words.contains("secret-plan"), "{words}");
    }

    #[tokio::test]
    async fn domains_come_change_and_go_with_the_routes() {
        let store = Fixture::new();
        let blog = store.app("blog").await;
        store.writer.add_domain(blog.id, site("early.test")).await.unwrap();
        assert_eq!(generation(&store).await, 0, "nothing serves yet");
        store.live(&blog).await;
        let before = generation(&store).await;

        let api = Site { strip: true, https_redirect: false, ..site("a.test/api") };
        let added = store.writer.add_domain(blog.id, api.clone()).await.unwrap();
        assert_eq!((&added.site, added.app, added.automatic), (&api, blog.id, false));
        assert_eq!(store.reader.domain(added.id).await.unwrap().as_ref(), Some(&added));
        assert_eq!(generation(&store).await, before + 1);

        let kept = Site { strip: false, ..api };
        let changed = store.writer.change_domain(added.id, kept.clone()).await.unwrap();
        assert_eq!((changed.id, &changed.site), (added.id, &kept));
        assert_eq!(generation(&store).await, before + 2);
        store.writer.change_domain(added.id, kept).await.unwrap();
        assert_eq!(generation(&store).await, before + 2, "nothing changed");

        let sites = async || {
            let domains = store.reader.domains().await.unwrap();
            domains.iter().map(|domain| domain.site.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(sites().await, ["a.test/api", "early.test"]);
        store.writer.remove_domain(added.id).await.unwrap();
        assert_eq!((sites().await, generation(&store).await), (vec!["early.test".to_owned()], before + 3));
        let gone = store.writer.remove_domain(added.id).await.unwrap_err();
        assert!(matches!(gone, DomainError::NoDomain));
    }

    #[tokio::test]
    async fn one_host_and_path_belongs_to_one_app_and_one_host_to_one_project() {
        let store = Fixture::new();
        let (blog, shop) = (store.app("blog").await, store.app("shop").await);
        let pool = SubnetPool::parse("10.90.0.0/16").unwrap();
        store
            .writer
            .create_project(
                crate::domain::person::TeamId::FIRST,
                slug("else"),
                vec![slug("production")],
                pool,
            )
            .await
            .unwrap();
        let mut stranger = new_app("stranger");
        stranger.project = slug("else");
        let stranger = store.writer.create_app(stranger, None, NOW).await.unwrap();

        let check = async |app: &App, text: &str, expect: &str| {
            let outcome = store.writer.add_domain(app.id, site(text)).await;
            let words = outcome.map_or_else(|error| error.to_string(), |_| String::new());
            assert!(words.contains(expect) && words.is_empty() == expect.is_empty(), "{text}: {words}");
        };
        check(&blog, "a.test", "").await;
        check(&blog, "a.test", "a.test belongs to app blog").await;
        check(&shop, "a.test", "a.test belongs to app blog").await;
        check(&shop, "a.test/shop", "").await;
        check(&shop, "*.a.test", "").await;
        check(&blog, "www.a.test", "").await;
        check(&shop, "*.test", "").await;

        check(&stranger, "a.test/mine", "a.test of app blog").await;
        check(&stranger, "evil.a.test", "*.a.test of app shop").await;
        check(&stranger, "b.test", "*.test of app shop").await;
        check(&stranger, "deep.b.test", "").await;
        check(&stranger, "*.b.test", "").await;
        check(&stranger, "x.c.example", "").await;
        check(&blog, "*.c.example", "x.c.example of app stranger").await;
        check(&blog, "c.example", "").await;
    }

    #[tokio::test]
    async fn nobody_is_sent_to_where_nothing_answers() {
        let store = Fixture::new();
        let (blog, other) = (store.app("blog").await, store.app("other").await);
        store.writer.set_automatic_host(blog.id, Some(host("blog.test"))).await.unwrap();
        store.writer.add_domain(other.id, site("other.test")).await.unwrap();
        let to = |from: &str, to: &str| Site { redirect_to: Some(host(to)), ..site(from) };
        let refused = store.writer.add_domain(blog.id, to("www.a.test", "a.test")).await.unwrap_err();
        assert!(matches!(refused, DomainError::NoTarget(_)));
        let refused = store.writer.add_domain(blog.id, to("www.a.test", "other.test")).await.unwrap_err();
        assert!(matches!(refused, DomainError::NoTarget(_)), "of another app");

        let apex = store.writer.add_domain(blog.id, site("a.test")).await.unwrap();
        let www = store.writer.add_domain(blog.id, to("www.a.test", "a.test")).await.unwrap();
        let refused = store.writer.add_domain(blog.id, to("b.test", "www.a.test")).await.unwrap_err();
        assert!(matches!(refused, DomainError::NoTarget(_)), "it redirects itself");
        for refused in [
            store.writer.remove_domain(apex.id).await.unwrap_err(),
            store.writer.change_domain(apex.id, to("a.test", "blog.test")).await.unwrap_err(),
        ] {
            assert!(matches!(refused, DomainError::RedirectedTo { .. }), "{refused}");
        }
        store.writer.change_domain(www.id, to("www.a.test", "blog.test")).await.unwrap();
        store.writer.remove_domain(apex.id).await.unwrap();

        let automatic = store.reader.app_by_id(blog.id).await.unwrap().unwrap().domains.pop().unwrap();
        assert!(automatic.automatic);
        let refused = store.writer.remove_domain(automatic.id).await.unwrap_err();
        assert!(matches!(refused, DomainError::Automatic(_)));
        store.writer.set_automatic_host(blog.id, Some(host("blog.new.test"))).await.unwrap();
        let www = store.reader.domain(www.id).await.unwrap().unwrap();
        assert_eq!(www.site.redirect_to, Some(host("blog.new.test")), "it follows the name");
        store.writer.set_automatic_host(blog.id, None).await.unwrap();
        let www = store.reader.domain(www.id).await.unwrap().unwrap();
        assert_eq!(www.site.redirect_to, None, "rather served than sent nowhere");
    }
}
