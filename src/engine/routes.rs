//! What the proxy serves: a table made from the store, never from memory.

mod rules;
mod show;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use futures_util::future::join_all;

pub(super) use self::rules::spoken;
pub use self::show::{Answers, Fate, Outcome, ShownRoute};
use super::{Engine, EngineError, Settings, push};
use crate::domain::app::App;
use crate::domain::database::Database;
use crate::domain::deployment::{Deployment, replica_name};
use crate::domain::domain::{Pattern, Site};
use crate::domain::name::{HostName, Slug};
use crate::domain::route::{Route, RouteTable, ServiceRoute};
use crate::domain::traffic::{BodyLimit, Traffic};
use crate::host::layout::Manager;
use crate::proxy::ports::Port;
use crate::proxy::table::{self, Routes, Target, Via};

/// How long to wait before a proxy that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// How much longer than the drain the proxy's answer may take, so that its count is what is said.
const LAST_ANSWER: Duration = Duration::from_secs(5);

/// The key under which the proxy counts requests to rivetr itself.
const OWN_KEY: &str = "rivetr";
/// The label of those requests, which no app can have.
const OWN_LABEL: &str = "_rivetr";
/// What stands before the name of a service in the label of its requests: no app is called so.
const SERVICE_LABEL: &str = "service/";
/// The ports that a URL need not name.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// The routes of apps and services, in the order in which the proxy is told them.
struct Known {
    apps: Vec<Route>,
    services: Vec<ServiceRoute>,
}

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
        let (table, _) = self.told().await?;
        let path = self.machine().layout.routes();
        table::write(&path, &table).map_err(EngineError::internal)?;
        match self.machine().proxy.load().await {
            Ok(served) if served >= table.generation => Ok(()),
            Ok(served) => Err(EngineError::Unavailable(format!(
                "the proxy still serves the routes of generation {served}, not {}",
                table.generation
            ))),
            Err(error) if error.is_gone() => {
                tracing::warn!("the proxy does not run; it will serve the new routes when it starts");
                Ok(())
            }
            Err(error) => Err(EngineError::internal(error)),
        }
    }

    /// What the proxy is told: rivetr's own route, then those of apps and of services, which are there too as they are here.
    async fn told(&self) -> Result<(Routes, Known), EngineError> {
        let (table, services) = tokio::try_join!(self.table(), self.service_routes())?;
        let own = self.own_site().map(|site| self.own_route(&site));
        let named = |app: &Slug| {
            let mut of_app = table.routes.iter().filter(|route| route.app == *app);
            of_app.find_map(|route| route.site.host.exact())
        };
        let apps = table.routes.iter().map(|route| self.route(route, named));
        let of_services = services.iter().map(|route| self.service_route(route));
        let routes = own.into_iter().chain(apps).chain(of_services).collect();
        let challenges = self.reader().challenges().await?;
        let ports = self.public_ports().await?;
        let told = Routes { generation: table.generation, routes, challenges, ports };
        Ok((told, Known { apps: table.routes, services }))
    }

    /// The ports by which databases are reached from outside.
    async fn public_ports(&self) -> Result<Vec<Port>, EngineError> {
        let port = |database: &Database| {
            let public = database.settings.public.as_ref()?;
            let address = SocketAddr::from((database.address?, database.kind.port()));
            let target = Target { key: database.unit_name(), via: via(self), address };
            Some(Port { port: public.port.get(), allow: public.allow.clone(), target })
        };
        Ok(self.reader().databases().await?.iter().filter_map(port).collect())
    }

    /// The routes to services, but for a host that is rivetr's own.
    async fn service_routes(&self) -> Result<Vec<ServiceRoute>, EngineError> {
        let own_host = self.0.settings.own_host.as_ref();
        let mut routes = self.reader().service_routes().await?;
        routes.retain(|route| own_host.is_none() || route.site.host.exact() != own_host);
        Ok(routes)
    }

    fn service_route(&self, route: &ServiceRoute) -> table::Route {
        let ServiceRoute { site, service, targets, traffic } = route;
        let target = |(key, address): &(String, SocketAddrV4)| Target {
            key: key.clone(),
            via: via(self),
            address: SocketAddr::V4(*address),
        };
        let targets = targets.iter().map(target).collect();
        table::Route { targets, ..self.route_of(site, traffic, format!("{SERVICE_LABEL}{service}")) }
    }

    /// A route of an app or a service that leads nowhere yet.
    fn route_of(&self, site: &Site, traffic: &Traffic, label: String) -> table::Route {
        table::Route {
            host: site.host.to_string(),
            path: site.path.to_string(),
            strip: site.strip,
            targets: Vec::new(),
            label: Some(label),
            body_limit: traffic.body_limit.map(BodyLimit::bytes),
            check: None,
            rules: rules::rules(site, traffic, self.has_certificate(&site.host)),
        }
    }

    /// Where rivetr itself answers.
    fn own_site(&self) -> Option<Site> {
        let Settings { own_host, own_https, .. } = &self.0.settings;
        let host = own_host.clone()?;
        Some(Site { https_redirect: *own_https, ..Site::plain(host) })
    }

    /// The route to rivetr itself.
    fn own_route(&self, site: &Site) -> table::Route {
        let address = self.0.settings.own_address;
        let target = Target { key: OWN_KEY.to_owned(), via: Via::Host, address };
        // Above what a push may have and what is read of one that is too large: the daemon says why, not the proxy,
        // whose word git does not show.
        let body_limit = Some(self.0.settings.push_limit.saturating_add(2 * push::DRAIN_MAX));
        table::Route {
            body_limit,
            label: Some(OWN_LABEL.to_owned()),
            rules: rules::rules(site, &Traffic::default(), self.has_certificate(&site.host)),
            ..table::Route::plain(&site.host.to_string(), vec![target])
        }
    }

    /// The routes of apps; one host twice is no table: rivetr's own stays where an app had it before.
    async fn table(&self) -> Result<RouteTable, EngineError> {
        let mut routes = self.reader().routes().await?;
        let own_host = self.0.settings.own_host.as_ref();
        routes.routes.retain(|route| own_host.is_none() || route.site.host.exact() != own_host);
        Ok(routes)
    }

    /// A route as the proxy is told it; `named` gives a host that an app knows.
    fn route<'a>(&self, route: &Route, named: impl Fn(&Slug) -> Option<&'a HostName>) -> table::Route {
        let Route { site, app, number, targets, traffic, health } = route;
        let target = |(replica, address): &(u8, SocketAddrV4)| Target {
            key: replica_name(app, *number, *replica),
            via: via(self),
            address: SocketAddr::V4(*address),
        };
        table::Route {
            targets: targets.iter().map(target).collect(),
            // The last one gets every request anyway.
            check: if targets.len() > 1 { rules::check(health, || named(app)) } else { None },
            ..self.route_of(site, traffic, app.to_string())
        }
    }

    /// Where people find an app: one address for each domain at which it answers.
    #[must_use]
    pub fn urls(&self, app: &App) -> Vec<String> {
        app.domains.iter().filter_map(|domain| self.url_of_site(&domain.site)).collect()
    }

    /// Where people find what a domain leads to; none: at many hosts, or at the one that it redirects to.
    #[must_use]
    pub fn url_of_site(&self, site: &Site) -> Option<String> {
        let host = site.host.exact().filter(|_| site.redirect_to.is_none())?;
        Some(format!("{}{}", self.url_of(host), site.path))
    }

    /// Where people find rivetr itself, without a slash at the end; none: only on this machine.
    #[must_use]
    pub fn own_url(&self) -> Option<String> {
        let Settings { own_host, own_https, public_port, public_tls_port, .. } = &self.0.settings;
        let port = if *own_https { *public_tls_port } else { *public_port };
        own_host.as_ref().map(|host| url(*own_https, host, port))
    }

    /// The address of rivetr's API and pages: its own, or the port on loopback where it has none.
    #[must_use]
    pub fn api_url(&self) -> String {
        self.own_url().unwrap_or_else(|| format!("http://{}", self.0.settings.own_address))
    }

    pub(super) fn url_of(&self, host: &HostName) -> String {
        let https = self.has_certificate(&Pattern::Exact(host.clone()));
        let port = if https { self.0.settings.public_tls_port } else { self.0.settings.public_port };
        url(https, host, port)
    }
}

fn url(https: bool, host: &HostName, port: u16) -> String {
    let (scheme, usual) = if https { ("https", HTTPS_PORT) } else { ("http", HTTP_PORT) };
    if port == usual { format!("{scheme}://{host}") } else { format!("{scheme}://{host}:{port}") }
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
        for (https, port, expect) in [
            (false, 80, "http://blog.example.org"),
            (false, 8080, "http://blog.example.org:8080"),
            (false, 443, "http://blog.example.org:443"),
            (true, 443, "https://blog.example.org"),
            (true, 8443, "https://blog.example.org:8443"),
        ] {
            assert_eq!(url(https, &host, port), expect);
        }
    }
}
