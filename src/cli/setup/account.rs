//! The user whose containers these are: that there is one, with subordinate ids and a manager that lingers.

use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use super::SetupError;
use super::control::{Control, run_as};
use super::ground::{Ground, SERVICE_USER, Way};
use super::install::write_if_other;
use super::steps::Steps;
use super::units;
use crate::files;
use crate::host::process::Spawn;
use crate::host::subordinate;

/// What makes the user and its directories, where no package has brought it.
pub(super) const SYSUSERS: &str = "/etc/sysusers.d/rivetr.conf";
pub(super) const TMPFILES: &str = "/etc/tmpfiles.d/rivetr.conf";

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Account {
    pub(in crate::cli) name: String,
    pub(in crate::cli) uid: u32,
    pub(in crate::cli) gid: u32,
    pub(in crate::cli) home: PathBuf,
}

impl Account {
    /// The user who calls.
    pub(in crate::cli) fn caller() -> Result<Self, SetupError> {
        let uid = Uid::current();
        Self::found(User::from_uid(uid), &uid.to_string())
    }

    /// The user of that name.
    pub(in crate::cli) fn named(name: &str) -> Result<Self, SetupError> {
        Self::found(User::from_name(name), name)
    }

    fn found(user: nix::Result<Option<User>>, name: &str) -> Result<Self, SetupError> {
        let no = |cause: String| SetupError::User { name: name.to_owned(), cause };
        let user = user.map_err(|errno| no(errno.to_string()))?;
        let User { name, uid, gid, dir, .. } = user.ok_or_else(|| no("there is none".to_owned()))?;
        Ok(Self { name, uid: uid.as_raw(), gid: gid.as_raw(), home: dir })
    }

    /// Where its manager and Podman listen.
    pub(super) fn runtime_dir(&self) -> PathBuf {
        if self.uid == 0 { "/run".into() } else { format!("/run/user/{}", self.uid).into() }
    }

    fn linger_file(&self) -> PathBuf {
        Path::new("/var/lib/systemd/linger").join(&self.name)
    }
}

/// Makes the account ready, or says what root must do for it.
pub(super) async fn prepare(ground: &Ground, steps: &mut Steps<'_>) -> Result<Account, SetupError> {
    match ground.way {
        Way::Package => prepare_service_user(ground, steps).await,
        Way::Personal => {
            let account = Account::caller()?;
            if !account.linger_file().exists() {
                steps.note(&format!(
                    "apps stop when {0} logs out, and do not start with the machine, until root runs: \
                     loginctl enable-linger {0}",
                    account.name
                ))?;
            }
            Ok(account)
        }
        Way::SystemWide => Account::named("root"),
    }
}

async fn prepare_service_user(ground: &Ground, steps: &mut Steps<'_>) -> Result<Account, SetupError> {
    let was_there = Account::named(SERVICE_USER).is_ok();
    if !ground.packaged {
        write_if_other(Path::new(SYSUSERS), units::SYSUSERS.as_bytes(), 0o644)?;
        write_if_other(Path::new(TMPFILES), units::TMPFILES.as_bytes(), 0o644)?;
    }
    // By name: systemd finds those of a package, too.
    Spawn::new("systemd-sysusers").args(["rivetr.conf"]).run().await?;
    let account = Account::named(SERVICE_USER)?;
    Spawn::new("systemd-tmpfiles").args(["--create", "rivetr.conf"]).run().await?;
    steps.step(
        !was_there,
        &format!("user {SERVICE_USER} ({}), home {}", account.uid, account.home.display()),
    )?;

    let added = add_subordinate_ids(&account).await?;
    steps.step(added, "subordinate user and group ids for its containers")?;

    let linger = account.linger_file();
    let lingered = linger.exists();
    if !lingered {
        files::make_dirs(Path::new("/var/lib/systemd/linger"), 0o755)?;
        files::write_whole(&linger, b"", 0o644)?;
    }
    Control::System.systemctl(&["start", &format!("user@{}.service", account.uid)]).await?;
    steps.step(!lingered, "its manager runs without a login (lingers)")?;

    if added && account.home.join(".local/share/containers").exists() {
        // Podman keeps the old mapping until it is told.
        run_as(&account, "podman").args(["system", "migrate"]).run().await?;
    }
    Ok(account)
}

async fn add_subordinate_ids(account: &Account) -> Result<bool, SetupError> {
    let uids = files::read_text(Path::new("/etc/subuid"))?.unwrap_or_default();
    let gids = files::read_text(Path::new("/etc/subgid"))?.unwrap_or_default();
    let mut args = Vec::new();
    let first = subordinate::first_free(&[&uids, &gids]);
    let first = first.ok_or(SetupError::NoSubordinateIds { count: subordinate::COUNT })?;
    let range = format!("{first}-{}", first + subordinate::COUNT - 1);
    for (text, option) in [(&uids, "--add-subuids"), (&gids, "--add-subgids")] {
        if !subordinate::enough(text, &account.name, account.uid) {
            args.extend([option, &range]);
        }
    }
    if args.is_empty() {
        return Ok(false);
    }
    Spawn::new("usermod").args(args).args([&account.name]).run().await?;
    Ok(true)
}
