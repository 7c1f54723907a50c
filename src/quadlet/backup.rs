//! The backups of a database as units of systemd: a timer, and the service that asks rivetr for a backup.

use std::path::Path;

use super::job::STARTER;
use super::path::UnitPath;
use super::unit::{Section, Unit};
use super::{QuadletError, UnitFiles};
use crate::domain::backup::When;
use crate::domain::name::Slug;

const TIMER: &str = include_str!("../../quadlets/backup.timer");
const SERVICE: &str = include_str!("../../quadlets/backup.service");

/// The timer of the backups of a database.
#[must_use]
pub fn timer_unit(slug: &Slug) -> String {
    format!("rivetr-backup-{slug}.timer")
}

/// The timer and the service of a database's backups; `program` is rivetr itself, `socket` where it listens.
pub fn units(slug: &Slug, when: When, program: &Path, socket: &Path) -> Result<UnitFiles, QuadletError> {
    let mut timer = Unit::parse(TIMER)?;
    timer.section(Section::Unit).scalar("Description", &format!("When the database {slug} is backed up"))?;
    timer.section(Section::Timer).scalar("OnCalendar", &when.calendar())?;
    let mut service = Unit::parse(SERVICE)?;
    service.section(Section::Unit).scalar("Description", &format!("Backup of the database {slug}"))?;
    let socket = socket.display().to_string();
    let program = program.display().to_string();
    let words = [program.as_str(), "backups", "take", slug.as_str(), "--scheduled", "--socket", &socket];
    service.section(Section::Service).command("ExecStart", STARTER, words)?;
    Ok(UnitFiles::from([
        (UnitPath::systemd(&timer_unit(slug))?, timer.to_string()),
        (UnitPath::systemd(&format!("rivetr-backup-{slug}.service"))?, service.to_string()),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_and_what_it_starts() {
        let slug = Slug::parse("orders").unwrap();
        let when = When::parse("weekly sun 03:30").unwrap();
        let files =
            units(&slug, when, Path::new("/usr/bin/rivetr"), Path::new("/run/rivetr/api.sock")).unwrap();
        let text: Vec<String> = files.iter().map(|(path, text)| format!("{path}\n{text}")).collect();
        let [service, timer] = text.as_slice() else { panic!("{text:?}") };
        assert!(timer.starts_with("rivetr-backup-orders.timer\n"), "{timer}");
        assert!(timer.contains("\nOnCalendar=sun *-*-* 03:30:00\n") && timer.contains("\nPersistent=true\n"));
        for word in [
            "ExecStart=",
            "/usr/bin/rivetr",
            "backups",
            "take",
            "orders",
            "--scheduled",
            "--socket",
            "/run/rivetr/api.sock",
        ] {
            assert!(service.contains(word), "{service}");
        }
    }
}
