//! The backups of a database or a volume as units of systemd: a timer, and the service that asks rivetr for a backup.

use std::path::Path;

use super::job::STARTER;
use super::path::{Owner, UnitPath};
use super::unit::{Section, Unit};
use super::{QuadletError, UnitFiles};
use crate::domain::backup::When;
use crate::domain::name::Slug;
use crate::domain::volume::VolumeId;

const TIMER: &str = include_str!("../../quadlets/backup.timer");
const SERVICE: &str = include_str!("../../quadlets/backup.service");

/// What is backed up by itself.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// A database.
    Database(&'a Slug),
    /// A volume.
    Volume(&'a VolumeId),
}

/// The timer and the service of the backups of something; `program` is rivetr itself, `socket` where it listens.
pub fn units(of: Of<'_>, when: When, program: &Path, socket: &Path) -> Result<UnitFiles, QuadletError> {
    let (stem, what, name) = match of {
        Of::Database(slug) => (format!("rivetr-backup-{slug}"), "database", slug.to_string()),
        Of::Volume(volume) => {
            (format!("rivetr-{}", Owner::Volume(volume.clone()).folder()), "volume", volume.to_string())
        }
    };
    let mut timer = Unit::parse(TIMER)?;
    timer.section(Section::Unit).scalar("Description", &format!("When the {what} {name} is backed up"))?;
    timer.section(Section::Timer).scalar("OnCalendar", &when.calendar())?;
    let mut service = Unit::parse(SERVICE)?;
    service.section(Section::Unit).scalar("Description", &format!("Backup of the {what} {name}"))?;
    let socket = socket.display().to_string();
    let program = program.display().to_string();
    let words = [program.as_str(), "backups", "take", &name, "--scheduled", "--socket", &socket];
    service.section(Section::Service).command("ExecStart", STARTER, words)?;
    Ok(UnitFiles::from([
        (UnitPath::systemd(&format!("{stem}.timer"))?, timer.to_string()),
        (UnitPath::systemd(&format!("{stem}.service"))?, service.to_string()),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_and_what_it_starts() {
        let slug = Slug::parse("orders").unwrap();
        let when = When::parse("weekly sun 03:30").unwrap();
        let socket = Path::new("/run/rivetr/api.sock");
        let files = units(Of::Database(&slug), when, Path::new("/usr/bin/rivetr"), socket).unwrap();
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

    #[test]
    fn those_of_a_volume_are_its_own() {
        let volume = VolumeId::parse("rivetr-svc-shop_data").unwrap();
        let when = When::parse("hourly").unwrap();
        let files = units(Of::Volume(&volume), when, Path::new("/rivetr"), Path::new("/api.sock")).unwrap();
        let mut names = Vec::new();
        for (path, text) in &files {
            assert_eq!(Owner::of_file(path.file()), Some(Owner::Volume(volume.clone())), "{path}");
            assert_eq!(path.is_task(), text.contains("rivetr-svc-shop_data --scheduled"), "{text}");
            names.push(path.to_string());
        }
        assert_eq!(names, ["rivetr-volume-svc-shop_data.service", "rivetr-volume-svc-shop_data.timer"]);
    }
}
