//! What the apps, databases and services of a team may use together, looked at in the transaction that would have them use
//! more.

use rusqlite::{Connection, Transaction};

use super::error::StoreError;
use super::people::PeopleError;
use super::reader::Reader;
use super::team::{self, Team};
use super::writer::Writer;
use super::{database, row, service, settings};
use crate::domain::app::{App, AppId, Settings};
use crate::domain::database::{Database, DatabaseId};
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::quota::{OverQuota, Quota, Share};
use crate::domain::runtime::{Cpus, Limits, Memory};
use crate::domain::service::{Part, ServiceId};

impl Writer {
    /// Says what the apps, databases and services of a team may use together from now on. What they use already they keep.
    pub async fn set_quota(&self, team: TeamId, quota: Quota) -> Result<Team, PeopleError> {
        self.write(move |tx| {
            let Quota { apps, memory, cpus } = quota;
            let sql = "UPDATE team SET apps_most = ?2, memory_most = ?3, cpus_most = ?4 WHERE id = ?1";
            let (memory, cpus) = (memory.map(|memory| memory.to_string()), cpus.map(|cpus| cpus.to_string()));
            tx.execute(sql, (team.0, apps, memory, cpus))?;
            team::by_id(tx, team)?.ok_or(PeopleError::NoTeam)
        })
        .await
    }
}

impl Reader {
    /// Whether a release of an app that is set to this would be more than its team may use.
    pub async fn over_quota(&self, app: &App, settings: &Settings) -> Result<Option<OverQuota>, StoreError> {
        let (team, own) = (app.project.team, Of::App(app.id));
        let (before, after) = (Share::of(&app.settings), Share::of(settings));
        self.read(move |tx| Ok(check(tx, team, (own, Some(before)), after)?.err())).await
    }
}

/// One of those that use something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    App(AppId),
    Database(DatabaseId),
    Service(ServiceId),
}

/// Whether one of a team, which may use `before` if it is there, may use so much.
fn check(
    connection: &Connection,
    team: TeamId,
    (own, before): (Of, Option<Share>),
    after: Share,
) -> Result<Result<(), OverQuota>, StoreError> {
    let quota = of(connection, team)?;
    if quota.is_empty() {
        return Ok(Ok(()));
    }
    let others = others(connection, team, Some(own))?;
    Ok(quota.allows(&others, before, after))
}

/// What a new app of a team is set to, if the team may have one more that uses so much.
pub(super) fn of_new(
    tx: &Transaction<'_>,
    team: TeamId,
    settings: &Settings,
) -> Result<Result<Settings, OverQuota>, StoreError> {
    let quota = of(tx, team)?;
    let others = if quota.is_empty() { Vec::new() } else { others(tx, team, None)? };
    let settings = quota.filled(&others, settings);
    let another = quota.allows_another(others.len());
    let allowed = another.and_then(|()| quota.allows(&others, None, Share::of(&settings)));
    Ok(allowed.map(|()| settings))
}

/// The limits of a new database of a team, likewise.
pub(super) fn of_new_database(
    tx: &Transaction<'_>,
    team: TeamId,
    limits: Limits,
) -> Result<Result<Limits, OverQuota>, StoreError> {
    let quota = of(tx, team)?;
    let others = if quota.is_empty() { Vec::new() } else { others(tx, team, None)? };
    let limits = quota.filled_limits(&others, limits, 1);
    let another = quota.allows_another(others.len());
    let allowed = another.and_then(|()| quota.allows(&others, None, Share::of_limits(limits, 1)));
    Ok(allowed.map(|()| limits))
}

/// Whether a database may have these limits from now on.
pub(super) fn of_database(
    tx: &Transaction<'_>,
    database: &Database,
    limits: Limits,
) -> Result<Result<(), OverQuota>, StoreError> {
    let before = Share::of_limits(database.settings.limits, 1);
    let own = (Of::Database(database.id), Some(before));
    check(tx, database.project.team, own, Share::of_limits(limits, 1))
}

/// Whether a database may come back from the trash.
pub(super) fn of_returned_database(
    tx: &Transaction<'_>,
    database: &Database,
) -> Result<Result<(), OverQuota>, StoreError> {
    let (quota, team) = (of(tx, database.project.team)?, database.project.team);
    if quota.is_empty() {
        return Ok(Ok(()));
    }
    let others = others(tx, team, Some(Of::Database(database.id)))?;
    let share = Share::of_limits(database.settings.limits, 1);
    Ok(quota.allows_another(others.len()).and_then(|()| quota.allows(&others, None, share)))
}

/// Whether a team may have one service more.
pub(super) fn of_new_service(
    tx: &Transaction<'_>,
    team: TeamId,
) -> Result<Result<(), OverQuota>, StoreError> {
    let quota = of(tx, team)?;
    let there = if quota.is_empty() { 0 } else { others(tx, team, None)?.len() };
    Ok(quota.allows_another(there))
}

/// Whether a service may have these containers from now on.
pub(super) fn of_revision(
    tx: &Transaction<'_>,
    service: ServiceId,
    parts: &[Part],
) -> Result<Result<(), OverQuota>, StoreError> {
    let sql = "SELECT project.team AS team FROM service JOIN project ON project.id = service.project \
               WHERE service.id = ?1";
    let Some(team) = row::first(tx, sql, [service.0], |row| Ok(TeamId(row::number(row, "team")?)))? else {
        return Ok(Ok(())); // it is gone
    };
    let before = services(tx, team)?.into_iter().find(|(id, ..)| *id == service);
    let before = before.and_then(|(_, _, share)| share);
    check(tx, team, (Of::Service(service), before), Share::of_parts(parts))
}

/// The same of an app that is set anew.
pub(super) fn check_change(
    tx: &Transaction<'_>,
    app: &App,
    settings: &Settings,
) -> Result<Result<(), OverQuota>, StoreError> {
    let own = (Of::App(app.id), Some(Share::of(&app.settings)));
    check(tx, app.project.team, own, Share::of(settings))
}

fn of(connection: &Connection, team: TeamId) -> Result<Quota, StoreError> {
    let found = team::by_id(connection, team)?;
    Ok(found.map(|team| team.quota).unwrap_or_default())
}

/// All but one of a team, as people call them, with what each may use.
fn others(
    connection: &Connection,
    team: TeamId,
    own: Option<Of>,
) -> Result<Vec<(String, Share)>, StoreError> {
    let mut all: Vec<(Of, String, Share)> = shares(connection, team)?
        .into_iter()
        .map(|(id, slug, share)| (Of::App(id), slug.to_string(), share))
        .collect();
    all.extend(database::of_team(connection, team)?.into_iter().map(|(id, slug, limits)| {
        (Of::Database(id), format!("the database {slug}"), Share::of_limits(limits, 1))
    }));
    all.extend(services(connection, team)?.into_iter().map(|(id, slug, share)| {
        // One that never came so far uses nothing.
        (Of::Service(id), format!("the service {slug}"), share.unwrap_or_else(|| Share::of_parts(&[])))
    }));
    Ok(all.into_iter().filter(|(id, ..)| Some(*id) != own).map(|(_, name, share)| (name, share)).collect())
}

/// What each service of a team may use: as the revision that serves, and as one that is on its way; none: it has neither.
fn services(
    connection: &Connection,
    team: TeamId,
) -> Result<Vec<(ServiceId, Slug, Option<Share>)>, StoreError> {
    let sql = "SELECT service.id AS id, service.slug AS slug, revision.parts AS parts FROM service \
                 JOIN project ON project.id = service.project \
                 LEFT JOIN revision ON revision.service = service.id \
                   AND revision.state NOT IN ('failed', 'superseded') \
               WHERE project.team = ?1 ORDER BY service.id";
    let rows = row::all(connection, sql, [team.0], |row| {
        let parts = row::maybe_parsed(row, "parts", service::parts)?;
        let slug = row::parsed(row, "slug", Slug::parse)?;
        let share = parts.map(|parts: Vec<Part>| Share::of_parts(&parts));
        Ok((ServiceId(row::number(row, "id")?), slug, share))
    })?;
    let mut found: Vec<(ServiceId, Slug, Option<Share>)> = Vec::new();
    for (id, slug, share) in rows {
        match found.last_mut() {
            Some((last, _, known)) if *last == id => {
                *known = match (*known, share) {
                    (Some(known), Some(share)) => Some(known.most(share)),
                    (known, share) => known.or(share),
                };
            }
            Some(_) | None => found.push((id, slug, share)),
        }
    }
    Ok(found)
}

/// What each app of a team may use: as it is set, and as its release was that serves or that is on its way.
fn shares(connection: &Connection, team: TeamId) -> Result<Vec<(AppId, Slug, Share)>, StoreError> {
    let sql = "SELECT app.id AS id, app.slug AS slug, app.settings AS settings FROM app \
                 JOIN project ON project.id = app.project WHERE project.team = ?1 \
               UNION ALL SELECT app.id, app.slug, deployment.settings FROM app \
                 JOIN project ON project.id = app.project JOIN deployment ON deployment.app = app.id \
                 WHERE project.team = ?1 AND (deployment.ended IS NULL OR deployment.id = app.live) \
               ORDER BY 1";
    let rows = row::all(connection, sql, [team.0], |row| {
        let settings = row::parsed(row, "settings", settings::from_json)?;
        let slug = row::parsed(row, "slug", Slug::parse)?;
        Ok((AppId(row::number(row, "id")?), slug, Share::of(&settings)))
    })?;
    let mut shares: Vec<(AppId, Slug, Share)> = Vec::new();
    for (id, slug, share) in rows {
        match shares.last_mut() {
            Some((last, _, known)) if *last == id => *known = known.most(share),
            Some(_) | None => shares.push((id, slug, share)),
        }
    }
    Ok(shares)
}

/// What stands in the columns of a team.
pub(super) fn read(row: &rusqlite::Row<'_>) -> Result<Quota, StoreError> {
    Ok(Quota {
        apps: row::number(row, "apps_most")?,
        memory: row::maybe_parsed(row, "memory_most", Memory::parse)?,
        cpus: row::maybe_parsed(row, "cpus_most", Cpus::parse)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, NOW, new_app, slug};
    use super::super::{ChangeAppError, CreateAppError, DatabaseError, NewDatabase, NewRevision, ScaleError};
    use super::*;
    use crate::domain::app::Replicas;
    use crate::domain::database::{Credentials, DatabaseKind, DatabaseWord, Settings as DatabaseSettings};
    use crate::domain::secret::Sealed;

    fn limited(memory: &str) -> Settings {
        let mut settings = new_app("x").settings;
        settings.variables.clear();
        settings.runtime.limits.memory = Memory::parse(memory).ok();
        settings
    }

    #[tokio::test]
    async fn an_app_is_made_changed_and_scaled_only_as_far_as_its_team_may_go() {
        let store = Fixture::new();
        let blog = store.app("blog").await;
        let quota = Quota { apps: Some(2), memory: Memory::parse("2G").ok(), cpus: None };
        let team = store.writer.set_quota(TeamId::FIRST, quota).await.unwrap();
        assert_eq!(team.quota, quota);
        // The one that was there has no limit: it stays, and nothing comes beside it.
        let change = async |settings| store.writer.change_app(blog.id, settings, None).await;
        change(limited("")).await.unwrap();
        let make = async |name, memory| {
            let mut new = new_app(name);
            new.settings.runtime.limits.memory = Memory::parse(memory).ok();
            store.writer.create_app(new, None, NOW).await
        };
        let over = |error: CreateAppError| {
            let CreateAppError::OverQuota(over) = error else { panic!("{error}") };
            over
        };
        assert_eq!(over(make("shop", "1G").await.unwrap_err()).field, "runtime.memory");
        change(limited("1G")).await.unwrap();
        make("shop", "1G").await.unwrap();
        assert_eq!(over(make("third", "8M").await.unwrap_err()).field, "name");
        assert!(matches!(change(limited("1025M")).await, Err(ChangeAppError::OverQuota(_))));
        let two = Replicas::new(2).unwrap();
        assert!(matches!(store.writer.scale(blog.id, two).await, Err(ScaleError::OverQuota(_))));
        change(limited("512M")).await.unwrap();
        store.writer.scale(blog.id, two).await.unwrap();
        store.writer.set_quota(TeamId::FIRST, Quota::default()).await.unwrap();
        let free = make("third", "").await.unwrap();
        assert_eq!(free.settings.runtime.limits.memory, None);
        // Where the team may use only so much, who says nothing gets the usual limit.
        let quota = Quota { memory: Memory::parse("8G").ok(), ..Quota::default() };
        store.writer.change_app(free.id, limited("1G"), None).await.unwrap();
        store.writer.set_quota(TeamId::FIRST, quota).await.unwrap();
        let fourth = make("fourth", "").await.unwrap();
        assert_eq!(fourth.settings.runtime.limits.memory, Memory::parse("512M").ok());
    }

    #[tokio::test]
    async fn what_a_release_may_use_counts_as_long_as_it_serves() {
        let store = Fixture::new();
        let blog = store.app("blog").await;
        let blog = store.writer.change_app(blog.id, limited("1G"), None).await.unwrap();
        store.live(&blog).await;
        let quota = Quota { memory: Memory::parse("2G").ok(), ..Quota::default() };
        store.writer.set_quota(TeamId::FIRST, quota).await.unwrap();
        let over = async |memory| store.reader.over_quota(&blog, &limited(memory)).await.unwrap();
        assert_eq!((over("1G").await, over("2G").await), (None, None));
        assert_eq!(over("3G").await.map(|over| over.field), Some("runtime.memory"));
        let read = |tx: &Connection| shares(tx, TeamId::FIRST);
        let all = store.reader.read(move |tx| read(tx)).await.unwrap();
        assert_eq!(all, [(blog.id, blog.slug.clone(), Share::of(&limited("1G")))]);
    }
    fn database(name: &str, memory: &str, scratch: bool) -> NewDatabase {
        NewDatabase {
            slug: slug(name),
            project: slug("default"),
            kind: DatabaseKind::Valkey,
            settings: DatabaseSettings {
                image: DatabaseKind::Valkey.image("8").unwrap(),
                config: None,
                limits: Limits { memory: Memory::parse(memory).ok(), cpus: None },
                public: None,
            },
            credentials: Credentials {
                user: DatabaseWord::parse("u").unwrap(),
                database: DatabaseWord::parse("d").unwrap(),
                password: Sealed(vec![0]),
                root_password: Sealed(vec![0]),
            },
            volume: format!("v-{name}"),
            scratch,
        }
    }

    fn part(memory: Option<u64>) -> Part {
        Part {
            name: "web".to_owned(),
            image: String::new(),
            units: vec!["a".to_owned(), "b".to_owned()],
            addresses: Vec::new(),
            published: Vec::new(),
            ports: Vec::new(),
            checked: false,
            memory,
            cpus: None,
        }
    }

    #[tokio::test]
    async fn databases_and_services_count_as_apps_do() {
        let store = Fixture::new();
        let blog = store.app("blog").await;
        store.writer.change_app(blog.id, limited("1G"), None).await.unwrap();
        let quota = Quota { apps: Some(3), memory: Memory::parse("2G").ok(), cpus: None };
        store.writer.set_quota(TeamId::FIRST, quota).await.unwrap();
        let over = |error: DatabaseError| {
            let DatabaseError::OverQuota(over) = error else { panic!("{error}") };
            (over.field, over.message)
        };
        let create = async |new| store.writer.create_database(new, NOW).await;
        let (field, _) = over(create(database("large", "1025M", false)).await.unwrap_err());
        assert_eq!(field, "runtime.memory");
        // Who says nothing gets the usual, and what a restore makes for itself is nobody's.
        let orders = create(database("orders", "", false)).await.unwrap();
        assert_eq!(orders.settings.limits.memory, Memory::parse("512M").ok());
        create(database("trial", "8G", true)).await.unwrap();
        let trial = store.reader.database(&slug("trial")).await.unwrap().unwrap();
        // Nor while it is there.
        let small = create(database("small", "8M", false)).await.unwrap();
        store.writer.trash_database(small.id, NOW).await.unwrap();
        store.writer.trash_database(trial.id, NOW).await.unwrap();
        let more = |memory: &str| {
            let limits = Limits { memory: Memory::parse(memory).ok(), cpus: None };
            DatabaseSettings { limits, ..orders.settings.clone() }
        };
        let (_, said) = over(store.writer.set_database_settings(orders.id, more("2G")).await.unwrap_err());
        assert!(said.contains("so 1G is left"), "{said}");
        let (_, said) = over(store.writer.restore_database(trial.id).await.unwrap_err());
        assert!(said.contains("so 512M is left"), "{said}");

        let project = slug("default");
        let service = async |name: &str| {
            store.writer.create_service(&slug(name), &project, String::new(), true, NOW).await
        };
        let shop = service("shop").await.unwrap();
        let revision = async |memory: Option<u64>| {
            let part = part(memory);
            let number = store.reader.next_revision(shop.id).await.unwrap();
            let (service, content) = (shop.id, Sealed(vec![0]));
            let new = NewRevision {
                service,
                number,
                back_to: None,
                parts: vec![part],
                content,
                commit: None,
                warnings: vec![],
            };
            store.writer.add_revision(new, NOW).await.map_err(|error| error.to_string())
        };
        assert!(revision(None).await.unwrap_err().contains("give this one a limit"));
        assert!(revision(Some(257 << 20)).await.unwrap_err().contains("this would be 514M"));
        revision(Some(256 << 20)).await.unwrap();
        assert!(service("fourth").await.unwrap_err().to_string().contains("and has 3"));
        let (field, _) = over(create(database("fourth", "8M", false)).await.unwrap_err());
        assert_eq!(field, "name");
        assert!(store.writer.change_app(blog.id, limited("1025M"), None).await.is_err());
    }
}
