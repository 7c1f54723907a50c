//! `rivetr doctor`: what rivetr says of itself, and what can be seen of it from outside when it says nothing.
//!
//! It only looks: nothing is started, written or changed.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::failure::{Exit, Failure};
use super::session::Session;
use super::setup::taken;
use super::table::table;
use crate::api::client::Target;
use crate::api::wire::{Check, CheckStatus, Health};
use crate::config::environment::Environment;
use crate::host::process::{Base, Spawn, hand_in};

/// How long one look at the system may take.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
/// The units that must be up for rivetr to work, in the order they depend on each other.
const UNITS: [&str; 5] =
    ["rivetr.socket", "rivetr-http.socket", "rivetr.service", "rivetr-proxy.socket", "rivetr-proxy.service"];
/// The oldest versions that are known to work.
const PODMAN_MIN: (u32, u32) = (5, 4);
const SYSTEMD_MIN: (u32, u32) = (252, 0);

/// Look for what is wrong with rivetr and its host
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr doctor")]
pub struct Doctor {}

impl Doctor {
    pub(super) async fn run(&self, session: &mut Session, environment: &Environment) -> Result<(), Failure> {
        let answer = health(session).await;
        let mut checks = match session.client.target() {
            Target::Socket(path) => local_checks(path, environment, answer.is_err()).await,
            Target::Http { .. } => Vec::new(),
        };
        let exit = match answer {
            Ok(health) => {
                checks.extend(health.checks);
                Exit::Failed
            }
            Err(failure) => {
                // Its own cure would lead here; the checks before it say more.
                checks.push(check("api", CheckStatus::Fail, failure.message, None));
                failure.exit
            }
        };
        let status = checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Ok);
        if session.json {
            session.document(&Health { status, checks })?;
        } else {
            session.print(&words(&checks))?;
        }
        if status == CheckStatus::Fail { Err(Failure::new(exit, "")) } else { Ok(()) }
    }
}

async fn health(session: &Session) -> Result<Health, Failure> {
    Ok(session.client.get("/api/system/health").await?.decode()?)
}

/// What can be seen without rivetr: its units, and if it is `silent`, also what it would else tell itself.
async fn local_checks(socket: &Path, environment: &Environment, silent: bool) -> Vec<Check> {
    let place = environment.place();
    let own = socket.starts_with(&place.runtime_dir) && !environment.system_wide();
    hand_in(Base {
        path: environment.get("PATH").unwrap_or_default().to_owned(),
        home: place.home,
        user_runtime: place.xdg_runtime_dir.unwrap_or(place.runtime_dir),
    });
    let mut checks = unit_checks(own).await;
    if silent {
        checks.insert(0, socket_check(socket));
        checks.push(version_check("systemd", Spawn::new("systemctl").args(["--version"]), SYSTEMD_MIN).await);
        checks.push(version_check("podman", Spawn::new("podman").args(["--version"]), PODMAN_MIN).await);
    }
    checks
}

fn socket_check(path: &Path) -> Check {
    let shown = path.display();
    let (status, detail) = match std::fs::metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => (CheckStatus::Ok, format!("{shown} is there")),
        Ok(_) => (CheckStatus::Fail, format!("{shown} is not a socket")),
        Err(error) => (CheckStatus::Fail, format!("{shown}: {error}")),
    };
    let cure = (status != CheckStatus::Ok)
        .then(|| "start rivetr.socket, or name another socket with --socket".to_owned());
    check("socket", status, detail, cure)
}

/// The units of rivetr, as their manager sees them: that of this user, or that of the machine.
async fn unit_checks(own: bool) -> Vec<Check> {
    let manager: &[&str] = if own { &["--user"] } else { &[] };
    let look = Spawn::new("systemctl").args(manager).args(["is-active", "--"]).args(UNITS).limit(LOOK_LIMIT);
    // The exit status only says that one of them is not active; the words are read instead.
    match look.output().await {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            if text.trim().is_empty() {
                return vec![check("units", CheckStatus::Fail, output.stderr.trim(), None)];
            }
            let states = text.lines().map(str::trim).chain(std::iter::repeat("unknown"));
            let mut checks: Vec<Check> =
                UNITS.iter().zip(states).map(|(unit, state)| unit_check(unit, state, own)).collect();
            let down = checks.iter_mut().filter(|check| check.status == CheckStatus::Fail);
            for check in down.filter(|check| check.name.ends_with(".socket")) {
                explain_port(check, manager).await;
            }
            checks
        }
        Err(error) => vec![check("units", CheckStatus::Fail, error.to_string(), None)],
    }
}

/// A socket unit most often fails because somebody else has its port; then that is what is wrong.
async fn explain_port(check: &mut Check, manager: &[&str]) {
    let look = Spawn::new("systemctl").args(manager).args(["show", "--property=Listen", "--value", "--"]);
    let Ok(output) = look.args([&check.name]).limit(LOOK_LIMIT).output().await else { return };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let taken = listening_ports(&text).find_map(|port| Some((port, taken(port)?)));
    if let Some((port, holder)) = taken {
        check.detail = format!("port {port} is taken by {holder}");
        check.cure = Some(format!("stop it or move it to another port, then start {}", check.name));
    }
}

/// The ports of `[::]:80 (Stream)`, one a line.
fn listening_ports(text: &str) -> impl Iterator<Item = u16> {
    text.lines().filter_map(|line| line.split_whitespace().next()?.rsplit_once(':')?.1.parse().ok())
}

fn unit_check(unit: &str, state: &str, own: bool) -> Check {
    let user = if own { " --user" } else { "" };
    let (status, cure) = match state {
        "active" => (CheckStatus::Ok, None),
        "activating" | "deactivating" | "reloading" => (CheckStatus::Warn, None),
        "failed" => (CheckStatus::Fail, Some(format!("journalctl{user} -u {unit} -n 50 says why"))),
        _ => (CheckStatus::Fail, Some(format!("systemctl{user} start {unit}"))),
    };
    check(unit, status, state, cure)
}

async fn version_check(name: &str, look: Spawn, least: (u32, u32)) -> Check {
    let output = match look.limit(LOOK_LIMIT).run().await {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => return check(name, CheckStatus::Fail, error.to_string(), None),
    };
    let detail = output.lines().next().unwrap_or_default().trim().to_owned();
    match version(&detail) {
        None => check(name, CheckStatus::Warn, format!("its version is not understood: {detail}"), None),
        Some(found) if found < least => {
            let cure = format!("rivetr needs {name} {}.{} or newer", least.0, least.1);
            check(name, CheckStatus::Fail, detail, Some(cure))
        }
        Some(_) => check(name, CheckStatus::Ok, detail, None),
    }
}

/// The first two numbers of the first word that begins with a digit: `podman version 5.4.2`, `systemd 257 (…)`.
fn version(text: &str) -> Option<(u32, u32)> {
    let word = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = word.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

fn check(name: &str, status: CheckStatus, detail: impl Into<String>, cure: Option<String>) -> Check {
    Check { name: name.to_owned(), status, detail: detail.into(), cure }
}

fn words(checks: &[Check]) -> String {
    let row = |check: &Check| {
        let status = match check.status {
            CheckStatus::Ok => "ok",
            CheckStatus::Warn => "warning",
            CheckStatus::Fail => "FAILS",
        };
        let cure = check.cure.as_ref().map(|cure| format!("; try: {cure}")).unwrap_or_default();
        [check.name.clone(), status.to_owned(), format!("{}{cure}", check.detail)]
    };
    let rows: Vec<_> = checks.iter().map(row).collect();
    let wrong = checks.iter().filter(|check| check.status == CheckStatus::Fail).count();
    let verdict = match wrong {
        0 => "Nothing is wrong.".to_owned(),
        1 => "One thing is wrong.".to_owned(),
        many => format!("{many} things are wrong."),
    };
    format!("{}\n{verdict}\n", table(["CHECK", "STATUS", "DETAIL"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, expect) in [
            ("podman version 5.4.2", Some((5, 4))),
            ("podman version 5.10.0-rc1", Some((5, 10))),
            ("systemd 257 (257.9-1~deb13u1)", Some((257, 0))),
            ("systemd v257~rc1", None),
            ("", None),
        ] {
            assert_eq!(version(text), expect, "{text:?}");
        }
    }

    #[test]
    fn units_that_are_down_come_with_a_cure() {
        for (state, own, status, cure) in [
            ("active", false, CheckStatus::Ok, None),
            ("activating", false, CheckStatus::Warn, None),
            ("inactive", false, CheckStatus::Fail, Some("systemctl start rivetr.service")),
            ("inactive", true, CheckStatus::Fail, Some("systemctl --user start rivetr.service")),
            ("failed", true, CheckStatus::Fail, Some("journalctl --user -u rivetr.service -n 50 says why")),
        ] {
            let found = unit_check("rivetr.service", state, own);
            assert_eq!((found.status, found.cure.as_deref()), (status, cure), "{state}");
        }
    }

    #[tokio::test]
    async fn what_rivetr_tells_itself_is_not_looked_up_again() {
        let environment = Environment::of(1000, "/nowhere", [("PATH", "/usr/bin:/bin")]);
        let checks = local_checks(Path::new("/nowhere/api.sock"), &environment, false).await;
        let told = checks.iter().find(|check| ["socket", "systemd", "podman"].contains(&check.name.as_str()));
        assert_eq!((told, checks.is_empty()), (None, false));
    }

    #[test]
    fn ports_of_a_socket_unit() {
        let text = "[::]:80 (Stream)\n0.0.0.0:8080 (Stream)\n/run/rivetr/api.sock (Stream)\n";
        assert_eq!(listening_ports(text).collect::<Vec<_>>(), [80, 8080]);
        assert_eq!(listening_ports("").count(), 0);
    }

    #[test]
    fn a_socket_is_told_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        assert_eq!(socket_check(&path).status, CheckStatus::Fail);
        std::fs::File::create(&path).unwrap();
        assert!(socket_check(&path).detail.ends_with("is not a socket"));
        std::fs::remove_file(&path).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(socket_check(&path).status, CheckStatus::Ok);
    }
}
