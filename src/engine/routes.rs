//! What the proxy serves: a table made from the store, never from memory.

use std::io::ErrorKind;
use std::net::SocketAddr;

use super::{Engine, EngineError, push};
use crate::domain::app::App;
use crate::domain::deployment::Deployment;
use crate::host::layout::Manager;
use crate::proxy::link::client::AskError;
use crate::proxy::table::{self, Route, Routes, Target, Via};

/// The key under which the proxy counts requests to rivetr itself.
const OWN_KEY: &str = "rivetr";

impl Engine {
    /// Writes the table and has the proxy serve it. A proxy that is down reads it when it starts.
    pub(super) async fn publish_routes(&self) -> Result<(), EngineError> {
        let _alone = self.0.publishing.lock().await;
        let routes = self.reader().routes().await?;
        let own = self.0.settings.own_hosts.iter().map(|host| Route {
            host: host.as_str().to_owned(),
            target: Target { key: OWN_KEY.to_owned(), via: Via::Host, address: self.0.settings.own_address },
            // Above what a push may have and what is read of one that is too large: the daemon says why, not the
            // proxy, whose word git does not show.
            body_limit: Some(self.0.settings.push_limit.saturating_add(2 * push::DRAIN_MAX)),
        });
        let apps = routes.routes.iter().map(|route| Route {
            host: route.host.as_str().to_owned(),
            target: Target {
                key: format!("rivetr-app-{}-{}", route.app, route.number),
                via: via(self),
                address: SocketAddr::V4(route.target),
            },
            body_limit: None,
        });
        let path = self.machine().layout.routes();
        let table = Routes { generation: routes.generation, routes: own.chain(apps).collect() };
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

    /// The addresses of an app, for people.
    pub(super) async fn describe_hosts(&self, app: &App) -> Result<String, EngineError> {
        let hosts = self.reader().hosts(app.id).await?;
        let hosts: Vec<String> = hosts.iter().map(|host| format!("http://{}/", host.name)).collect();
        Ok(if hosts.is_empty() { "no host leads to it yet".to_owned() } else { hosts.join(" ") })
    }
}

/// Where the proxy finds a release; none before it has an address.
pub(super) fn target(engine: &Engine, deployment: &Deployment) -> Option<Target> {
    let address = SocketAddr::from((deployment.address?, deployment.settings.port.get()));
    Some(Target { key: deployment.unit_name(), via: via(engine), address })
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
