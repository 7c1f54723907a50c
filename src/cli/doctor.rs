//! `rivetr doctor`: what rivetr says of itself, and what can be seen of it from outside when it says nothing.
//!
//! Without an option it only looks: nothing is started, written or changed.

mod bundle;
mod repair;

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use self::repair::Managers;
use super::failure::{Exit, Failure};
use super::session::Session;
use super::setup::{Account, PODMAN, SYSTEMD, parse_version, taken};
use super::table::table;
use crate::api::client::Target;
use crate::api::wire::{Check, CheckStatus, Health};
use crate::config::environment::Environment;
use crate::host::process::{Base, Spawn, hand_in};
use crate::host::sockets::GAVE_UP;

/// How long one look at the system may take.
const LOOK_LIMIT: Duration = Duration::from_secs(10);
/// How soon to look again whether a service that does not answer has given up.
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// The units that must be up for rivetr to work, in the order they depend on each other.
const UNITS: [&str; 6] = [
    "rivetr.socket",
    "rivetr-http.socket",
    "rivetr.service",
    "rivetr-proxy.socket",
    "rivetr-proxy-tls.socket",
    "rivetr-proxy.service",
];

/// Look for what is wrong with rivetr and its host
///
/// Each check says what to do. --repair does what is safe by itself: it starts units of rivetr that are down, and sees to
/// Podman's socket, the broker and linger.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Examples: rivetr doctor; rivetr doctor --repair; rivetr doctor --bundle rivetr.tar.zst"
)]
pub struct Doctor {
    /// Repair what can be repaired safely; asks before each step
    #[arg(long, conflicts_with = "server")]
    repair: bool,
    /// Do not ask
    #[arg(long, short, requires = "repair")]
    yes: bool,
    /// Write what a report of a bug needs into this file: checks, versions, configuration, units and the journal of
    /// rivetr's own units, without secrets
    #[arg(long, value_name = "FILE.tar.zst", conflicts_with = "repair")]
    bundle: Option<PathBuf>,
}

/// What was found.
struct Found {
    checks: Vec<Check>,
    /// How the command ends where something fails.
    exit: Exit,
}

impl Doctor {
    pub(super) async fn run(&self, session: &mut Session, environment: &Environment) -> Result<(), Failure> {
        let mut found = look(session, environment).await;
        let managers = async || match session.client.target() {
            Target::Socket(path) => managers(path, environment).await,
            Target::Http { .. } => Managers { own: false, containers: None },
        };
        if self.repair && repair::run(&found.checks, &managers().await, self.yes).await? {
            found = look(session, environment).await;
        }
        let status = found.checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Ok);
        let health = Health { status, checks: found.checks };
        if let Some(path) = &self.bundle {
            bundle::write(path, session, &health, &managers().await).await?;
            return if session.json {
                session.document(&serde_json::json!({ "bundle": path }))
            } else {
                session.line(&format!(
                    "{} is written, for you alone to read. Look through it before you hand it on.",
                    path.display()
                ))
            };
        }
        if session.json {
            session.document(&health)?;
        } else {
            session.print(&words(&health.checks))?;
        }
        if status == CheckStatus::Fail { Err(Failure::new(found.exit, "")) } else { Ok(()) }
    }
}

/// Looks at everything once.
async fn look(session: &Session, environment: &Environment) -> Found {
    let (answer, mut checks) = match session.client.target() {
        Target::Socket(path) => look_here(session, path, environment).await,
        Target::Http { .. } => (health(session).await, Vec::new()),
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
    compare_versions(&mut checks);
    Found { checks, exit }
}

/// The daemon goes on as it was started when the program is replaced.
fn compare_versions(checks: &mut [Check]) {
    let own = env!("CARGO_PKG_VERSION");
    if let Some(check) = checks.iter_mut().find(|check| check.name == "rivetr" && check.detail != own) {
        check.status = CheckStatus::Warn;
        check.detail = format!("{} runs, and this command is {own}", check.detail);
        check.cure = Some("systemctl restart rivetr.service, and rivetr proxy upgrade".to_owned());
    }
}

/// Whose managers run rivetr and its containers.
async fn managers(socket: &Path, environment: &Environment) -> Managers {
    let place = environment.place();
    let own = socket.starts_with(&place.runtime_dir) && !environment.system_wide();
    if own {
        return Managers { own, containers: Account::caller().ok() };
    }
    let look = Spawn::new("systemctl").args(["show", "--value", "--property=User", "--", "rivetr.service"]);
    let user = match look.limit(LOOK_LIMIT).run().await {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(_) => String::new(),
    };
    // Without a user it is root's, and so are the containers.
    Managers {
        own,
        containers: Some(user).filter(|user| !user.is_empty()).and_then(|user| Account::named(&user).ok()),
    }
}

async fn health(session: &Session) -> Result<Health, Failure> {
    Ok(session.client.get("/api/system/health").await?.decode()?)
}

/// What rivetr answers, or why it has given up, and what can be seen without it.
async fn look_here(
    session: &Session,
    socket: &Path,
    environment: &Environment,
) -> (Result<Health, Failure>, Vec<Check>) {
    let place = environment.place();
    let own = socket.starts_with(&place.runtime_dir) && !environment.system_wide();
    hand_in(Base {
        path: environment.get("PATH").unwrap_or_default().to_owned(),
        home: place.home,
        user_runtime: place.xdg_runtime_dir.unwrap_or(place.runtime_dir),
    });
    let manager: &[&str] = if own { &["--user"] } else { &[] };
    let answer = tokio::select! {
        answer = health(session) => answer,
        // Its socket is systemd's, and lets who asks wait for as long as the service is started again and again.
        why = gave_up(manager) => Err(Failure::new(Exit::Unreachable, format!("rivetr.service gave up: {why}"))),
    };
    let checks = local_checks(socket, own, manager, answer.is_err()).await;
    (answer, checks)
}

/// Why rivetr ended by itself; waits as long as it has not.
async fn gave_up(manager: &[&str]) -> String {
    loop {
        let look = Spawn::new("systemctl").args(manager).args([
            "show",
            "--property=SubState,NRestarts,StatusText",
            "--",
        ]);
        if let Ok(output) = look.args(["rivetr.service"]).limit(LOOK_LIMIT).output().await
            && let Some(why) = reason(&String::from_utf8_lossy(&output.stdout))
        {
            return why.to_owned();
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// What the service said at its end, while it is at its end. Once is no end: it is started again, and may then work.
fn reason(shown: &str) -> Option<&str> {
    let property = |name| shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let state = property("SubState")?;
    let again = property("NRestarts").is_some_and(|count| count != "0");
    let ended = state == "failed" || (again && state.starts_with("auto-restart"));
    property("StatusText")?.strip_prefix(GAVE_UP).filter(|_| ended)
}

/// What can be seen without rivetr: its units, and if it is `silent`, also what it would else tell itself.
async fn local_checks(socket: &Path, own: bool, manager: &[&str], silent: bool) -> Vec<Check> {
    let mut checks = unit_checks(own, manager).await;
    if silent {
        checks.insert(0, socket_check(socket));
        checks.push(version_check("systemd", Spawn::new("systemctl").args(["--version"]), SYSTEMD).await);
        checks.push(version_check("podman", Spawn::new("podman").args(["--version"]), PODMAN).await);
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
async fn unit_checks(own: bool, manager: &[&str]) -> Vec<Check> {
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
    match parse_version(&detail) {
        None => check(name, CheckStatus::Warn, format!("its version is not understood: {detail}"), None),
        Some(found) if found < least => {
            let cure = format!("rivetr needs {name} {}.{} or newer", least.0, least.1);
            check(name, CheckStatus::Fail, detail, Some(cure))
        }
        Some(_) => check(name, CheckStatus::Ok, detail, None),
    }
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

    #[tokio::test]
    async fn a_version_that_is_too_old_is_told_with_what_is_needed() {
        for (said, status) in [
            ("podman version 5.4.2", CheckStatus::Ok),
            ("podman version 5.10.0-rc1", CheckStatus::Ok),
            ("podman version 5.3.9", CheckStatus::Fail),
            ("podman version 4.9.3", CheckStatus::Fail),
            ("podman version unknown", CheckStatus::Warn),
        ] {
            let found = version_check("podman", Spawn::new("echo").args([said]), PODMAN).await;
            assert_eq!((found.status, found.detail.contains(said)), (status, true), "{found:?}");
            let cure = (status == CheckStatus::Fail).then_some("rivetr needs podman 5.4 or newer");
            assert_eq!(found.cure.as_deref(), cure);
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
        let checks = local_checks(Path::new("/nowhere/api.sock"), false, &[], false).await;
        let told = checks.iter().find(|check| ["socket", "systemd", "podman"].contains(&check.name.as_str()));
        assert_eq!((told, checks.is_empty()), (None, false));
    }

    #[test]
    fn a_service_has_given_up_when_it_said_so_and_is_at_its_end() {
        for (shown, why) in [
            ("SubState=auto-restart\nNRestarts=0\nStatusText=Gave up: no keys\n", None),
            ("SubState=auto-restart\nNRestarts=1\nStatusText=Gave up: no keys\n", Some("no keys")),
            ("StatusText=Gave up: no keys\nNRestarts=12\nSubState=auto-restart-queued\n", Some("no keys")),
            ("SubState=failed\nStatusText=Gave up: a=b\n", Some("a=b")),
            ("SubState=running\nStatusText=Gave up: no keys\n", None),
            ("SubState=auto-restart\nStatusText=Ready\n", None),
            ("SubState=start\nStatusText=\n", None),
            ("", None),
        ] {
            assert_eq!(reason(shown), why, "{shown}");
        }
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
