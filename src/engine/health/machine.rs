//! Whether this machine gives what apps need: ids, a manager that stays, limits, room, time, a generator that reads.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use super::Check;
use crate::engine::Engine;
use crate::host::layout::Manager;
use crate::host::systemd::ActiveState;
use crate::host::{subordinate, survey};

/// The socket at which the proxy asks for sockets of the rootless network.
const BROKER: &str = "rivetr-netns.socket";
/// What limits of apps and builds stand on.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];
/// Below so many bytes the next build or the next write of the database fails.
const ROOM_LEAST: u64 = 1 << 30;
/// Below so many bytes it is time to make room.
const ROOM_LOW: u64 = 5 << 30;
/// How far the clock may be behind what was written down: it is set a little at times, in ms.
const CLOCK_SLACK: i64 = 60_000;

impl Engine {
    /// Looks at the machine.
    pub(super) async fn check_machine(&self) -> Vec<Check> {
        let user = self.machine().layout.manager == Manager::User;
        let broker = async { if user { Some(self.check_broker().await) } else { None } };
        let (generator, controllers, clock, broker) =
            tokio::join!(self.check_generator(), self.check_controllers(), self.check_clock(), broker);
        let mut checks = vec![generator, check_init(), controllers];
        checks.extend(self.check_room());
        checks.push(clock);
        checks.extend(broker);
        if user {
            checks.extend([self.check_linger(), self.check_ids()]);
        }
        checks
    }

    /// Quadlets that the generator does not take are units that do not exist.
    async fn check_generator(&self) -> Check {
        let cure =
            "mend or remove the file; a drop-in of your own lies beside it in a folder NAME.container.d";
        match self.machine().units.problems().await {
            Ok(problems) if problems.is_empty() => Check::ok("generator", "takes every Quadlet"),
            Ok(problems) => {
                let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
                Check::fail("generator", said.join("; "), cure)
            }
            Err(error) => Check::fail("generator", error, "reinstall podman, which brings the generator"),
        }
    }

    async fn check_controllers(&self) -> Check {
        let found = match self.machine().systemd.own_cgroup().await {
            Ok(cgroup) => survey::controllers(&cgroup).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => return Check::fail("limits", error, "see the check of systemd"),
        };
        match lacking(&found) {
            None => Check::ok("limits", format!("{} are enforced", CONTROLLERS.join(", "))),
            Some(lacking) => {
                let detail = format!("{lacking} cannot be limited: no build or app is held to it");
                Check::warn("limits", detail, self.delegation_cure())
            }
        }
    }

    /// What the kernel does not give to anybody, no manager can be given.
    fn delegation_cure(&self) -> String {
        let whole = match survey::controllers("/") {
            Ok(whole) => whole,
            Err(error) => return format!("look at what the kernel gives: {error}"),
        };
        match (lacking(&whole), self.machine().layout.manager) {
            (Some(lacking), _) => format!(
                "boot with cgroup v2 alone, systemd.unified_cgroup_hierarchy=1, and where the kernel leaves them out, \
                 with cgroup_enable={}",
                lacking.replace(", ", " cgroup_enable=")
            ),
            (None, Manager::User) => "write `[Service]` and `Delegate=cpu cpuset io memory pids` into \
                 /etc/systemd/system/user@.service.d/delegate.conf, then reboot"
                .to_owned(),
            (None, Manager::System) => {
                "look at which controllers rivetr.slice may use: systemctl show --property \
                 DelegateControllers,ControlGroup rivetr.slice"
                    .to_owned()
            }
        }
    }

    /// Of the disks that rivetr and Podman write to, the one with the least room.
    fn check_room(&self) -> Option<Check> {
        let layout = &self.machine().layout;
        let storage = match layout.manager {
            Manager::User => layout.home.join(".local/share/containers"),
            Manager::System => PathBuf::from("/var/lib/containers"),
        };
        let look = |path: &Path| match survey::room(path) {
            Ok(room) => Some((room, path.display().to_string())),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "room not known");
                None
            }
        };
        let paths = [layout.state.as_path(), storage.as_path()];
        let (room, path) = paths.into_iter().filter_map(look).min_by_key(|(room, _)| room.free)?;
        let detail =
            format!("{} of {} free at {path}", survey::readable(room.free), survey::readable(room.total));
        let cure = "make room: delete apps and volumes that nobody needs, or give the machine a larger disk";
        Some(match room.free {
            0..ROOM_LEAST => Check::fail("disk", detail, cure),
            ROOM_LEAST..ROOM_LOW => Check::warn("disk", detail, cure),
            ROOM_LOW.. => Check::ok("disk", detail),
        })
    }

    async fn check_clock(&self) -> Check {
        let (now, cure) = (self.now(), "set the clock, and let it be kept: timedatectl set-ntp true");
        match self.reader().newest().await {
            Ok(Some(newest)) if now.0 + CLOCK_SLACK < newest.0 => {
                let behind = (newest.0 - now.0) / 1000;
                Check::fail("clock", format!("it is {behind} s behind the last deployment"), cure)
            }
            Ok(_) => Check::ok("clock", "not behind the last deployment"),
            Err(error) => Check::fail("clock", error, "see the check of the database"),
        }
    }

    /// Without the broker's socket the proxy reaches no container of a user.
    async fn check_broker(&self) -> Check {
        let layout = &self.machine().layout;
        let path = layout.netns_socket();
        let cure = self.control(&format!("restart {BROKER}"));
        if !std::fs::metadata(&path).is_ok_and(|found| found.file_type().is_socket()) {
            let detail = format!("{} is missing: no app can be reached", path.display());
            return Check::fail(BROKER, detail, cure);
        }
        // A socket that was stopped leaves its path behind.
        match self.machine().systemd.unit(BROKER).await {
            Ok(Some(unit)) if unit.active_state == ActiveState::Active => Check::ok(BROKER, "active"),
            Ok(Some(unit)) => {
                Check::fail(BROKER, format!("{}: no app can be reached", unit.active_state.as_str()), cure)
            }
            Ok(None) => Check::fail(BROKER, "it is not installed", "rivetr setup"),
            Err(error) => Check::fail(BROKER, error, "see the check of systemd"),
        }
    }

    /// Without linger the user manager, and with it every app, ends with the last session.
    fn check_linger(&self) -> Check {
        let layout = &self.machine().layout;
        if layout.linger().exists() {
            return Check::ok("linger", format!("apps of {} start at boot", layout.user));
        }
        let cure = format!("loginctl enable-linger {}", layout.user);
        Check::fail("linger", "apps would end with the last session and not start at boot", cure)
    }

    /// Without subordinate ids no container of a user can have users of its own.
    fn check_ids(&self) -> Check {
        let user = &self.machine().layout.user;
        match subordinate::lacking(user) {
            Ok(lacking) if lacking.is_empty() => Check::ok("ids", format!("{user} has subordinate ids")),
            Ok(lacking) => {
                let detail = format!("{} gives {user} no {} ids", lacking.join(", "), subordinate::COUNT);
                Check::fail("ids", detail, subordinate::cure(user) + ", then: podman system migrate")
            }
            Err(error) => Check::fail("ids", error, "make the file readable for all"),
        }
    }
}

/// What of [`CONTROLLERS`] is not among these.
fn lacking(found: &[String]) -> Option<String> {
    let lacking = CONTROLLERS.into_iter().filter(|one| !found.iter().any(|found| found == one));
    let lacking: Vec<&str> = lacking.collect();
    (!lacking.is_empty()).then(|| lacking.join(", "))
}

/// Podman runs without its process 1, but not what asks for one.
fn check_init() -> Check {
    match survey::init() {
        Some(path) => Check::ok("init", path.display().to_string()),
        None => Check::warn(
            "init",
            "there is no catatonit where Podman looks for it: `rivetr run` and apps with --init cannot start",
            "install catatonit, unless containers.conf names another",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_delegated_is_named() {
        for (found, named) in [
            ("cpuset cpu io memory hugetlb pids", None),
            ("memory pids", Some("cpu")),
            ("cpuset", Some("cpu, memory, pids")),
            ("", Some("cpu, memory, pids")),
        ] {
            let found: Vec<String> = found.split_whitespace().map(str::to_owned).collect();
            assert_eq!(lacking(&found).as_deref(), named);
        }
    }
}
