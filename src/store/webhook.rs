//! Which apps take webhooks of whom, and what tells the sender from others.

use rusqlite::{Row, Transaction};

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::writer::Writer;
use crate::domain::app::AppId;
use crate::domain::secret::Sealed;
use crate::domain::watch::Watch;
use crate::domain::webhook::{Key, Provider, Webhook};

impl Writer {
    /// Stores a webhook; it takes the place of the app's earlier one of the same provider.
    pub async fn put_webhook(&self, webhook: Webhook) -> Result<(), StoreError> {
        self.write(move |tx| put(tx, &webhook)).await
    }

    /// Forgets a webhook; whether there was one. What was delivered to it stays in the log.
    pub async fn remove_webhook(&self, app: AppId, provider: Provider) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let delete = "DELETE FROM webhook WHERE app = ?1 AND provider = ?2";
            Ok(tx.execute(delete, (app.0, provider.as_str()))? > 0)
        })
        .await
    }
}

impl Reader {
    /// Every webhook of an app, or of all.
    pub async fn webhooks(&self, app: Option<AppId>) -> Result<Vec<Webhook>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT * FROM webhook WHERE ?1 IS NULL OR app = ?1 ORDER BY app, provider";
            row::all(tx, sql, [app.map(|app| app.0)], read)
        })
        .await
    }

    /// An app's webhook of a provider.
    pub async fn webhook(&self, app: AppId, provider: Provider) -> Result<Option<Webhook>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT * FROM webhook WHERE app = ?1 AND provider = ?2";
            row::first(tx, sql, (app.0, provider.as_str()), read)
        })
        .await
    }
}

fn put(tx: &Transaction<'_>, webhook: &Webhook) -> Result<(), StoreError> {
    let Webhook { app, provider, key, watch, created } = webhook;
    let (sealed, hash) = match key {
        Key::Sealed(Sealed(bytes)) => (Some(bytes.as_slice()), None),
        Key::Hash(hash) => (None, Some(hash.as_slice())),
    };
    let watch = serde_json::to_string(watch.patterns()).map_err(|_| StoreError::Malformed("watch"))?;
    tx.prepare_cached(
        "INSERT OR REPLACE INTO webhook (app, provider, sealed, hash, watch, created) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((app.0, provider.as_str(), sealed, hash, watch, created.0))?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Webhook, StoreError> {
    let sealed: Option<Vec<u8>> = row::number(row, "sealed")?;
    let key = match sealed {
        Some(bytes) => Key::Sealed(Sealed(bytes)),
        None => Key::Hash(row::number(row, "hash")?),
    };
    Ok(Webhook {
        app: AppId(row::number(row, "app")?),
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
        let first = Webhook { app: app.id, provider: Provider::Github, key: sealed, watch, created: NOW };
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
        assert_eq!(store.reader.webhooks(Some(app.id)).await.unwrap(), [second.clone(), renewed.clone()]);
        assert_eq!(store.reader.webhook(app.id, Provider::Github).await.unwrap(), Some(renewed));
        assert_eq!(store.reader.webhook(app.id, Provider::Gitea).await.unwrap(), None);
        assert!(store.writer.remove_webhook(app.id, Provider::Github).await.unwrap());
        assert!(!store.writer.remove_webhook(app.id, Provider::Github).await.unwrap());
        assert_eq!(store.reader.webhooks(None).await.unwrap(), [second]);
    }

    #[tokio::test]
    async fn webhooks_go_with_their_app() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let key = Key::Hash([7; 32]);
        let watch = Watch::default();
        let webhook = Webhook { app: app.id, provider: Provider::Generic, key, watch, created: NOW };
        store.writer.put_webhook(webhook).await.unwrap();
        store.writer.begin_deletion(app.id, false).await.unwrap();
        store.writer.finish_deletion(app.id).await.unwrap();
        assert_eq!(store.reader.webhooks(None).await.unwrap(), []);
    }
}
