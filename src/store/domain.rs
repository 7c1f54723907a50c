//! Domains: which app or service has which, and that nobody takes those of another.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;

use rusqlite::{Connection, Row, Transaction};
use thiserror::Error;

use super::error::StoreError;
use super::reader::Reader;
use super::writer::Writer;
use super::{app, route, row, service};
use crate::domain::app::{App, AppId};
use crate::domain::domain::{Behind, DOMAINS_MAX, Domain, DomainId, Inlet, PathPrefix, Pattern, Site};
use crate::domain::name::{HostName, Slug};
use crate::domain::person::TeamId;
use crate::domain::service::{Service, ServiceId};

/// Domains with what stands behind them, and its project.
pub(super) const HELD: &str = "domain LEFT JOIN app ON app.id = domain.app \
                               LEFT JOIN service ON service.id = domain.service \
                               JOIN project ON project.id = coalesce(app.project, service.project)";

/// Why a domain could not be added, changed or removed.
#[derive(Debug, Error)]
pub enum DomainError {
    /// There is no such app or service.
    #[error("there is no such {0}")]
    NoHolder(&'static str),
    /// There is no such domain.
    #[error("there is no such domain")]
    NoDomain,
    /// What it belongs to is being deleted.
    #[error("the {0} {1} is being deleted: it can be changed no more")]
    Deleting(&'static str, Slug),
    /// Something has it.
    #[error("{site} belongs to {holder} already: choose another one, or remove it there first")]
    Taken {
        /// The domain.
        site: String,
        /// What has it, which may be the same.
        holder: Holder,
    },
    /// Something of another project has a domain that covers it, or that it covers.
    #[error(
        "{site} and {other} of {holder} would share requests, and the two are of different projects: \
         remove that one first, or have both in one project"
    )]
    Overlaps {
        /// The domain.
        site: String,
        /// The domain that is there.
        other: String,
        /// What has it.
        holder: Holder,
    },
    /// It is the one that rivetr gives.
    #[error(
        "{0} is the name that rivetr gives to the app by itself: it cannot be removed, but it can redirect"
    )]
    Automatic(String),
    /// It is to redirect to something that is not answered by the same app or service.
    #[error("the {0} does not answer at {1} itself: add that domain first")]
    NoTarget(&'static str, HostName),
    /// Others redirect to it.
    #[error("{by} redirects to {host}: remove or change that one first")]
    RedirectedTo {
        /// The domain that is redirected to.
        host: HostName,
        /// The one that does.
        by: String,
    },
    /// There are enough.
    #[error("an app or a service has at most {DOMAINS_MAX} domains: remove one first")]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The app or service that has something. One of another team is not named to those who run into it.
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
        self.write(move |tx| add(tx, Behind::App(app), None, &site)).await
    }

    /// Gives a service one more domain, which leads to this container.
    pub async fn add_service_domain(
        &self,
        service: ServiceId,
        inlet: Inlet,
        site: Site,
    ) -> Result<Domain, DomainError> {
        self.write(move |tx| add(tx, Behind::Service(service), Some(&inlet), &site)).await
    }

    /// Changes what happens at a domain; where it is stays.
    pub async fn change_domain(&self, id: DomainId, site: Site) -> Result<Domain, DomainError> {
        self.write(move |tx| change(tx, id, &site)).await
    }

    /// Takes a domain from what has it.
    pub async fn remove_domain(&self, id: DomainId) -> Result<Domain, DomainError> {
        self.write(move |tx| remove(tx, id)).await
    }
}

impl Reader {
    /// The domain of that number.
    pub async fn domain(&self, id: DomainId) -> Result<Option<Domain>, StoreError> {
        self.read(move |tx| by_id(tx, id)).await
    }

    /// Every domain of all apps and services that are not being deleted.
    pub async fn domains(&self) -> Result<Vec<Domain>, StoreError> {
        let sql = format!(
            "SELECT domain.* FROM {HELD} WHERE NOT coalesce(app.deleting, service.deleting) ORDER BY host, path"
        );
        self.read(move |tx| row::all(tx, &sql, [], read)).await
    }
}

/// What came of a claim.
pub(super) enum Claim {
    /// It is theirs now.
    Done(DomainId),
    /// Something has it, perhaps the same.
    Taken(Holder),
    /// Something of another project has this one, which is about some of the same requests.
    Overlaps(String, Holder),
}

/// Gives a domain to an app or a service, unless one has it or has what must not overlap with it.
pub(super) fn claim(
    tx: &Transaction<'_>,
    behind: Behind,
    inlet: Option<&Inlet>,
    site: &Site,
    automatic: bool,
) -> Result<Claim, StoreError> {
    let Site { host, path, strip, redirect_to, https_redirect } = site;
    let home = home(tx, behind)?;
    let sql = format!("SELECT {HOLDER} FROM {HELD} WHERE host = ?1 AND path = ?2");
    let whose = |row: &Row<'_>| holder(row, &home);
    if let Some(holder) = row::first(tx, &sql, (host.to_string(), path.as_str()), whose)? {
        return Ok(Claim::Taken(holder));
    }
    if let Some((other, holder)) = overlapping(tx, &home, host)? {
        return Ok(Claim::Overlaps(other, holder));
    }
    let (app, service) = columns(behind);
    let id = tx
        .prepare_cached(
            "INSERT INTO domain (app, service, container, port, host, path, strip, redirect_to, https_redirect, automatic) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING id",
        )?
        .query_row(
            (
                app,
                service,
                inlet.map(|inlet| inlet.container.as_str()),
                inlet.map(|inlet| inlet.port.get()),
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

/// The columns that say what stands behind a domain: app, service.
fn columns(behind: Behind) -> (Option<i64>, Option<i64>) {
    match behind {
        Behind::App(id) => (Some(id.0), None),
        Behind::Service(id) => (None, Some(id.0)),
    }
}

/// Where something belongs.
struct Home {
    project: i64,
    team: TeamId,
}

fn home(connection: &Connection, behind: Behind) -> Result<Home, StoreError> {
    let sql = "SELECT id, team FROM project WHERE id = coalesce(\
               (SELECT project FROM app WHERE id = ?1), (SELECT project FROM service WHERE id = ?2))";
    let found = row::first(connection, sql, columns(behind), |row| {
        Ok(Home { project: row::number(row, "id")?, team: TeamId(row::number(row, "team")?) })
    })?;
    found.ok_or(StoreError::Malformed("project"))
}

/// A domain of another project that is about some of the same hosts. What is of one project may share a host; between
/// projects it would let one read what is meant for the other.
fn overlapping(
    tx: &Transaction<'_>,
    home: &Home,
    pattern: &Pattern,
) -> Result<Option<(String, Holder)>, StoreError> {
    let (covers, base) = match pattern {
        Pattern::Exact(host) => {
            ("host = '*.' || ?3", host.as_str().split_once('.').map_or("", |(_, rest)| rest))
        }
        Pattern::Below(base) => ("substr(host, instr(host, '.') + 1) = ?3", base.as_str()),
    };
    let sql = format!(
        "SELECT host, path, {HOLDER} FROM {HELD} WHERE project.id <> ?1 AND (host = ?2 OR {covers}) \
         ORDER BY host = ?2 DESC, host, path LIMIT 1"
    );
    row::first(tx, &sql, (home.project, pattern.to_string(), base), |row| {
        let (host, path) =
            (row::parsed(row, "host", Pattern::parse)?, row::parsed(row, "path", PathPrefix::parse)?);
        let path = if path.is_root() { "" } else { path.as_str() };
        let holder = holder(row, home)?;
        let site = if holder.foreign { "a domain".to_owned() } else { format!("{host}{path}") };
        Ok((site, holder))
    })
}

/// What a [`Holder`] is read from, of the rows of [`HELD`].
const HOLDER: &str = "coalesce(app.slug, service.slug) AS slug, domain.service IS NOT NULL AS is_service, \
                      project.team AS team";

/// The one that has a domain, as whoever is at `home` may know it.
fn holder(row: &Row<'_>, home: &Home) -> Result<Holder, StoreError> {
    let is_service: bool = row::number(row, "is_service")?;
    Ok(Holder {
        slug: row::parsed(row, "slug", Slug::parse)?,
        kind: if is_service { "service" } else { "app" },
        foreign: TeamId(row::number(row, "team")?) != home.team,
    })
}

/// An app or a service, as far as its domains are about it.
struct Kept {
    behind: Behind,
    kind: &'static str,
    domains: Vec<Domain>,
    /// Something of it serves, or would if it was not stopped.
    is_live: bool,
}

fn add(
    tx: &Transaction<'_>,
    behind: Behind,
    inlet: Option<&Inlet>,
    site: &Site,
) -> Result<Domain, DomainError> {
    let kept = alive(tx, behind)?;
    if kept.domains.len() >= DOMAINS_MAX {
        return Err(DomainError::TooMany);
    }
    check_target(&kept, site)?;
    let id = match claim(tx, behind, inlet, site, false)? {
        Claim::Done(id) => id,
        Claim::Taken(holder) => return Err(DomainError::Taken { site: site.to_string(), holder }),
        Claim::Overlaps(other, holder) => {
            return Err(DomainError::Overlaps { site: site.to_string(), other, holder });
        }
    };
    bump_if_changed(tx, &kept)?;
    by_id(tx, id)?.ok_or(DomainError::NoDomain)
}

fn change(tx: &Transaction<'_>, id: DomainId, site: &Site) -> Result<Domain, DomainError> {
    let before = by_id(tx, id)?.ok_or(DomainError::NoDomain)?;
    let kept = alive(tx, before.behind)?;
    check_target(&kept, site)?;
    if site.whole_host().is_none() {
        check_unused(&kept, &before)?;
    }
    let Site { host: _, path: _, strip, redirect_to, https_redirect } = site;
    tx.execute(
        "UPDATE domain SET strip = ?2, redirect_to = ?3, https_redirect = ?4 WHERE id = ?1",
        (id.0, strip, redirect_to.as_ref().map(HostName::as_str), https_redirect),
    )
    .map_err(StoreError::from)?;
    bump_if_changed(tx, &kept)?;
    by_id(tx, id)?.ok_or(DomainError::NoDomain)
}

fn remove(tx: &Transaction<'_>, id: DomainId) -> Result<Domain, DomainError> {
    let before = by_id(tx, id)?.ok_or(DomainError::NoDomain)?;
    let kept = alive(tx, before.behind)?;
    if before.automatic {
        return Err(DomainError::Automatic(before.site.to_string()));
    }
    check_unused(&kept, &before)?;
    tx.execute("DELETE FROM domain WHERE id = ?1", [id.0]).map_err(StoreError::from)?;
    bump_if_changed(tx, &kept)?;
    Ok(before)
}

fn alive(tx: &Transaction<'_>, behind: Behind) -> Result<Kept, DomainError> {
    let (kind, found) = match behind {
        Behind::App(id) => {
            let of = |app: App| (app.slug, app.deleting, app.domains, app.live.is_some());
            ("app", app::by_id(tx, id)?.map(of))
        }
        Behind::Service(id) => {
            let of =
                |service: Service| (service.slug, service.deleting, service.domains, service.live.is_some());
            ("service", service::by_id(tx, id)?.map(of))
        }
    };
    let (slug, deleting, domains, is_live) = found.ok_or(DomainError::NoHolder(kind))?;
    if deleting {
        return Err(DomainError::Deleting(kind, slug));
    }
    Ok(Kept { behind, kind, domains, is_live })
}

/// What is redirected to must serve, and not send on again.
fn check_target(kept: &Kept, site: &Site) -> Result<(), DomainError> {
    let mut hosts = kept.domains.iter().filter_map(|domain| domain.site.whole_host());
    match &site.redirect_to {
        Some(to) if !hosts.any(|host| host == to) => Err(DomainError::NoTarget(kept.kind, to.clone())),
        Some(_) | None => Ok(()),
    }
}

/// Nobody is sent to where nothing answers.
fn check_unused(kept: &Kept, domain: &Domain) -> Result<(), DomainError> {
    let Some(host) = domain.site.whole_host() else { return Ok(()) };
    let by = kept.domains.iter().find(|other| other.site.redirect_to.as_ref() == Some(host));
    match by {
        Some(by) => Err(DomainError::RedirectedTo { host: host.clone(), by: by.site.to_string() }),
        None => Ok(()),
    }
}

/// The routes follow if anything of the app serves and its domains are others now.
pub(super) fn changed(tx: &Transaction<'_>, before: &App) -> Result<(), StoreError> {
    let (domains, is_live) = (before.domains.clone(), before.live.is_some());
    bump_if_changed(tx, &Kept { behind: Behind::App(before.id), kind: "app", domains, is_live })
}

fn bump_if_changed(tx: &Transaction<'_>, before: &Kept) -> Result<(), StoreError> {
    if before.is_live && of(tx, before.behind)? != before.domains {
        route::bump(tx)?;
    }
    Ok(())
}

/// The domains of an app or a service: its own in the order they were given, then the automatic one.
pub(super) fn of(connection: &Connection, behind: Behind) -> Result<Vec<Domain>, StoreError> {
    let sql = "SELECT * FROM domain WHERE app = ?1 OR service = ?2 ORDER BY automatic, id";
    row::all(connection, sql, columns(behind), read)
}

/// The same of every app.
pub(super) fn by_app(connection: &Connection) -> Result<BTreeMap<AppId, Vec<Domain>>, StoreError> {
    let sql = "SELECT * FROM domain WHERE app IS NOT NULL ORDER BY automatic, id";
    let mut found = BTreeMap::<_, Vec<_>>::new();
    for domain in row::all(connection, sql, [], read)? {
        if let Behind::App(app) = domain.behind {
            found.entry(app).or_default().push(domain);
        }
    }
    Ok(found)
}

fn by_id(connection: &Connection, id: DomainId) -> Result<Option<Domain>, StoreError> {
    row::first(connection, "SELECT * FROM domain WHERE id = ?1", [id.0], read)
}

fn read(row: &Row<'_>) -> Result<Domain, StoreError> {
    let behind = match row::number::<Option<i64>>(row, "app")? {
        Some(app) => Behind::App(AppId(app)),
        None => Behind::Service(ServiceId(row::number(row, "service")?)),
    };
    Ok(Domain {
        id: DomainId(row::number(row, "id")?),
        behind,
        inlet: inlet(row)?,
        automatic: row::number(row, "automatic")?,
        site: site(row)?,
    })
}

/// Where the requests of a row of the table enter a service.
pub(super) fn inlet(row: &Row<'_>) -> Result<Option<Inlet>, StoreError> {
    let Some(container) = row::number::<Option<String>>(row, "container")? else { return Ok(None) };
    let port: u16 = row::number(row, "port")?;
    let port = NonZeroU16::new(port).ok_or(StoreError::Malformed("port"))?;
    Ok(Some(Inlet { container, port }))
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
        assert_eq!((&added.site, added.behind, added.automatic), (&api, Behind::App(blog.id), false));
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
        assert!(matches!(refused, DomainError::NoTarget("app", _)));
        let refused = store.writer.add_domain(blog.id, to("www.a.test", "other.test")).await.unwrap_err();
        assert!(matches!(refused, DomainError::NoTarget("app", _)), "of another app");

        let apex = store.writer.add_domain(blog.id, site("a.test")).await.unwrap();
        let www = store.writer.add_domain(blog.id, to("www.a.test", "a.test")).await.unwrap();
        let refused = store.writer.add_domain(blog.id, to("b.test", "www.a.test")).await.unwrap_err();
        assert!(matches!(refused, DomainError::NoTarget("app", _)), "it redirects itself");
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

    #[tokio::test]
    async fn a_service_has_domains_by_the_rules_of_apps() {
        let store = Fixture::new();
        let blog = store.app("blog").await;
        let service = async |name: &str, project: &str| {
            let (name, project) = (slug(name), slug(project));
            store.writer.create_service(&name, &project, "s".to_owned(), true, NOW).await.unwrap()
        };
        let shop = service("shop", "default").await;
        let pool = SubnetPool::parse("10.90.0.0/16").unwrap();
        let team = TeamId::FIRST;
        store.writer.create_project(team, slug("else"), vec![slug("production")], pool).await.unwrap();
        let stranger = service("stranger", "else").await;
        let inlet = || Inlet { container: "web".to_owned(), port: NonZeroU16::new(80).unwrap() };
        let add = async |id, site| store.writer.add_service_domain(id, inlet(), site).await;
        let refused = async |id, text| add(id, site(text)).await.unwrap_err().to_string();

        let api = add(shop.id, Site { strip: true, ..site("a.test/api") }).await.unwrap();
        assert_eq!((api.behind, api.inlet.as_ref()), (Behind::Service(shop.id), Some(&inlet())));
        store.writer.add_domain(blog.id, site("a.test")).await.unwrap();
        assert!(refused(shop.id, "a.test").await.contains("belongs to app blog"));
        let taken = store.writer.add_domain(blog.id, site("a.test/api")).await.unwrap_err();
        assert!(taken.to_string().contains("belongs to service shop"), "{taken}");
        for text in ["a.test/mine", "*.test"] {
            assert!(refused(stranger.id, text).await.contains("different projects"), "{text}");
        }

        let to = |from: &str, to: &str| Site { redirect_to: Some(host(to)), ..site(from) };
        let nowhere = add(shop.id, to("www.b.test", "b.test")).await.unwrap_err();
        assert!(matches!(nowhere, DomainError::NoTarget("service", _)), "{nowhere}");
        let apex = add(shop.id, site("b.test")).await.unwrap();
        let www = add(shop.id, to("www.b.test", "b.test")).await.unwrap();
        let kept = store.writer.remove_domain(apex.id).await.unwrap_err();
        assert!(matches!(kept, DomainError::RedirectedTo { .. }), "{kept}");
        let changed = Site { strip: false, ..api.site.clone() };
        assert_eq!(store.writer.change_domain(api.id, changed.clone()).await.unwrap().site, changed);
        let sites = async || {
            let found = store.reader.service_by_id(shop.id).await.unwrap();
            found.map(|shop| shop.domains.iter().map(|one| one.site.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(sites().await.unwrap(), ["a.test/api", "b.test", "www.b.test"]);
        for id in [www.id, apex.id] {
            store.writer.remove_domain(id).await.unwrap();
        }
        assert_eq!(sites().await.unwrap(), ["a.test/api"]);
        store.writer.begin_service_deletion(shop.id, false).await.unwrap();
        let deleting = add(shop.id, site("c.test")).await.unwrap_err();
        assert!(matches!(deleting, DomainError::Deleting("service", _)), "{deleting}");
        assert!(store.reader.domains().await.unwrap().iter().all(|one| one.behind == Behind::App(blog.id)));
        store.writer.finish_service_deletion(shop.id).await.unwrap();
        assert_eq!(sites().await, None);
    }
}
