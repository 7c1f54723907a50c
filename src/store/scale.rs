//! How many containers of an app answer, and whether it is to run at all: what changes without a deployment.

use rusqlite::{OptionalExtension, Transaction};
use thiserror::Error;

use super::error::StoreError;
use super::reader::Reader;
use super::writer::Writer;
use super::{app, quota, route};
use crate::domain::app::{AppId, Replicas, Settings, Wish};
use crate::domain::deployment::DeploymentId;
use crate::domain::name::Slug;
use crate::domain::quota::OverQuota;

/// Why an app does not get another number of containers.
#[derive(Debug, Error)]
pub enum ScaleError {
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// The app is being deleted.
    #[error("the app {0} is being deleted")]
    Deleting(Slug),
    /// A deployment is under way, which began with the number there is.
    #[error("deployment {0} of this app is under way: scale it when that has ended")]
    AtWork(u32),
    /// The team may not use so much.
    #[error(transparent)]
    OverQuota(OverQuota),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Says how many containers of an app are to answer: of its live release, of those that wait, and from now on.
    pub async fn scale(&self, app: AppId, replicas: Replicas) -> Result<(), ScaleError> {
        self.write(move |tx| scale(tx, app, replicas)).await
    }

    /// Sends requests to the replicas `first..=last` of a release, or none any more.
    pub async fn serve_replicas(
        &self,
        release: DeploymentId,
        (first, last): (u8, u8),
        serves: bool,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let changed = tx.execute(
                "UPDATE replica SET serves = ?4 WHERE deployment = ?1 AND number BETWEEN max(?2, 2) AND ?3 \
                 AND serves <> ?4",
                (release.0, first, last, serves),
            )?;
            if changed > 0 {
                route::bump(tx)?;
            }
            Ok(())
        })
        .await
    }

    /// Says whether an app is to run; requests are sent to one that does.
    pub async fn set_wish(&self, app: AppId, wish: Wish) -> Result<(), StoreError> {
        self.write(move |tx| {
            let word = match wish {
                Wish::Run => "run",
                Wish::Start => "start",
                Wish::Stop => "stop",
            };
            if tx.execute("UPDATE app SET wish = ?2 WHERE id = ?1 AND wish <> ?2", (app.0, word))? > 0 {
                route::bump(tx)?;
            }
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// How many containers of a release take requests.
    pub async fn serving(&self, release: DeploymentId) -> Result<u8, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT count(*) FROM container WHERE deployment = ?1 AND serves";
            Ok(tx.prepare_cached(sql)?.query_row([release.0], |row| row.get(0))?)
        })
        .await
    }
}

fn scale(tx: &Transaction<'_>, id: AppId, replicas: Replicas) -> Result<(), ScaleError> {
    let found = app::by_id(tx, id)?.ok_or(ScaleError::NoApp)?;
    if found.deleting {
        return Err(ScaleError::Deleting(found.slug));
    }
    let at_work = tx
        .prepare_cached(
            "SELECT number FROM deployment WHERE app = ?1 AND ended IS NULL AND state <> 'queued'",
        )
        .and_then(|mut statement| statement.query_row([id.0], |row| row.get(0)).optional());
    if let Some(number) = at_work.map_err(StoreError::from)? {
        return Err(ScaleError::AtWork(number));
    }
    let wanted = Settings { replicas, ..found.settings.clone() };
    quota::check_change(tx, &found, &wanted)?.map_err(ScaleError::OverQuota)?;
    let set = "SET settings = json_set(settings, '$.replicas', ?2)";
    for (table, rows) in [
        ("app", "id = ?1"),
        ("deployment", "app = ?1 AND state = 'queued'"),
        ("deployment", "id = (SELECT live FROM app WHERE id = ?1)"),
    ] {
        tx.execute(&format!("UPDATE {table} {set} WHERE {rows}"), (id.0, replicas.get()))
            .map_err(StoreError::from)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, host};
    use super::*;

    async fn targets(store: &Fixture) -> Vec<u8> {
        let routes = store.reader.routes().await.unwrap().routes;
        routes.iter().flat_map(|route| route.targets.iter().map(|(number, _)| *number)).collect()
    }

    #[tokio::test]
    async fn a_release_grows_and_shrinks_and_requests_go_where_they_are_answered() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        store.writer.set_automatic_host(app.id, Some(host("blog.test"))).await.unwrap();
        let live = store.live(&app).await;
        let three = Replicas::new(3).unwrap();
        store.writer.scale(app.id, three).await.unwrap();
        assert_eq!(store.reader.app_by_id(app.id).await.unwrap().unwrap().settings.replicas, three);
        assert_eq!(store.reader.deployment(live.id).await.unwrap().unwrap().settings.replicas, three);

        let given = store.writer.allocate_addresses(app.project.id, live.id, three).await.unwrap();
        assert_eq!(given.len(), 3);
        assert_eq!(given.first(), live.addresses.first());
        assert_eq!(store.reader.deployment(live.id).await.unwrap().unwrap().addresses, given);
        assert_eq!(targets(&store).await, [1], "nobody has asked the new ones yet");
        assert_eq!(store.reader.serving(live.id).await.unwrap(), 1);

        store.writer.serve_replicas(live.id, (2, 3), true).await.unwrap();
        assert_eq!(targets(&store).await, [1, 2, 3]);
        let before = store.reader.routes().await.unwrap().generation;
        store.writer.serve_replicas(live.id, (3, 3), false).await.unwrap();
        assert_eq!(targets(&store).await, [1, 2]);
        store.writer.serve_replicas(live.id, (1, 3), false).await.unwrap();
        assert_eq!(targets(&store).await, [1], "the first always serves");
        assert_eq!(store.reader.routes().await.unwrap().generation, before + 2);
        store.writer.free_replicas(live.id, Replicas::ONE).await.unwrap();
        assert_eq!(store.reader.deployment(live.id).await.unwrap().unwrap().addresses, live.addresses);
    }

    #[tokio::test]
    async fn who_deploys_is_not_scaled_and_who_waits_is() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let mut first = store.enqueue(&app).await;
        let two = Replicas::new(2).unwrap();
        store.writer.scale(app.id, two).await.unwrap();
        assert_eq!(store.reader.deployment(first.id).await.unwrap().unwrap().settings.replicas, two);
        first.fetch().unwrap();
        store.save(&first).await;
        let refused = store.writer.scale(app.id, Replicas::ONE).await.unwrap_err();
        assert!(matches!(refused, ScaleError::AtWork(1)), "{refused}");
    }

    #[tokio::test]
    async fn a_stopped_app_has_routes_to_nowhere_until_it_is_deployed() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        store.writer.set_automatic_host(app.id, Some(host("blog.test"))).await.unwrap();
        store.live(&app).await;
        for wish in [Wish::Stop, Wish::Start] {
            store.writer.set_wish(app.id, wish).await.unwrap();
            assert_eq!(store.reader.app_by_id(app.id).await.unwrap().unwrap().wish, wish);
            assert_eq!(
                (store.reader.routes().await.unwrap().routes.len(), targets(&store).await),
                (1, vec![])
            );
        }
        store.live(&app).await;
        assert_eq!(store.reader.app_by_id(app.id).await.unwrap().unwrap().wish, Wish::Run);
        assert_eq!(targets(&store).await, [1]);
    }
}
