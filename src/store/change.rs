//! Changes of an app: its settings, its hosts, and the limits of what runs already.

use rusqlite::Transaction;
use thiserror::Error;

use super::domain::Holder;
use super::error::StoreError;
use super::writer::Writer;
use super::{app, domain, quota, row, settings};
use crate::domain::app::{App, AppId, Settings};
use crate::domain::name::{HostName, Slug};
use crate::domain::quota::OverQuota;
use crate::domain::runtime::Limits;

/// Why an app could not be changed.
#[derive(Debug, Error)]
pub enum ChangeAppError {
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// It is being deleted.
    #[error("the app {0} is being deleted: it can be changed no more")]
    Deleting(Slug),
    /// Another app answers for the host.
    #[error("the host {host} belongs to {app}: choose another one, or take it from that app first")]
    HostTaken {
        /// The host.
        host: HostName,
        /// The app that has it.
        app: Holder,
    },
    /// Others of its domains redirect to the host.
    #[error("{by} redirects to {host}: remove or change that one first, with `rivetr domains`")]
    RedirectedTo {
        /// The host.
        host: HostName,
        /// The domain that redirects.
        by: String,
    },
    /// The team may not use so much.
    #[error(transparent)]
    OverQuota(OverQuota),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Stores what an app is set to from now on, and its own hosts if they are given. The limits also become those
    /// of its live release and of the deployments on their way.
    pub async fn change_app(
        &self,
        app: AppId,
        settings: Settings,
        hosts: Option<Vec<HostName>>,
    ) -> Result<App, ChangeAppError> {
        self.write(move |tx| change(tx, app, &settings, hosts.as_deref())).await
    }
}

fn change(
    tx: &Transaction<'_>,
    id: AppId,
    settings: &Settings,
    hosts: Option<&[HostName]>,
) -> Result<App, ChangeAppError> {
    let before = app::by_id(tx, id)?.ok_or(ChangeAppError::NoApp)?;
    if before.deleting {
        return Err(ChangeAppError::Deleting(before.slug));
    }
    quota::check_change(tx, &before, settings)?.map_err(ChangeAppError::OverQuota)?;
    let text = settings::to_json(settings)?;
    tx.execute("UPDATE app SET settings = ?2 WHERE id = ?1", (id.0, text)).map_err(StoreError::from)?;
    if before.settings.runtime.limits != settings.runtime.limits {
        limit(tx, id, settings.runtime.limits)?;
    }
    if let Some(hosts) = hosts {
        set_hosts(tx, &before, hosts)?;
    }
    app::by_id(tx, id)?.ok_or(ChangeAppError::NoApp)
}

/// What serves or is to serve soon is bound by the new limits too; what is over keeps what it ran with.
fn limit(tx: &Transaction<'_>, app: AppId, limits: Limits) -> Result<(), StoreError> {
    let sql = "SELECT deployment.id AS id, deployment.settings AS settings FROM deployment \
               JOIN app ON app.id = deployment.app \
               WHERE app.id = ?1 AND (deployment.ended IS NULL OR deployment.id = app.live)";
    let bound = row::all(tx, sql, [app.0], |row| {
        Ok((row::number::<i64>(row, "id")?, row::parsed(row, "settings", settings::from_json)?))
    })?;
    for (id, mut of_release) in bound {
        of_release.runtime.limits = limits;
        tx.execute(
            "UPDATE deployment SET settings = ?2 WHERE id = ?1",
            (id, settings::to_json(&of_release)?),
        )?;
    }
    Ok(())
}

/// Gives an app these whole hosts of its own. What else it has, parts of hosts and redirects, stays; so does what is
/// said about a host that it keeps.
fn set_hosts(tx: &Transaction<'_>, before: &App, wanted: &[HostName]) -> Result<(), ChangeAppError> {
    for domain in before.domains.iter().filter(|domain| !domain.automatic) {
        let Some(host) = domain.site.whole_host().filter(|host| !wanted.contains(host)) else { continue };
        let by = before.domains.iter().find(|other| other.site.redirect_to.as_ref() == Some(host));
        if let Some(by) = by {
            return Err(ChangeAppError::RedirectedTo { host: host.clone(), by: by.site.to_string() });
        }
        tx.execute("DELETE FROM domain WHERE id = ?1", [domain.id.0]).map_err(StoreError::from)?;
    }
    for host in wanted {
        if let Some(other) = app::claim(tx, before.id, host, false)?
            && other.slug != before.slug
        {
            return Err(ChangeAppError::HostTaken { host: host.clone(), app: other });
        }
        let serves = "UPDATE domain SET redirect_to = NULL WHERE app = ?1 AND host = ?2 AND path = '/'";
        tx.execute(serves, (before.id.0, host.as_str())).map_err(StoreError::from)?;
    }
    Ok(domain::changed(tx, before)?)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::super::Wish;
    use super::super::testing::{Fixture, NOW, host};
    use super::*;
    use crate::domain::deployment::{DeploymentId, Trigger};
    use crate::domain::domain::{PathPrefix, Site};
    use crate::domain::runtime::Memory;

    fn limited(text: &str) -> Settings {
        let mut settings = Settings::new(NonZeroU16::new(3000).unwrap());
        settings.runtime.limits.memory = Some(Memory::parse(text).unwrap());
        settings.runtime.read_only = true;
        settings
    }

    #[tokio::test]
    async fn limits_reach_what_serves_and_what_is_on_its_way_and_nothing_else_does() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let (old, live, next) = (store.live(&app).await, store.live(&app).await, store.enqueue(&app).await);
        let changed = store.writer.change_app(app.id, limited("512M"), None).await.unwrap();
        assert_eq!(changed.settings, limited("512M"));
        let settings = async |id: DeploymentId| store.reader.deployment(id).await.unwrap().unwrap().settings;
        assert_eq!(settings(old.id).await, old.settings);
        for bound in [live, next] {
            let mut expect = bound.settings;
            expect.runtime.limits = limited("512M").runtime.limits;
            assert_eq!(settings(bound.id).await, expect);
        }
    }

    #[tokio::test]
    async fn hosts_are_replaced_and_those_of_others_refused() {
        let store = Fixture::new();
        let (blog, other) = (store.app("blog").await, store.app("other").await);
        store.writer.set_automatic_host(blog.id, Some(host("blog.test"))).await.unwrap();
        store.live(&blog).await;
        let generation = async || store.reader.routes().await.unwrap().generation;
        let change = |app: &App, hosts: &[&str]| {
            let hosts = hosts.iter().map(|name| host(name)).collect();
            store.writer.change_app(app.id, app.settings.clone(), Some(hosts))
        };
        let before = generation().await;
        let changed = change(&blog, &["b.test", "a.test"]).await.unwrap();
        assert!(changed.hosts().eq(&[host("b.test"), host("a.test"), host("blog.test")]));
        assert_eq!(generation().await, before + 1);
        change(&blog, &["b.test", "a.test"]).await.unwrap();
        assert_eq!(generation().await, before + 1, "nothing changed");

        let refused = change(&other, &["new.test", "a.test"]).await.unwrap_err();
        assert!(matches!(refused, ChangeAppError::HostTaken { app, .. } if app.slug == blog.slug));
        let none = store.reader.app_by_id(other.id).await.unwrap().unwrap().domains;
        assert_eq!(none, [], "nothing of it is left");
        change(&blog, &[]).await.unwrap();
        change(&other, &["a.test"]).await.unwrap();

        store.writer.begin_deletion(blog.id, true).await.unwrap();
        assert!(store.reader.takes_volumes_along(blog.id).await.unwrap());
        assert!(matches!(change(&blog, &[]).await.unwrap_err(), ChangeAppError::Deleting(_)));
    }

    #[tokio::test]
    async fn what_is_said_about_a_host_stays_with_it() {
        let store = Fixture::new();
        let blog = store.app("blog").await;
        let change = |hosts: &[&str]| {
            let hosts = hosts.iter().map(|name| host(name)).collect();
            store.writer.change_app(blog.id, blog.settings.clone(), Some(hosts))
        };
        let site = |name: &str| Site::plain(host(name));
        let apex = Site { https_redirect: false, ..site("a.test") };
        let api = Site { path: PathPrefix::parse("/api").unwrap(), ..site("c.test") };
        let www = Site { redirect_to: Some(host("a.test")), ..site("www.a.test") };
        for site in [&apex, &api, &www] {
            store.writer.add_domain(blog.id, site.clone()).await.unwrap();
        }
        let sites = |app: App| app.domains.into_iter().map(|domain| domain.site).collect::<Vec<_>>();
        let kept = sites(change(&["b.test", "a.test"]).await.unwrap());
        assert_eq!(kept, [apex.clone(), api.clone(), www, site("b.test")]);
        let refused = change(&["b.test"]).await.unwrap_err();
        assert!(matches!(refused, ChangeAppError::RedirectedTo { .. }), "{refused}");
        let served = sites(change(&["a.test", "www.a.test"]).await.unwrap());
        assert_eq!(served, [apex, api, site("www.a.test")]);
    }

    #[tokio::test]
    async fn a_deployment_without_the_cache_says_so_itself() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        for no_cache in [true, false] {
            let asked = store
                .writer
                .enqueue(app.id, Wish { no_cache, ..Wish::of(Trigger::Request) }, NOW)
                .await
                .unwrap();
            assert_eq!(asked.deployment.settings.build.cache, !no_cache);
        }
    }
}
