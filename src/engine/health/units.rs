//! Whether the units are those that rivetr wrote, whether each belongs to somebody, and whether names lead here.

use std::time::Duration;

use tokio::time::timeout;

use super::super::{Engine, EngineError};
use super::Check;
use crate::domain::backup::Subject;
use crate::domain::domain::Domain;
use crate::engine::dns::Dns;
use crate::host::systemd::ActiveState;
use crate::quadlet::path::Owner;

/// How long all names together may take to be looked up.
const DNS_LIMIT: Duration = Duration::from_secs(8);
/// How many names a person is shown.
const SHOWN: usize = 3;
/// Units that end by themselves, and of which other checks tell.
const RUNS: [&str; 5] = ["rivetr-job-", "rivetr-backup-", "rivetr-volume-", "rivetr-build-", "rivetr-run-"];

impl Engine {
    /// Looks for files that somebody changed by hand.
    pub(super) async fn check_drift(&self) -> Check {
        match self.drift(None, false).await {
            Ok(found) if found.is_empty() => Check::ok("drift", "every unit file is as rivetr wrote it"),
            Ok(found) => {
                let said =
                    found.iter().map(|one| format!("{} was {} by hand", one.file, one.change.as_str()));
                Check::warn("drift", few(said.collect()), "`rivetr drift` shows each, and what can be done")
            }
            Err(error) => Check::warn("drift", error.to_string(), "see the check of the database"),
        }
    }

    /// Looks for units of nobody, and for those that have failed.
    pub(super) async fn check_units(&self) -> Check {
        let strangers = match self.strangers().await {
            Ok(strangers) => strangers,
            Err(error) => {
                return Check::warn("stale units", error.to_string(), "see the check of the database");
            }
        };
        if !strangers.is_empty() {
            let cure = "stop these units and remove their files, or bring back the database that knows them";
            return Check::warn(
                "stale units",
                format!("nobody knows whose these are: {}", few(strangers)),
                cure,
            );
        }
        let listed = match self.machine().systemd.list(&["rivetr*"]).await {
            Ok(listed) => listed,
            Err(error) => return Check::fail("stale units", error, "see the check of systemd"),
        };
        let failed = listed.into_iter().filter(|unit| {
            unit.active_state == ActiveState::Failed && !RUNS.iter().any(|run| unit.unit.starts_with(run))
        });
        let failed: Vec<String> = failed.map(|unit| unit.unit).collect();
        match failed.first() {
            None => Check::ok("stale units", "every unit belongs to somebody, and none has failed"),
            Some(first) => {
                let cure = format!("look at why: journalctl -n 50 USER_UNIT={first} + _SYSTEMD_UNIT={first}");
                Check::warn("stale units", format!("failed: {}", few(failed)), cure)
            }
        }
    }

    /// The folders and units of what the store does not know.
    async fn strangers(&self) -> Result<Vec<String>, EngineError> {
        // Listed first: what is made since then is not on the list.
        let owners = self.machine().units.owners().map_err(EngineError::internal)?;
        let mut strangers = Vec::new();
        for owner in owners {
            let known = match &owner {
                Owner::App(slug) | Owner::Jobs(slug) | Owner::Commands(slug) => {
                    self.reader().app(slug).await?.is_some()
                }
                Owner::OneOff(one_off) => self.reader().one_offs().await?.contains(one_off),
                Owner::Project(slug) => self.reader().project(slug).await?.is_some(),
                Owner::Database(slug) => self.reader().database(slug).await?.is_some(),
                Owner::Service(slug) => self.reader().service(slug).await?.is_some(),
                Owner::Volume(volume) => {
                    self.reader().schedule(&Subject::Volume(volume.clone())).await?.is_some()
                }
            };
            if !known {
                strangers.push(owner.folder());
            }
        }
        Ok(strangers)
    }

    /// Looks up the names that people gave to their apps and services; those that rivetr gives lead here by themselves.
    pub(super) async fn check_names(&self) -> Check {
        let domains = match self.reader().domains().await {
            Ok(domains) => domains,
            Err(error) => return Check::warn("dns", error.to_string(), "see the check of the database"),
        };
        let own: Vec<Domain> = domains.into_iter().filter(|domain| !domain.automatic).collect();
        if own.is_empty() {
            return Check::ok("dns", "no app and no service has a name of its own");
        }
        let Ok(found) = timeout(DNS_LIMIT, self.check_dns_of(&own)).await else {
            let detail = format!("not looked up within {} s", DNS_LIMIT.as_secs());
            return Check::warn("dns", detail, "look at the name server of this host: /etc/resolv.conf");
        };
        let astray: Vec<String> =
            found.iter().filter(|dns| is_astray(dns)).map(ToString::to_string).collect();
        if astray.is_empty() {
            return Check::ok(
                "dns",
                format!("{} names were looked up, and none leads elsewhere", found.len()),
            );
        }
        Check::warn("dns", few(astray), "change the A and AAAA records of these names")
    }
}

fn is_astray(dns: &Dns) -> bool {
    match dns {
        Dns::Elsewhere { .. } | Dns::Nowhere(_) | Dns::Unanswered { .. } => true,
        Dns::Here(_) | Dns::Unjudged(_) => false,
    }
}

/// The first of many, and how many more there are.
fn few(all: Vec<String>) -> String {
    let more = match all.len().saturating_sub(SHOWN) {
        0 => String::new(),
        left => format!("; and {left} more"),
    };
    all.into_iter().take(SHOWN).collect::<Vec<_>>().join("; ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_told_as_few() {
        let all = |count: usize| (0..count).map(|number| number.to_string()).collect();
        assert_eq!(few(all(2)), "0; 1");
        assert_eq!(few(all(3)), "0; 1; 2");
        assert_eq!(few(all(5)), "0; 1; 2; and 2 more");
    }
}
