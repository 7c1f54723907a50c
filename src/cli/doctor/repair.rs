//! `rivetr doctor --repair`: what is known to be safe is done, each after a question. Nothing is deleted, and nothing that
//! serves is stopped.

use std::io::{BufRead, IsTerminal, Write};
use std::time::Duration;

use super::super::failure::{Exit, Failure};
use super::super::setup::{Account, run_as};
use crate::api::wire::{Check, CheckStatus};
use crate::host::process::Spawn;

/// How long one repair may take: a service that is started says that it is ready.
const LIMIT: Duration = Duration::from_mins(2);
/// The socket of Podman's API.
const PODMAN_SOCKET: &str = "podman.socket";
/// The socket at which the proxy asks for sockets of the rootless network.
const BROKER: &str = "rivetr-netns.socket";

/// Who runs the units of rivetr and those of apps.
#[derive(Debug, Clone)]
pub(super) struct Managers {
    /// rivetr's own units are those of the caller's manager.
    pub own: bool,
    /// Whose manager runs the containers; none: that of the machine.
    pub containers: Option<Account>,
}

/// One thing that can be done.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Repair {
    /// What is wrong.
    check: String,
    program: &'static str,
    words: Vec<String>,
    /// By the user who runs the containers.
    by_user: bool,
}

/// Does what can be done about these; says whether anything was.
pub(super) async fn run(checks: &[Check], managers: &Managers, yes: bool) -> Result<bool, Failure> {
    let repairs = repairs(checks, managers);
    let mut out = std::io::stderr();
    if repairs.is_empty() {
        writeln!(out, "Nothing here can be repaired without you.")?;
        return Ok(false);
    }
    let stdin = std::io::stdin();
    if !yes && !stdin.is_terminal() {
        let message = "nothing was repaired: nobody can be asked here whether it may be";
        return Err(Failure::new(Exit::Usage, message).cure("rivetr doctor --repair --yes"));
    }
    let mut done = false;
    for repair in repairs {
        if !yes && !agreed(&repair, &mut stdin.lock(), &mut out)? {
            continue;
        }
        let spawn = match &managers.containers {
            Some(account) if repair.by_user => run_as(account, repair.program),
            Some(_) | None => Spawn::new(repair.program),
        };
        match spawn.args(&repair.words).limit(LIMIT).run().await {
            Ok(_) => {
                writeln!(out, "{}: done ({})", repair.check, repair.command())?;
                done = true;
            }
            Err(error) => writeln!(out, "{}: {error}", repair.check)?,
        }
    }
    Ok(done)
}

fn agreed(repair: &Repair, answers: &mut impl BufRead, out: &mut impl Write) -> Result<bool, Failure> {
    write!(out, "{}: {}? [y/N] ", repair.check, repair.command())?;
    out.flush()?;
    let mut typed = String::new();
    answers.read_line(&mut typed)?;
    Ok(matches!(typed.trim(), "y" | "Y" | "yes"))
}

fn repairs(checks: &[Check], managers: &Managers) -> Vec<Repair> {
    let wrong = checks.iter().filter(|check| check.status == CheckStatus::Fail);
    let mut repairs: Vec<Repair> = wrong.filter_map(|check| of(check, managers)).collect();
    // What others stand on comes first: a manager before its units, sockets before services.
    repairs.sort_by_key(|repair| {
        let unit = repair.words.last().map_or("", String::as_str);
        (repair.program != "loginctl", super::UNITS.contains(&unit), unit.strip_suffix(".service").is_some())
    });
    repairs.dedup();
    repairs
}

/// What can be done about a check that fails.
fn of(check: &Check, Managers { own, containers }: &Managers) -> Option<Repair> {
    let user = containers.is_some();
    let control = |verb: &[&str], of_user: bool| {
        let option = if of_user { Some("--user") } else { None };
        option.into_iter().chain(verb.iter().copied()).map(str::to_owned).collect()
    };
    let (program, words, by_user) = match check.name.as_str() {
        "podman" => ("systemctl", control(&["enable", "--now", PODMAN_SOCKET], user), user),
        BROKER => ("systemctl", control(&["restart", BROKER], user), user),
        "linger" => {
            let name = containers.as_ref().map(|account| account.name.clone())?;
            ("loginctl", vec!["enable-linger".to_owned(), name], false)
        }
        // One that has failed says why, and a port that is taken is for a person to free.
        unit if super::UNITS.contains(&unit) && check.detail == "inactive" => {
            ("systemctl", control(&["start", unit], *own), false)
        }
        _ => return None,
    };
    Some(Repair { check: check.name.clone(), program, words, by_user })
}

impl Repair {
    fn command(&self) -> String {
        format!("{} {}", self.program, self.words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn managers(own: bool, user: bool) -> Managers {
        let account =
            Account { name: "rivetr".to_owned(), uid: 996, gid: 996, home: "/var/lib/rivetr".into() };
        Managers { own, containers: user.then_some(account) }
    }

    #[test]
    fn only_what_is_safe_is_offered_and_in_order() {
        let fails = |name: &str, detail: &str| Check {
            name: name.to_owned(),
            status: CheckStatus::Fail,
            detail: detail.to_owned(),
            cure: None,
        };
        let mut checks = vec![
            fails("rivetr.service", "inactive"),
            fails("rivetr.socket", "inactive"),
            fails("rivetr-proxy.service", "failed"),
            fails("rivetr-proxy.socket", "port 80 is taken by nginx"),
            fails("podman", "cannot reach Podman"),
            fails("linger", "gone"),
            fails("disk", "full"),
            fails("database", "damaged"),
        ];
        let commands = |checks: &[Check], managers: &Managers| {
            repairs(checks, managers).iter().map(Repair::command).collect::<Vec<_>>()
        };
        assert_eq!(
            commands(&checks, &managers(false, true)),
            [
                "loginctl enable-linger rivetr",
                "systemctl --user enable --now podman.socket",
                "systemctl start rivetr.socket",
                "systemctl start rivetr.service",
            ]
        );
        assert_eq!(
            commands(&checks, &managers(false, false)),
            [
                "systemctl enable --now podman.socket",
                "systemctl start rivetr.socket",
                "systemctl start rivetr.service",
            ]
        );
        for check in &mut checks {
            check.status = CheckStatus::Warn;
        }
        assert_eq!(commands(&checks, &managers(true, true)), [""; 0]);
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        let repair = Repair {
            check: "linger".to_owned(),
            program: "loginctl",
            words: vec!["enable-linger".to_owned(), "rivetr".to_owned()],
            by_user: false,
        };
        for (typed, expect) in [("y\n", true), ("yes\n", true), ("\n", false), ("n\n", false), ("", false)] {
            let mut asked = Vec::new();
            assert_eq!(agreed(&repair, &mut typed.as_bytes(), &mut asked).unwrap(), expect);
            assert_eq!(String::from_utf8(asked).unwrap(), "linger: loginctl enable-linger rivetr? [y/N] ");
        }
    }
}
