//! Which release and which service answers for which requests, and the number that grows whenever that changes.

use std::net::SocketAddrV4;

use rusqlite::Transaction;

use super::error::StoreError;
use super::project::parse_subnet;
use super::reader::Reader;
use super::{domain, row, service, settings, traffic};
use crate::domain::name::Slug;
use crate::domain::route::{Route, RouteTable, ServiceRoute};

impl Reader {
    /// Every domain of every service of which a revision is live, by host and path; one that is stopped leads nowhere.
    pub async fn service_routes(&self) -> Result<Vec<ServiceRoute>, StoreError> {
        self.read(|tx| {
            let sql = "SELECT domain.*, slug, stopped, traffic, parts FROM domain \
                       JOIN service ON service.id = domain.service JOIN revision ON revision.id = service.live \
                       WHERE NOT deleting ORDER BY host, path";
            row::all(tx, sql, [], |row| {
                let inlet = domain::inlet(row)?.ok_or(StoreError::Malformed("container"))?;
                let stopped: bool = row::number(row, "stopped")?;
                let parts = row::parsed(row, "parts", service::parts)?;
                let part = parts.into_iter().filter(|_| !stopped).find(|part| part.name == inlet.container);
                let targets = part.map(|part| {
                    let at = part.addresses.iter().map(|ip| SocketAddrV4::new(*ip, inlet.port.get()));
                    part.units.iter().cloned().zip(at).collect()
                });
                Ok(ServiceRoute {
                    site: domain::site(row)?,
                    service: row::parsed(row, "slug", Slug::parse)?,
                    targets: targets.unwrap_or_default(),
                    traffic: row::parsed(row, "traffic", traffic::from_json)?,
                })
            })
        })
        .await
    }

    /// Every domain of every live release, by host and path; one that is stopped leads nowhere, one of an app that is being
    /// deleted is not there.
    pub async fn routes(&self) -> Result<RouteTable, StoreError> {
        self.read(|tx| {
            let routes = row::all(
                tx,
                "SELECT domain.host AS host, path, strip, redirect_to, https_redirect, app.slug AS slug, \
                 deployment.number AS number, subnet, traffic, \
                 deployment.settings ->> '$.port' AS port, deployment.settings ->> '$.health' AS health, \
                 (SELECT json_group_array(json_array(container.number, container.host) \
                 ORDER BY container.number) FROM container \
                 WHERE container.deployment = app.live AND serves AND app.wish = 'run') AS containers \
                 FROM domain JOIN app ON app.id = domain.app JOIN project ON project.id = app.project \
                 JOIN deployment ON deployment.id = app.live WHERE NOT app.deleting ORDER BY domain.host, path",
                [],
                |row| {
                    let subnet = row::parsed(row, "subnet", row::word(parse_subnet))?;
                    let port = row::number(row, "port")?;
                    let json = |text: &str| serde_json::from_str::<Vec<(u8, u8)>>(text);
                    let containers = row::parsed(row, "containers", json)?.into_iter();
                    let target = |(number, host)| (number, SocketAddrV4::new(subnet.host(host), port));
                    Ok(Route {
                        site: domain::site(row)?,
                        app: row::parsed(row, "slug", Slug::parse)?,
                        number: row::number(row, "number")?,
                        targets: containers.map(target).collect(),
                        traffic: row::parsed(row, "traffic", traffic::from_json)?,
                        health: row::parsed(row, "health", settings::health_from_json)?,
                    })
                },
            )?;
            let generation: i64 =
                tx.query_row("SELECT routes_generation FROM instance", [], |row| row.get(0))?;
            let generation =
                u64::try_from(generation).map_err(|_| StoreError::Malformed("routes_generation"))?;
            Ok(RouteTable { generation, routes })
        })
        .await
    }
}

/// The routes change in this transaction: their new generation.
pub(super) fn bump(tx: &Transaction<'_>) -> Result<u64, StoreError> {
    let generation: i64 = tx.query_row(
        "UPDATE instance SET routes_generation = routes_generation + 1 RETURNING routes_generation",
        [],
        |row| row.get(0),
    )?;
    u64::try_from(generation).map_err(|_| StoreError::Malformed("routes_generation"))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, host};
    use super::*;
    use crate::domain::domain::Site;
    use crate::domain::health::HealthCheck;
    use crate::domain::traffic::Traffic;

    #[tokio::test]
    async fn each_host_of_a_live_release_has_a_route_and_each_change_a_generation() {
        let store = Fixture::new();
        let (blog, idle) = (store.app("blog").await, store.app("idle").await);
        for app in [&blog, &idle] {
            let automatic = host(&format!("{}.test", app.slug));
            store.writer.set_automatic_host(app.id, Some(automatic)).await.unwrap();
        }
        assert_eq!(store.reader.routes().await.unwrap(), RouteTable::default());

        let live = store.live(&blog).await;
        let table = store.reader.routes().await.unwrap();
        let wanted = Route {
            site: Site::plain(host("blog.test")),
            app: blog.slug.clone(),
            number: 1,
            targets: vec![(1, SocketAddrV4::new(live.addresses[0], 8080))],
            traffic: Traffic::default(),
            health: HealthCheck::default(),
        };
        assert_eq!((table.generation, table.routes), (1, vec![wanted]));

        store.writer.set_automatic_host(blog.id, Some(host("blog.test"))).await.unwrap();
        assert_eq!(store.reader.routes().await.unwrap().generation, 1, "nothing changed");
        store.writer.set_automatic_host(blog.id, Some(host("new.test"))).await.unwrap();
        store.live(&blog).await;
        let table = store.reader.routes().await.unwrap();
        assert_eq!((table.generation, table.routes.len(), table.routes[0].number), (3, 1, 2));
    }
}
