//! Whether rivetr can do its work here: what `rivetr doctor` shows.

mod machine;

use std::fmt;

use super::Engine;
use crate::host::layout::Manager;
use crate::quadlet::features::PodmanFeatures;

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
    /// Looks at everything that rivetr needs.
    pub async fn health(&self) -> Health {
        let checks = vec![
            self.check_store().await,
            self.check_systemd().await,
            self.check_podman().await,
            self.check_proxy().await,
            self.check_queue().await,
        ];
        Health { checks: checks.into_iter().chain(self.check_machine().await).collect() }
    }

    async fn check_store(&self) -> Check {
        match self.reader().integrity().await {
            Ok(()) => Check::ok("database", "intact"),
            Err(error) => Check::fail(
                "database",
                error,
                "stop rivetr and bring back the newest file of its backup folder",
            ),
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
        let cure = "install Podman 5.4 or newer and enable podman.socket for the user of rivetr";
        match self.machine().podman.version().await {
            Ok(version) => match PodmanFeatures::of(&version.to_string()) {
                Ok(_) => Check::ok("podman", version),
                Err(error) => Check::fail("podman", error, cure),
            },
            Err(error) => Check::fail("podman", error, cure),
        }
    }

    async fn check_proxy(&self) -> Check {
        let cure = "look at: systemctl status rivetr-proxy.service";
        match self.machine().proxy.status().await {
            Ok(status) => {
                Check::ok("proxy", format!("serves the routes of generation {}", status.generation))
            }
            Err(error) => Check::fail("proxy", error, cure),
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
}

impl Health {
    /// The worst of all checks.
    #[must_use]
    pub fn status(&self) -> CheckStatus {
        self.checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Ok)
    }
}

impl Check {
    fn ok(name: &'static str, detail: impl fmt::Display) -> Self {
        Self { name, status: CheckStatus::Ok, detail: detail.to_string(), cure: None }
    }

    fn fail(name: &'static str, detail: impl fmt::Display, cure: impl Into<String>) -> Self {
        Self { name, status: CheckStatus::Fail, detail: detail.to_string(), cure: Some(cure.into()) }
    }
}
