//! What the proxy serves: a table made from the store, never from memory.

use std::net::SocketAddr;

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::deployment::Deployment;
use crate::host::layout::Manager;
use crate::proxy::link::LinkError;
use crate::proxy::table::{self, Entry, Target, Via};

/// The key under which the proxy counts requests to rivetr itself.
const OWN_KEY: &str = "rivetr";

impl Engine {
    /// Writes the table and has the proxy serve it. A proxy that is down reads it when it starts.
    pub(super) async fn publish_routes(&self) -> Result<(), EngineError> {
        let _alone = self.0.publishing.lock().await;
        let routes = self.reader().routes().await?;
        let own = self.0.settings.own_hosts.iter().map(|host| Entry {
            host: host.as_str().to_owned(),
            target: Target { key: OWN_KEY.to_owned(), via: Via::Host, address: self.0.settings.own_address },
        });
        let apps = routes.routes.iter().map(|route| Entry {
            host: route.host.as_str().to_owned(),
            target: Target {
                key: format!("rivetr-app-{}-{}", route.app, route.number),
                via: via(self),
                address: SocketAddr::V4(route.target),
            },
        });
        let path = self.machine().layout.routes();
        let entries: Vec<Entry> = own.chain(apps).collect();
        table::write(&path, routes.generation, &entries).map_err(EngineError::internal)?;
        match self.machine().proxy.load().await {
            Ok(served) if served >= routes.generation => Ok(()),
            Ok(served) => Err(EngineError::Unavailable(format!(
                "the proxy still serves the routes of generation {served}, not {}",
                routes.generation
            ))),
            Err(LinkError::Down) => {
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

fn via(engine: &Engine) -> Via {
    match engine.machine().layout.manager {
        Manager::User => Via::Namespace,
        Manager::System => Via::Host,
    }
}
