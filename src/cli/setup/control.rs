//! The service managers, as their own tool speaks to them; and programs run as another user.

use std::time::Duration;

use super::SetupError;
use super::account::Account;
use crate::host::process::{ProcessError, Spawn};

/// A start may pull in a user's whole manager.
const LIMIT: Duration = Duration::from_mins(3);

/// A service manager to be asked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Control<'a> {
    /// PID 1.
    System,
    /// The manager of a user: the caller's own, or, for root, another's.
    User(&'a Account),
}

impl Control<'_> {
    /// Has the manager do something; failure is an error.
    pub(super) async fn systemctl(self, args: &[&str]) -> Result<(), SetupError> {
        self.command(args).run().await?;
        Ok(())
    }

    /// Whether all of these units are up.
    pub(super) async fn all_active(self, units: &[&str]) -> Result<bool, ProcessError> {
        for unit in units {
            if !self.command(&["is-active", "--quiet", unit]).output().await?.status.success() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether all of these units come up with the machine, or with their user's manager.
    pub(super) async fn all_enabled(self, units: &[&str]) -> Result<bool, ProcessError> {
        for unit in units {
            if !self.command(&["is-enabled", "--quiet", unit]).output().await?.status.success() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn command(self, args: &[&str]) -> Spawn {
        match self {
            Self::System => Spawn::new("systemctl").args(args).limit(LIMIT),
            Self::User(account) => run_as(account, "systemctl").args(["--user"]).args(args).limit(LIMIT),
        }
    }
}

/// A program run as this user, in its session. Only root can do that for another.
pub(super) fn run_as(account: &Account, program: &str) -> Spawn {
    let spawn = if rustix::process::getuid().as_raw() == account.uid {
        Spawn::new(program)
    } else {
        Spawn::new("setpriv").args([
            format!("--reuid={}", account.uid),
            format!("--regid={}", account.gid),
            "--init-groups".to_owned(),
            "--".to_owned(),
            program.to_owned(),
        ])
    };
    let runtime = account.runtime_dir();
    let bus = format!("unix:path={}", runtime.join("bus").display());
    spawn
        .env("HOME", &account.home)
        .env("USER", &account.name)
        .env("XDG_RUNTIME_DIR", runtime)
        .env("DBUS_SESSION_BUS_ADDRESS", bus)
}
