//! The service managers, as their own tool speaks to them; and programs run as another user.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::SetupError;
use super::account::Account;
use crate::host::process::{ProcessError, Spawn, printable};
use crate::host::sockets::GAVE_UP;

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

    /// Starts a service unless it runs. A failure comes with the end of its log.
    pub(super) async fn start(self, unit: &str) -> Result<(), SetupError> {
        self.bring_up("start", unit).await
    }

    /// Starts a service, anew if it runs. A failure comes with the end of its log.
    pub(super) async fn restart(self, unit: &str) -> Result<(), SetupError> {
        self.bring_up("restart", unit).await
    }

    async fn bring_up(self, verb: &str, unit: &str) -> Result<(), SetupError> {
        if self.command(&[verb, unit]).output().await?.status.success() {
            return Ok(());
        }
        let status = self.show(unit, "StatusText").await?;
        let why = status.strip_prefix(GAVE_UP).unwrap_or(&status);
        let option = match self {
            Self::System => "--unit",
            Self::User(_) => "--user-unit",
        };
        let args = [option, unit, "--lines=8", "--output=cat", "--no-pager", "--quiet"];
        let log = Spawn::new("journalctl").args(args).run().await?;
        let mut last: Vec<_> = String::from_utf8_lossy(&log.stdout).lines().map(printable).collect();
        if !why.is_empty() && !last.iter().any(|line| line.contains(why)) {
            last.insert(0, why.to_owned());
        }
        Err(SetupError::Start { unit: unit.to_owned(), last, look: format!("journalctl {option} {unit}") })
    }

    /// Whether a service runs another program than the one that lies at `binary` now.
    pub(super) async fn runs_other(self, unit: &str, binary: &Path) -> Result<bool, SetupError> {
        let pid = self.show(unit, "MainPID").await?;
        let running = std::fs::metadata(format!("/proc/{pid}/exe"));
        let installed = std::fs::metadata(binary).map_err(SetupError::Program)?;
        // A process that is gone meanwhile runs nothing.
        Ok(running.is_ok_and(|running| (running.dev(), running.ino()) != (installed.dev(), installed.ino())))
    }

    /// What the manager says of a unit; of one that is not there too.
    pub(super) async fn show(self, unit: &str, property: &str) -> Result<String, ProcessError> {
        let shown = self.command(&["show", "--value", "--property", property, unit]).run().await?;
        Ok(String::from_utf8_lossy(&shown.stdout).trim().to_owned())
    }

    /// The files that make up a unit, as they follow each other.
    pub(super) async fn text_of(self, unit: &str) -> Result<String, ProcessError> {
        let text = self.command(&["cat", unit]).run().await?;
        Ok(String::from_utf8_lossy(&text.stdout).into_owned())
    }

    /// Where the manager finds units that are gone after a reboot.
    pub(super) fn runtime_units(self) -> PathBuf {
        match self {
            Self::System => "/run/systemd/system".into(),
            Self::User(account) => account.runtime_dir().join("systemd/user"),
        }
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

    /// Whether any of these units is up.
    pub(super) async fn any_active(self, units: &[&str]) -> Result<bool, ProcessError> {
        Ok(self.command(&[&["is-active", "--quiet"], units].concat()).output().await?.status.success())
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
pub(in crate::cli) fn run_as(account: &Account, program: &str) -> Spawn {
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
