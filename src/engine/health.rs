//! Whether rivetr can do its work here: what `rivetr doctor` shows.

mod backups;
mod certs;
mod machine;
mod units;

use std::fmt;
use std::time::Duration;

use tokio::time::timeout;

use super::Engine;
use crate::host::layout::Manager;
use crate::proxy::link::client::Status;
use crate::quadlet::features::PodmanFeatures;
use crate::store::{self, StoreError};

/// How long the database may take to be looked through: hundreds of MB take seconds.
const STORE_LIMIT: Duration = Duration::from_secs(20);
/// How long Podman may take to tell its version: less than whoever asks for all of this waits.
const PODMAN_LIMIT: Duration = Duration::from_secs(30);

/// The state of this rivetr.
#[derive(Debug, Clone)]
pub struct Health {
    /// One row a check.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at: "podman".
    pub name: &'static str,
    /// How it stands.
    pub status: CheckStatus,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    pub cure: Option<String>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// It works, but something should be changed.
    Warn,
    /// Something does not work.
    Fail,
}

impl Engine {
    /// Looks at everything that rivetr needs, at once: whoever asks does not wait for each that does not answer.
    pub async fn health(&self) -> Health {
        let units = async { tokio::join!(self.check_drift(), self.check_units(), self.check_names()) };
        let (store, systemd, podman, proxy, queue, jobs, certificates, backups, units, machine) = tokio::join!(
            self.check_store(),
            self.check_systemd(),
            self.check_podman(),
            self.check_proxy(),
            self.check_queue(),
            self.check_jobs(),
            self.check_certificates(),
            self.check_backups(),
            Box::pin(units),
            self.check_machine()
        );
        Health {
            checks: [Check::ok("rivetr", env!("CARGO_PKG_VERSION"))]
                .into_iter()
                .chain([store, systemd, podman, proxy, queue, jobs, certificates, backups])
                .chain(<[Check; 3]>::from(units))
                .chain(machine)
                .collect(),
        }
    }

    /// Looks at everything once when rivetr starts, and tells the log what does not work.
    pub(super) async fn check_at_start(self) {
        let Some(health) = self.until_shutdown(Box::pin(self.health())).await else { return };
        for Check { name, status, detail, cure } in health.checks {
            let cure = cure.unwrap_or_default();
            match status {
                CheckStatus::Ok => {}
                CheckStatus::Warn => {
                    tracing::warn!(check = name, detail, cure, "something should be changed");
                }
                CheckStatus::Fail => tracing::error!(check = name, detail, cure, "something does not work"),
            }
        }
    }

    async fn check_store(&self) -> Check {
        match self.reader().integrity(STORE_LIMIT).await {
            Ok(true) => Check::ok("database", "intact"),
            Ok(false) => {
                let detail = format!("not looked through within {} s", STORE_LIMIT.as_secs());
                Check::warn("database", detail, "ask again when less is going on")
            }
            Err(StoreError::Corrupt(found)) => {
                let layout = &self.machine().layout;
                let cure = store::cure(&layout.database(), &layout.backups());
                Check::fail("database", format!("damaged {found}"), cure)
            }
            Err(error @ (StoreError::DiskFull | StoreError::Disk(_))) => {
                Check::fail("database", error, "see the check of the disk")
            }
            Err(error) => Check::fail("database", error, self.control("restart rivetr.service")),
        }
    }

    async fn check_systemd(&self) -> Check {
        match self.machine().systemd.version().await {
            Ok(version) => Check::ok("systemd", version),
            Err(error) => {
                let cure = match self.machine().layout.manager {
                    Manager::User => "start the user manager: systemctl start user@$(id -u rivetr).service",
                    Manager::System => "look at: systemctl status dbus.service",
                };
                Check::fail("systemd", error, cure)
            }
        }
    }

    async fn check_podman(&self) -> Check {
        let Ok(version) = timeout(PODMAN_LIMIT, self.machine().podman.version()).await else {
            let detail = format!("it does not answer within {} s", PODMAN_LIMIT.as_secs());
            return Check::fail("podman", detail, self.control("restart podman.service"));
        };
        match version {
            Ok(version) => match PodmanFeatures::of(&version.to_string()) {
                Ok(_) => Check::ok("podman", version),
                Err(error) => {
                    let cure = "upgrade it (Debian 13 and Ubuntu 25.04 have one), then ";
                    Check::fail("podman", error, cure.to_owned() + &self.control("restart podman.service"))
                }
            },
            Err(error) => Check::fail("podman", error, self.control("enable --now podman.socket")),
        }
    }

    async fn check_proxy(&self) -> Check {
        let cure = "look at: systemctl status rivetr-proxy.service";
        match self.machine().proxy.status().await {
            Ok(status) if status.proxies > 1 => {
                let detail =
                    "a second one stands in for it: an upgrade of the proxy is under way, or was broken off";
                Check::warn("proxy", detail, "if none is under way, run: rivetr proxy upgrade")
            }
            Ok(Status { flaws, .. }) if !flaws.is_empty() => {
                let cure = "set what it names anew: rivetr domains set, or rivetr traffic set";
                Check::fail("proxy", flaws.join("; "), cure)
            }
            Ok(status) => {
                Check::ok("proxy", format!("serves the routes of generation {}", status.generation))
            }
            Err(error) => Check::fail("proxy", error, cure),
        }
    }

    /// The command that does this with a unit of the manager that runs the apps.
    fn control(&self, verb: &str) -> String {
        let layout = &self.machine().layout;
        match layout.manager {
            Manager::User => format!("as {}: systemctl --user {verb}", layout.user),
            Manager::System => format!("systemctl {verb}"),
        }
    }

    async fn check_queue(&self) -> Check {
        match self.reader().unfinished().await {
            Ok(unfinished) => Check::ok(
                "queue",
                match unfinished.len() {
                    0 => "no deployment is under way".to_owned(),
                    1 => "1 deployment is under way".to_owned(),
                    many => format!("{many} deployments are under way"),
                },
            ),
            Err(error) => Check::fail("queue", error, "see the check of the database"),
        }
    }

    async fn check_jobs(&self) -> Check {
        match self.failed_jobs().await {
            Ok((0, _)) => Check::ok("jobs", "there are none"),
            Ok((all, failed)) => match failed.first() {
                None => Check::ok("jobs", format!("{all}, and none of them failed last")),
                Some(first) => {
                    let names: Vec<String> = failed.iter().map(crate::domain::job::Job::unit_name).collect();
                    let cure = format!("look at: rivetr jobs logs {} {}", first.app_slug, first.plan.name);
                    Check::warn("jobs", format!("the last run failed of {}", names.join(", ")), cure)
                }
            },
            Err(error) => Check::fail("jobs", error, "see the check of the database"),
        }
    }
}

impl Health {
    /// The worst of all checks.
    #[must_use]
    pub fn status(&self) -> CheckStatus {
        self.checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Ok)
    }
}

impl Check {
    fn warn(name: &'static str, detail: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { name, status: CheckStatus::Warn, detail: detail.into(), cure: Some(cure.into()) }
    }

    fn ok(name: &'static str, detail: impl fmt::Display) -> Self {
        Self { name, status: CheckStatus::Ok, detail: detail.to_string(), cure: None }
    }

    fn fail(name: &'static str, detail: impl fmt::Display, cure: impl Into<String>) -> Self {
        Self { name, status: CheckStatus::Fail, detail: detail.to_string(), cure: Some(cure.into()) }
    }
}
