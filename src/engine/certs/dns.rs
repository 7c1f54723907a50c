//! Whether a name leads here, before an order is spent on one that does not.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use super::Engine;
use crate::domain::certificate::judge_dns;
use crate::domain::name::HostName;
use crate::host::addresses;

/// How long DNS may take.
const LIMIT: Duration = Duration::from_secs(10);

impl Engine {
    /// Asks DNS; the reason if the name does not lead here. Where nobody can know which addresses lead here, every one
    /// will do.
    pub(super) async fn leads_here(&self, name: &HostName) -> Result<(), String> {
        let Ours { all, shown } = self.ours(name).await;
        if shown.is_empty() {
            return Ok(());
        }
        match look_up(name).await {
            Ok(found) => judge_dns(name, &found, &all, &shown),
            Err(reason) => judge_dns(name, &[], &all, &shown).map_err(|words| format!("{words}; {reason}")),
        }
    }

    /// The addresses of this machine, and those to which its own host leads.
    async fn ours(&self, name: &HostName) -> Ours {
        let mut all = addresses::own().unwrap_or_else(|error| {
            tracing::warn!(%error, "the addresses of this machine are not known");
            Vec::new()
        });
        let own_host = self.0.settings.own_host.as_ref().filter(|host| *host != name);
        let told = match own_host {
            Some(host) => look_up(host).await.unwrap_or_else(|reason| {
                tracing::warn!(%host, reason, "the addresses of rivetr's own host are not known");
                Vec::new()
            }),
            None => Vec::new(),
        };
        let public = all.iter().copied().filter(|address| addresses::is_public(*address)).collect();
        let shown = if told.is_empty() { public } else { told.clone() };
        all.extend(told);
        Ours { all, shown }
    }
}

/// The addresses that are ours.
struct Ours {
    all: Vec<IpAddr>,
    /// Those that people know; none: behind a router that translates, and nobody has said its address.
    shown: Vec<IpAddr>,
}

/// The addresses of a host, which may be one itself.
async fn look_up(host: &HostName) -> Result<Vec<IpAddr>, String> {
    // The port is none: only addresses are asked for.
    let found = timeout(LIMIT, lookup_host((host.as_str(), 0))).await;
    let found = found.map_err(|_| format!("no answer within {} s", LIMIT.as_secs()))?;
    let found: BTreeSet<IpAddr> =
        found.map_err(|error| error.to_string())?.map(|address| address.ip().to_canonical()).collect();
    Ok(found.into_iter().collect())
}
