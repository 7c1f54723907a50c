//! Which apps and services take webhooks of whom, and what tells the sender from others.

use rusqlite::{Row, Transaction};

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::writer::Writer;
use crate::domain::app::AppId;
use crate::domain::secret::Sealed;
use crate::domain::service::ServiceId;
use crate::domain::watch::Watch;
use crate::domain::webhook::{Key, Provider, Target, Webhook};

impl Writer {
    /// Stores a webhook; it takes the place of the earlier one of the same provider.
    pub async fn put_webhook(&self, webhook: Webhook) -> Result<(), StoreError> {
        self.write(move |tx| put(tx, &webhook)).await
    }

    /// Forgets a webhook; whether there was one. What was delivered to it stays in the log.
    pub async fn remove_webhook(&self, target: Target, provider: Provider) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let (app, service) = columns(target);
            let delete = "DELETE FROM webhook WHERE app IS ?1 AND service IS ?2 AND provider = ?3";
            Ok(tx.execute(delete, (app, service, provider.as_str()))? > 0)
        })
        .await
    }
}

impl Reader {
    /// Every webhook of an app or a service, or of all.
    pub async fn webhooks(&self, target: Option<Target>) -> Result<Vec<Webhook>, StoreError> {
        self.read(move |tx| {
            let Some(target) = target else {
                return row::all(tx, "SELECT * FROM webhook ORDER BY app, service, provider", [], read);
            };
            let sql = "SELECT * FROM webhook WHERE app IS ?1 AND service IS ?2 ORDER BY provider";
            row::all(tx, sql, columns(target), read)
        })
        .await
    }

    /// The webhook of a provider.
    pub async fn webhook(&self, target: Target, provider: Provider) -> Result<Option<Webhook>, StoreError> {
        self.read(move |tx| {
            let (app, service) = columns(target);
            let sql = "SELECT * FROM webhook WHERE app IS ?1 AND service IS ?2 AND provider = ?3";
            row::first(tx, sql, (app, service, provider.as_str()), read)
        })
        .await
    }
}

/// The two columns that say whose a row is.
pub(super) fn columns(target: Target) -> (Option<i64>, Option<i64>) {
    match target {
        Target::App(AppId(app)) => (Some(app), None),
        Target::Service(ServiceId(service)) => (None, Some(service)),
    }
}

/// Whose a row is, by those columns.
pub(super) fn target(row: &Row<'_>) -> Result<Target, StoreError> {
    match (row::number(row, "app")?, row::number(row, "service")?) {
        (Some(app), None) => Ok(Target::App(AppId(app))),
        (None, Some(service)) => Ok(Target::Service(ServiceId(service))),
        (Some(_), Some(_)) | (None, None) => Err(StoreError::Malformed("app")),
    }
}

fn put(tx: &Transaction<'_>, webhook: &Webhook) -> Result<(), StoreError> {
    let Webhook { target, provider, key, watch, created } = webhook;
    let (app, service) = columns(*target);
    let (sealed, hash) = match key {
        Key::Sealed(Sealed(bytes)) => (Some(bytes.as_slice()), None),
        Key::Hash(hash) => (None, Some(hash.as_slice())),
    };
    let watch = serde_json::to_string(watch.patterns()).map_err(|_| StoreError::Malformed("watch"))?;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO webhook (app, service, provider, sealed, hash, watch, created) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((app, service, provider.as_str(), sealed, hash, watch, created.0))?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Webhook, StoreError> {
    let sealed: Option<Vec<u8>> = row::number(row, "sealed")?;
    let key = match sealed {
        Some(bytes) => Key::Sealed(Sealed(bytes)),
        None => Key::Hash(row::number(row, "hash")?),
    };
    Ok(Webhook {
        target: target(row)?,
        provider: row::parsed(row, "provider", row::word(Provider::parse))?,
        key,
        watch: row::parsed(row, "watch", row::word(parse_watch))?,
        created: row::time(row, "created")?,
    })
}

fn parse_watch(json: &str) -> Option<Watch> {
    let patterns: Vec<String> = serde_json::from_str(json).ok()?;
    Watch::parse(&patterns).ok()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, NOW};
    use super::*;

    #[tokio::test]
    async fn one_webhook_a_provider() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let watch = Watch::parse(&["api/**"]).unwrap();
        let sealed = Key::Sealed(Sealed(vec![1, 2, 3]));
        let target = Target::App(app.id);
        let first = Webhook { target, provider: Provider::Github, key: sealed, watch, created: NOW };
        let second = Webhook {
            provider: Provider::Dockerhub,
            key: Key::Hash([7; 32]),
            watch: Watch::default(),
            ..first.clone()
        };
        let renewed = Webhook { key: Key::Sealed(Sealed(vec![4])), ..first.clone() };
        for webhook in [&first, &second, &renewed] {
            store.writer.put_webhook(webhook.clone()).await.unwrap();
        }
        assert_eq!(store.reader.webhooks(Some(target)).await.unwrap(), [second.clone(), renewed.clone()]);
        assert_eq!(store.reader.webhook(target, Provider::Github).await.unwrap(), Some(renewed));
        assert_eq!(store.reader.webhook(target, Provider::Gitea).await.unwrap(), None);
        assert!(store.writer.remove_webhook(target, Provider::Github).await.unwrap());
        assert!(!store.writer.remove_webhook(target, Provider::Github).await.unwrap());
        assert_eq!(store.reader.webhooks(None).await.unwrap(), [second]);
    }

    #[tokio::test]
    async fn an_app_and_a_service_of_one_number_have_webhooks_of_their_own() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let shop = store.service("shop").await;
        assert_eq!(app.id.0, shop.id.0);
        let (of_app, of_shop) = (Target::App(app.id), Target::Service(shop.id));
        let hook = |target, byte| {
            let (provider, watch) = (Provider::Github, Watch::default());
            Webhook { target, provider, key: Key::Sealed(Sealed(vec![byte])), watch, created: NOW }
        };
        for webhook in [hook(of_app, 1), hook(of_shop, 2), hook(of_shop, 3)] {
            store.writer.put_webhook(webhook).await.unwrap();
        }
        let found = async |target| store.reader.webhook(target, Provider::Github).await.unwrap();
        assert_eq!(found(of_app).await, Some(hook(of_app, 1)));
        assert_eq!(store.reader.webhooks(Some(of_shop)).await.unwrap(), [hook(of_shop, 3)]);
        assert!(store.writer.remove_webhook(of_app, Provider::Github).await.unwrap());
        assert_eq!(store.reader.webhooks(None).await.unwrap(), [hook(of_shop, 3)]);
        store.writer.begin_service_deletion(shop.id, false).await.unwrap();
        store.writer.finish_service_deletion(shop.id).await.unwrap();
        assert_eq!(store.reader.webhooks(None).await.unwrap(), []);
    }

    #[tokio::test]
    async fn webhooks_go_with_their_app() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let key = Key::Hash([7; 32]);
        let watch = Watch::default();
        let webhook =
            Webhook { target: Target::App(app.id), provider: Provider::Generic, key, watch, created: NOW };
        store.writer.put_webhook(webhook).await.unwrap();
        store.writer.begin_deletion(app.id, false).await.unwrap();
        store.writer.finish_deletion(app.id).await.unwrap();
        assert_eq!(store.reader.webhooks(None).await.unwrap(), []);
    }
}
