//! What the apps of a team may use together, looked at in the transaction that would have them use more.

use rusqlite::{Connection, Transaction};

use super::error::StoreError;
use super::people::PeopleError;
use super::reader::Reader;
use super::team::{self, Team};
use super::writer::Writer;
use super::{row, settings};
use crate::domain::app::{App, AppId, Settings};
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::quota::{OverQuota, Quota, Share};
use crate::domain::runtime::{Cpus, Memory};

impl Writer {
    /// Says what the apps of a team may use together from now on. What they use already they keep.
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
        let (team, id) = (app.project.team, app.id);
        let (before, after) = (Share::of(&app.settings), Share::of(settings));
        self.read(move |tx| Ok(check(tx, team, (id, before), after)?.err())).await
    }
}

/// Whether an app of a team, which may use `before`, may use so much.
fn check(
    connection: &Connection,
    team: TeamId,
    (own, before): (AppId, Share),
    after: Share,
) -> Result<Result<(), OverQuota>, StoreError> {
    let quota = of(connection, team)?;
    if quota.is_empty() {
        return Ok(Ok(()));
    }
    let all = shares(connection, team)?;
    let others: Vec<_> =
        all.into_iter().filter(|(id, ..)| *id != own).map(|(_, slug, share)| (slug, share)).collect();
    Ok(quota.allows(&others, Some(before), after))
}

/// What a new app of a team is set to, if the team may have one more that uses so much.
pub(super) fn of_new(
    tx: &Transaction<'_>,
    team: TeamId,
    settings: &Settings,
) -> Result<Result<Settings, OverQuota>, StoreError> {
    let quota = of(tx, team)?;
    let known = if quota.is_empty() { Vec::new() } else { shares(tx, team)? };
    let others: Vec<_> = known.into_iter().map(|(_, slug, share)| (slug, share)).collect();
    let settings = quota.filled(&others, settings);
    let another = quota.allows_another(others.len());
    let allowed = another.and_then(|()| quota.allows(&others, None, Share::of(&settings)));
    Ok(allowed.map(|()| settings))
}

/// The same of an app that is set anew.
pub(super) fn check_change(
    tx: &Transaction<'_>,
    app: &App,
    settings: &Settings,
) -> Result<Result<(), OverQuota>, StoreError> {
    check(tx, app.project.team, (app.id, Share::of(&app.settings)), Share::of(settings))
}

fn of(connection: &Connection, team: TeamId) -> Result<Quota, StoreError> {
    let found = team::by_id(connection, team)?;
    Ok(found.map(|team| team.quota).unwrap_or_default())
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
    use super::super::testing::{Fixture, NOW, new_app};
    use super::super::{ChangeAppError, CreateAppError, ScaleError};
    use super::*;
    use crate::domain::app::Replicas;

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
}
