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

/// What one container image may need: 0 to 65535 inside it.
const SUBORDINATE_IDS: u64 = 65536;
/// Where distributions begin to give ranges away.
const SUBORDINATE_FIRST: u64 = 100_000;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) home: PathBuf,
}

impl Account {
    /// The user who calls.
    pub(super) fn caller() -> Result<Self, SetupError> {
        let uid = Uid::current();
        Self::found(User::from_uid(uid), &uid.to_string())
    }

    fn named(name: &str) -> Result<Self, SetupError> {
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
        Way::Package => prepare_service_user(steps).await,
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

async fn prepare_service_user(steps: &mut Steps<'_>) -> Result<Account, SetupError> {
    let was_there = Account::named(SERVICE_USER).is_ok();
    let sysusers = Path::new("/etc/sysusers.d/rivetr.conf");
    write_if_other(sysusers, units::SYSUSERS.as_bytes(), 0o644)?;
    Spawn::new("systemd-sysusers").args([sysusers]).run().await?;
    let account = Account::named(SERVICE_USER)?;
    let tmpfiles = Path::new("/etc/tmpfiles.d/rivetr.conf");
    write_if_other(tmpfiles, units::TMPFILES.as_bytes(), 0o644)?;
    Spawn::new("systemd-tmpfiles").args(["--create"]).args([tmpfiles]).run().await?;
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
    let first = first_free(&[&uids, &gids]).ok_or(SetupError::NoSubordinateIds { count: SUBORDINATE_IDS })?;
    let range = format!("{first}-{}", first + SUBORDINATE_IDS - 1);
    for (text, option) in [(&uids, "--add-subuids"), (&gids, "--add-subgids")] {
        if !has_ids(text, account) {
            args.extend([option, &range]);
        }
    }
    if args.is_empty() {
        return Ok(false);
    }
    Spawn::new("usermod").args(args).args([&account.name]).run().await?;
    Ok(true)
}

/// Whether a text of the form of `/etc/subuid` gives this user enough.
pub(super) fn has_ids(text: &str, account: &Account) -> bool {
    let uid = account.uid.to_string();
    let own = ranges(text).filter(|(owner, _, _)| *owner == account.name || *owner == uid);
    own.map(|(_, _, count)| count).sum::<u64>() >= SUBORDINATE_IDS
}

/// What root would have to run for a user without ids.
pub(super) fn ids_cure(account: &Account) -> String {
    format!(
        "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {} (or another free range)",
        account.name
    )
}

/// The first id behind all ranges, if there is room.
fn first_free(texts: &[&str]) -> Option<u64> {
    let ends =
        texts.iter().flat_map(|text| ranges(text)).map(|(_, first, count)| first.saturating_add(count));
    let first = ends.max().unwrap_or(0).max(SUBORDINATE_FIRST);
    (first.saturating_add(SUBORDINATE_IDS) < u64::from(u32::MAX)).then_some(first)
}

fn ranges(text: &str) -> impl Iterator<Item = (&str, u64, u64)> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        Some((fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account { name: "rivetr".into(), uid: 996, gid: 996, home: "/var/lib/rivetr".into() }
    }

    #[test]
    fn who_has_subordinate_ids() {
        for (text, enough) in [
            ("", false),
            ("ada:100000:65536\n", false),
            ("rivetr:100000:1000\n", false),
            ("rivetr:100000:65536\n", true),
            ("996:100000:65536\n", true),
            ("rivetr:100000:32768\nrivetr:200000:32768\n", true),
            ("nonsense\nrivetr:x:y\n", false),
        ] {
            assert_eq!(has_ids(text, &account()), enough, "{text:?}");
        }
    }

    #[test]
    fn the_first_free_range() {
        assert_eq!(first_free(&["", ""]), Some(100_000));
        assert_eq!(first_free(&["ada:100000:65536\n", "ada:165536:65536\n"]), Some(231_072));
        assert_eq!(first_free(&["small:5:5\n"]), Some(100_000));
        assert_eq!(first_free(&["all:100000:4294867295\n"]), None);
        assert_eq!(first_free(&["huge:1:18446744073709551615\n"]), None);
    }
}
