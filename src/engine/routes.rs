//! What the proxy serves: a table made from the store, never from memory.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use futures_util::future::join_all;

use super::{Engine, EngineError, push};
use crate::domain::app::App;
use crate::domain::deployment::{Deployment, replica_name};
use crate::domain::name::HostName;
use crate::host::layout::Manager;
use crate::proxy::link::client::AskError;
use crate::proxy::table::{self, Route, Routes, Target, Via};

/// How long to wait before a proxy that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// How much longer than the drain the proxy's answer may take, so that its count is what is said.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// The key under which the proxy counts requests to rivetr itself.
const OWN_KEY: &str = "rivetr";
/// The port that a URL need not name.
const HTTP_PORT: u16 = 80;

impl Engine {
    /// Writes the table and has the proxy serve it, and certificates looked after: hosts may be new. A proxy that is
    /// down reads it when it starts.
    pub(super) async fn publish_routes(&self) -> Result<(), EngineError> {
        self.hosts_changed();
        self.publish_table().await
    }

    /// The same where no host is new.
    pub(super) async fn publish_table(&self) -> Result<(), EngineError> {
        let _alone = self.0.publishing.lock().await;
        let routes = self.reader().routes().await?;
        // One host twice is no table: rivetr's own stays where an app had it before.
        let own_host = self.0.settings.own_host.as_ref();
        let of_apps = routes.routes.iter().filter(|route| Some(&route.host) != own_host);
        let own = own_host.into_iter().map(|host| {
            let address = self.0.settings.own_address;
            let target = Target { key: OWN_KEY.to_owned(), via: Via::Host, address };
            // Above what a push may have and what is read of one that is too large: the daemon says why, not the
            // proxy, whose word git does not show.
            let body_limit = Some(self.0.settings.push_limit.saturating_add(2 * push::DRAIN_MAX));
            Route { body_limit, ..Route::plain(host.as_str(), vec![target]) }
        });
        let apps = of_apps.map(|route| {
            let target = |(replica, address): &(u8, SocketAddrV4)| Target {
                key: replica_name(&route.app, route.number, *replica),
                via: via(self),
                address: SocketAddr::V4(*address),
            };
            Route::plain(route.host.as_str(), route.targets.iter().map(target).collect())
        });
        let path = self.machine().layout.routes();
        let routes_now = own.chain(apps).collect();
        let challenges = self.reader().challenges().await?;
        let table = Routes { generation: routes.generation, routes: routes_now, challenges };
        table::write(&path, &table).map_err(EngineError::internal)?;
        match self.machine().proxy.load().await {
            Ok(served) if served >= routes.generation => Ok(()),
            Ok(served) => Err(EngineError::Unavailable(format!(
                "the proxy still serves the routes of generation {served}, not {}",
                routes.generation
            ))),
            Err(error) if is_down(&error) => {
                tracing::warn!("the proxy does not run; it will serve the new routes when it starts");
                Ok(())
            }
            Err(error) => Err(EngineError::internal(error)),
        }
    }

    /// Where people find an app: one address for each of its hosts.
    #[must_use]
    pub fn urls(&self, app: &App) -> Vec<String> {
        app.hosts.iter().map(|host| format!("{}/", self.url_of(host))).collect()
    }

    /// Where people find rivetr itself, without a slash at the end; none: only on this machine.
    #[must_use]
    pub fn own_url(&self) -> Option<String> {
        self.0.settings.own_host.as_ref().map(|host| self.url_of(host))
    }

    fn url_of(&self, host: &HostName) -> String {
        url(host, self.0.settings.public_port)
    }
}

fn url(host: &HostName, port: u16) -> String {
    if port == HTTP_PORT { format!("http://{host}") } else { format!("http://{host}:{port}") }
}

impl Engine {
    /// Waits until no request to a release is in flight, and says how many were left when time was over. None: the
    /// proxy could not be asked at all, also not for the new routes.
    pub(super) async fn drain(&self, release: &Deployment) -> Option<u64> {
        self.drain_replicas(release.replicas().map(|(number, _)| release.replica_name(number))).await
    }

    /// The same for some containers, by name.
    pub(super) async fn drain_replicas(&self, names: impl Iterator<Item = String>) -> Option<u64> {
        join_all(names.map(|name| self.drain_one(name))).await.into_iter().sum()
    }

    async fn drain_one(&self, name: String) -> Option<u64> {
        let limit = self.0.settings.drain_timeout;
        let asked = async {
            loop {
                match self.machine().proxy.drain(&name, limit).await {
                    Ok(drained) => return drained.left,
                    // A proxy that is started anew may still answer what it has, and its successor reads the routes.
                    Err(error) => tracing::warn!(unit = name, %error, "not drained yet"),
                }
                self.pause(ASK_AGAIN).await;
            }
        };
        tokio::time::timeout(limit + LAST_ANSWER, asked).await.ok()
    }
}

/// Where the proxy finds a container of a release.
pub(super) fn target(engine: &Engine, deployment: &Deployment, (replica, address): (u8, Ipv4Addr)) -> Target {
    let address = SocketAddr::from((address, deployment.settings.port.get()));
    Target { key: deployment.replica_name(replica), via: via(engine), address }
}

/// Nobody listens: the proxy does not run. Anything else may be a proxy that serves an older table.
pub(super) fn is_down(error: &AskError) -> bool {
    let nobody =
        |error: &std::io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused);
    matches!(error, AskError::Unreachable { source, .. } if nobody(source))
}

fn via(engine: &Engine) -> Via {
    match engine.machine().layout.manager {
        Manager::User => Via::Namespace,
        Manager::System => Via::Host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_port_that_is_not_the_usual_one() {
        let host = HostName::parse("blog.example.org").unwrap();
        for (port, expect) in [(80, "http://blog.example.org"), (8080, "http://blog.example.org:8080")] {
            assert_eq!(url(&host, port), expect);
        }
    }
}
