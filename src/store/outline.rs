//! Deployments in lists: what a row shows, without the settings that each carries. Every list is one question.

use std::collections::BTreeMap;

use rusqlite::{Params, Row};

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use crate::domain::app::AppId;
use crate::domain::deployment::{Deployment, DeploymentId, State, Trigger};
use crate::domain::name::Slug;
use crate::domain::project::ProjectId;
use crate::domain::source::CommitId;
use crate::domain::time::Timestamp;

/// What a list shows of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Its number over all apps.
    pub id: DeploymentId,
    /// The app it belongs to.
    pub app: AppId,
    /// The name of that app.
    pub app_slug: Slug,
    /// Its number among the app's deployments.
    pub number: u32,
    /// What asked for it.
    pub trigger: Trigger,
    /// The number of the deployment that it brings back.
    pub back_to: Option<u32>,
    /// The commit, where it is known.
    pub commit: Option<CommitId>,
    /// Where it stands.
    pub state: State,
    /// Why it failed.
    pub failure: Option<String>,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it reached its end.
    pub ended: Option<Timestamp>,
}

impl Reader {
    /// The newest deployment of each app.
    pub async fn newest_deployments(&self) -> Result<BTreeMap<AppId, Outline>, StoreError> {
        let newest = "SELECT (SELECT max(id) FROM deployment WHERE app = app.id) FROM app";
        let found = self.outlines(format!("WHERE deployment.id IN ({newest})"), []).await?;
        Ok(found.into_iter().map(|one| (one.app, one)).collect())
    }

    /// Those that wait or are at work, oldest first.
    pub async fn unfinished_outlines(&self) -> Result<Vec<Outline>, StoreError> {
        self.outlines("WHERE ended IS NULL ORDER BY deployment.id".to_owned(), []).await
    }

    /// The newest `limit` deployments of an app before the one that a page ended with.
    pub async fn deployments_of(
        &self,
        app: AppId,
        before: Option<DeploymentId>,
        limit: u32,
    ) -> Result<Vec<Outline>, StoreError> {
        let rest = "WHERE deployment.app = ?1 AND deployment.id < ?2 ORDER BY deployment.id DESC LIMIT ?3";
        self.outlines(rest.to_owned(), (app.0, before.map_or(i64::MAX, |id| id.0), limit)).await
    }

    /// The deployment that was live last before the one of this number.
    pub async fn live_before(&self, app: AppId, number: u32) -> Result<Option<Deployment>, StoreError> {
        let rest =
            "WHERE deployment.app = ?1 AND number < ?2 AND state = 'live' ORDER BY number DESC LIMIT 1";
        match self.outlines(rest.to_owned(), (app.0, number)).await?.pop() {
            Some(found) => self.deployment(found.id).await,
            None => Ok(None),
        }
    }

    /// The newest `limit` deployments of all apps of these projects.
    pub async fn deployments_in(
        &self,
        projects: &[ProjectId],
        limit: u32,
    ) -> Result<Vec<Outline>, StoreError> {
        let projects: Vec<_> = projects.iter().map(|project| project.0).collect();
        let projects = format!("{projects:?}");
        // The index of apps and numbers is enough to find them; only those that are shown are read.
        let found = "SELECT one.id FROM app JOIN deployment AS one ON one.app = app.id \
                     WHERE app.project IN (SELECT value FROM json_each(?1)) ORDER BY one.id DESC LIMIT ?2";
        let rest = format!("WHERE deployment.id IN ({found}) ORDER BY deployment.id DESC");
        self.outlines(rest, (projects, limit)).await
    }

    async fn outlines(
        &self,
        rest: String,
        params: impl Params + Send + 'static,
    ) -> Result<Vec<Outline>, StoreError> {
        self.read(move |tx| row::all(tx, &format!("{SELECT} {rest}"), params, read)).await
    }
}

const SELECT: &str = "SELECT deployment.id AS id, deployment.app AS app, app.slug AS slug, number, requested_by, \
     back_to, commit_id, state, failure, deployment.created AS created, ended \
     FROM deployment JOIN app ON app.id = deployment.app";

fn read(row: &Row<'_>) -> Result<Outline, StoreError> {
    Ok(Outline {
        id: DeploymentId(row::number(row, "id")?),
        app: AppId(row::number(row, "app")?),
        app_slug: row::parsed(row, "slug", Slug::parse)?,
        number: row::number(row, "number")?,
        trigger: row::parsed(row, "requested_by", row::word(Trigger::parse))?,
        back_to: row::number(row, "back_to")?,
        commit: row::maybe_parsed(row, "commit_id", CommitId::parse)?,
        state: row::parsed(row, "state", row::word(State::parse))?,
        failure: row::number(row, "failure")?,
        created: row::time(row, "created")?,
        ended: row::maybe_time(row, "ended")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[tokio::test]
    async fn lists_show_what_there_is_newest_first() {
        let store = Fixture::new();
        let (blog, shop) = (store.app("blog").await, store.app("shop").await);
        let first = store.live(&blog).await;
        let second = store.enqueue(&blog).await;
        let other = store.enqueue(&shop).await;
        let ids = |found: Vec<Outline>| found.into_iter().map(|one| one.id).collect::<Vec<_>>();

        let newest = store.reader.newest_deployments().await.unwrap();
        assert_eq!((newest[&blog.id].id, newest[&shop.id].number), (second.id, 1));
        assert_eq!(ids(store.reader.unfinished_outlines().await.unwrap()), [second.id, other.id]);
        let of = |before, limit| store.reader.deployments_of(blog.id, before, limit);
        assert_eq!(ids(of(None, 9).await.unwrap()), [second.id, first.id]);
        assert_eq!(ids(of(None, 1).await.unwrap()), [second.id]);
        assert_eq!(ids(of(Some(second.id), 9).await.unwrap()), [first.id]);
        let all = store.reader.deployments_in(&[blog.project.id], 2).await.unwrap();
        assert_eq!(ids(all), [other.id, second.id]);
        assert_eq!(store.reader.deployments_in(&[], 2).await.unwrap(), []);
        assert_eq!(store.reader.live_before(blog.id, 2).await.unwrap(), Some(first));
        assert_eq!(store.reader.live_before(blog.id, 1).await.unwrap(), None);
    }
}
