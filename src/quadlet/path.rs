//! Where a unit file lies, apart from the machine: a folder of Quadlets for each owner, or systemd's own directory.
//!
//! `host` turns a path of this kind into one on disk; nothing here touches a file.

use std::fmt;

use thiserror::Error;

use crate::domain::name::Slug;
use crate::domain::one_off::OneOff;
use crate::domain::volume::VolumeId;

/// The longest file name that Linux takes, in bytes.
const FILE_MAX: usize = 255;

/// What the names of units and volumes begin with.
const OURS: &str = "rivetr-";

/// How the services begin that run when their timer or a person wants it.
const TASKS: [&str; 3] = ["rivetr-job-", "rivetr-backup-", "rivetr-volume-"];

/// The file of one unit, relative to the directory that its place stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitPath {
    place: Place,
    folder: Option<String>,
    file: String,
}

/// The two directories that units are written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// rivetr's directory of Quadlets, from which Podman's generator makes services.
    Quadlet,
    /// systemd's own directory of unit files.
    Systemd,
}

/// Whose units they are. One syntax error drops every Quadlet of a folder (FACTS 13.2), so each owner has its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// An app: its releases and the target that holds them together.
    App(Slug),
    /// The commands that a deployment of an app runs, apart from its releases: nobody keeps those running.
    Commands(Slug),
    /// A container for one command: it comes and goes beside others of its app.
    OneOff(OneOff),
    /// A project: its network.
    Project(Slug),
    /// A database: its container, its volume and the timer of its backups.
    Database(Slug),
    /// A service: the containers of a compose file, with what is between them.
    Service(Slug),
    /// The jobs of an app, with their timers.
    Jobs(Slug),
    /// A volume of an app or of a service: the timer of its backups.
    Volume(VolumeId),
}

/// A file name that systemd would not take as the name of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no name for a unit file: use letters, digits and : _ . @ \\ -, a known ending, no dot in front"
)]
pub struct InvalidUnitPath(pub String);

impl UnitPath {
    /// A Quadlet in the folder of its owner: `app-blog/rivetr-app-blog-7.container`.
    pub fn quadlet(owner: &Owner, file: &str) -> Result<Self, InvalidUnitPath> {
        Ok(Self { place: Place::Quadlet, folder: Some(owner.folder()), file: unit_file(file)? })
    }

    /// A unit file of systemd's own: `rivetr-app-blog.target`.
    pub fn systemd(file: &str) -> Result<Self, InvalidUnitPath> {
        Ok(Self { place: Place::Systemd, folder: None, file: unit_file(file)? })
    }

    /// The file that prints so; none: it is none of rivetr's.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        match text.split_once('/') {
            Some((folder, file)) => Self::quadlet(&Owner::of_folder(folder)?, file).ok(),
            None => Self::systemd(text).ok(),
        }
    }

    /// Which directory it is relative to.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// The folder below that directory: one path component, or none.
    #[must_use]
    pub fn folder(&self) -> Option<&str> {
        self.folder.as_deref()
    }

    /// The name of the file: one path component.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether it is a container.
    #[must_use]
    pub fn is_container(&self) -> bool {
        self.place == Place::Quadlet && self.file.ends_with(".container")
    }

    /// Whether it is a timer. It comes up at boot for as long as its file is there.
    #[must_use]
    pub fn is_timer(&self) -> bool {
        self.place == Place::Systemd && self.file.rsplit_once('.').is_some_and(|(_, kind)| kind == "timer")
    }

    /// Whether it is the service of a job or of a backup: started by its timer or by hand, it ends by itself.
    #[must_use]
    pub fn is_task(&self) -> bool {
        let kind = match self.place {
            Place::Quadlet => ".container",
            Place::Systemd => ".service",
        };
        TASKS.iter().any(|prefix| self.file.starts_with(prefix)) && self.file.ends_with(kind)
    }

    /// The unit that systemd knows it by. Every Quadlet of ours makes the service of its own name; those of
    /// networks say so with `ServiceName=`.
    #[must_use]
    pub fn unit(&self) -> String {
        match (self.place, self.file.rsplit_once('.')) {
            (Place::Quadlet, Some((stem, _))) => format!("{stem}.service"),
            (Place::Quadlet, None) | (Place::Systemd, _) => self.file.clone(),
        }
    }
}

impl fmt::Display for UnitPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(folder) = &self.folder {
            write!(f, "{folder}/")?;
        }
        f.write_str(&self.file)
    }
}

impl Owner {
    /// The folder of its Quadlets: `app-blog`, `once-12-blog`, `project-default`.
    #[must_use]
    pub fn folder(&self) -> String {
        match self {
            Self::App(slug) => format!("app-{slug}"),
            Self::Commands(slug) => format!("run-{slug}"),
            Self::OneOff(OneOff { app, number }) => format!("once-{number}-{app}"),
            Self::Project(slug) => format!("project-{slug}"),
            Self::Database(slug) => format!("db-{slug}"),
            Self::Service(slug) => format!("svc-{slug}"),
            Self::Jobs(slug) => format!("job-{slug}"),
            Self::Volume(volume) => format!("volume-{}", bare(volume)),
        }
    }

    /// Whether an app, a database, a service or a project of this name is meant.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        match self {
            Self::App(slug)
            | Self::Commands(slug)
            | Self::Project(slug)
            | Self::Database(slug)
            | Self::Service(slug)
            | Self::Jobs(slug) => slug.as_str() == name,
            Self::OneOff(OneOff { app, number: _ }) => app.as_str() == name,
            Self::Volume(volume) => volume.to_string() == name,
        }
    }

    /// Whether its units stay until somebody says otherwise; the others go with the command that they are for.
    #[must_use]
    pub fn stays(&self) -> bool {
        match self {
            Self::App(_)
            | Self::Project(_)
            | Self::Database(_)
            | Self::Service(_)
            | Self::Jobs(_)
            | Self::Volume(_) => true,
            Self::Commands(_) | Self::OneOff(_) => false,
        }
    }

    /// The owner of a folder, if it is one of ours.
    #[must_use]
    pub fn of_folder(folder: &str) -> Option<Self> {
        let (kind, name) = folder.split_once('-')?;
        let slug = |name: &str| Slug::parse(name).ok();
        let owner = match kind {
            "app" => slug(name).map(Self::App),
            "run" => slug(name).map(Self::Commands),
            "once" => {
                let (number, app) = name.split_once('-')?;
                Some(Self::OneOff(OneOff { app: slug(app)?, number: number.parse().ok()? }))
            }
            "project" => slug(name).map(Self::Project),
            "db" => slug(name).map(Self::Database),
            "svc" => slug(name).map(Self::Service),
            "job" => slug(name).map(Self::Jobs),
            "volume" => of_bare(name).map(Self::Volume),
            _ => None,
        };
        // A number can be written in more than one way.
        owner.filter(|owner| owner.folder() == folder)
    }

    /// The owner of a file in systemd's own directory, by its name: the target of an app, the timers and services
    /// of its jobs (`rivetr-job-blog_tidy.timer`) and of the backups of a database (`rivetr-backup-orders.timer`, and
    /// `rivetr-backup-orders_check.timer` for what else is done with them) or of a volume
    /// (`rivetr-volume-vol-blog-data.timer`).
    #[must_use]
    pub fn of_file(file: &str) -> Option<Self> {
        let (stem, kind) = file.strip_prefix("rivetr-")?.rsplit_once('.')?;
        let (noun, name) = stem.split_once('-')?;
        if noun == "volume" {
            return of_bare(name).filter(|_| matches!(kind, "timer" | "service")).map(Self::Volume);
        }
        // No slug holds an underscore.
        let (name, part) = name.split_once('_').map_or((name, None), |(name, part)| (name, Some(part)));
        if part.is_some_and(|part| Slug::parse(part).is_err()) {
            return None;
        }
        let slug = Slug::parse(name).ok()?;
        match (noun, kind, part) {
            ("app", "target", None) => Some(Self::App(slug)),
            ("job", "timer" | "service", Some(_)) => Some(Self::Jobs(slug)),
            ("backup", "timer" | "service", _) => Some(Self::Database(slug)),
            _ => None,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.folder())
    }
}

/// The name of a volume to Podman without what all of rivetr's begin with.
fn bare(volume: &VolumeId) -> String {
    let name = volume.to_string();
    name.strip_prefix(OURS).unwrap_or(&name).to_owned()
}

fn of_bare(name: &str) -> Option<VolumeId> {
    VolumeId::parse(&format!("{OURS}{name}")).ok()
}

fn unit_file(name: &str) -> Result<String, InvalidUnitPath> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '.' | '@' | '\\' | '-');
    let ending = name.rsplit_once('.').is_some_and(|(stem, ending)| !stem.is_empty() && !ending.is_empty());
    let well_formed = ending && name.len() <= FILE_MAX && !name.starts_with('.') && name.chars().all(allowed);
    well_formed.then(|| name.to_owned()).ok_or_else(|| InvalidUnitPath(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blog() -> Owner {
        Owner::App(Slug::parse("blog").unwrap())
    }

    #[test]
    fn a_quadlet_and_a_plain_unit() {
        let container = UnitPath::quadlet(&blog(), "rivetr-app-blog-7.container").unwrap();
        assert_eq!(container.to_string(), "app-blog/rivetr-app-blog-7.container");
        assert_eq!(container.unit(), "rivetr-app-blog-7.service");
        assert_eq!((container.place(), container.folder()), (Place::Quadlet, Some("app-blog")));
        assert_eq!(UnitPath::of(&container.to_string()), Some(container.clone()));

        let target = UnitPath::systemd("rivetr-app-blog.target").unwrap();
        assert_eq!(target.to_string(), "rivetr-app-blog.target");
        assert_eq!(target.unit(), "rivetr-app-blog.target");
        assert_eq!((target.is_timer(), target.is_task(), container.is_task()), (false, false, false));
        assert_eq!(UnitPath::of(&target.to_string()), Some(target));
        assert_eq!(UnitPath::of("blog/rivetr-app-blog-7.container"), None);
    }

    #[test]
    fn plain_units_and_their_owners() {
        let slug = |name| Slug::parse(name).unwrap();
        let volume = |name| Owner::Volume(VolumeId::parse(name).unwrap());
        for (file, owner) in [
            ("rivetr-app-blog.target", Some(blog())),
            ("rivetr-app-blog_tidy.target", None),
            ("rivetr-app-blog.timer", None),
            ("rivetr-job-my-blog_tidy-up.timer", Some(Owner::Jobs(slug("my-blog")))),
            ("rivetr-job-my-blog_tidy-up.service", Some(Owner::Jobs(slug("my-blog")))),
            ("rivetr-job-my-blog.timer", None),
            ("rivetr-job-blog_.timer", None),
            ("rivetr-job-blog_a_b.timer", None),
            ("rivetr-job-blog_tidy.target", None),
            ("rivetr-backup-orders.timer", Some(Owner::Database(slug("orders")))),
            ("rivetr-backup-orders_check.service", Some(Owner::Database(slug("orders")))),
            ("rivetr-backup-.timer", None),
            ("rivetr-volume-vol-my-blog-data_1.timer", Some(volume("rivetr-vol-my-blog-data_1"))),
            ("rivetr-volume-svc-shop_my.db-1.service", Some(volume("rivetr-svc-shop_my.db-1"))),
            ("rivetr-volume-vol-blog-data.target", None),
            ("rivetr-volume-blog.timer", None),
            ("rivetr.service", None),
            ("blog.timer", None),
        ] {
            assert_eq!(Owner::of_file(file), owner, "{file}");
        }
        let plain = |file| UnitPath::systemd(file).unwrap();
        let (timer, service) = (plain("rivetr-job-blog_tidy.timer"), plain("rivetr-job-blog_tidy.service"));
        assert_eq!([timer.is_timer(), timer.is_task()], [true, false]);
        assert_eq!([service.is_timer(), service.is_task()], [false, true]);
        let fresh = UnitPath::quadlet(&Owner::Jobs(slug("blog")), "rivetr-job-blog_tidy.container").unwrap();
        assert!(fresh.is_task() && fresh.unit() == service.unit());
    }

    #[test]
    fn a_name_cannot_leave_its_folder() {
        let long = format!("{}.container", "a".repeat(250));
        for bad in
            ["", ".", "..", "../x.container", "a/b.container", ".x.container", "x", "x.", "a b.target", &long]
        {
            assert_eq!(UnitPath::quadlet(&blog(), bad), Err(InvalidUnitPath(bad.to_owned())));
            assert!(UnitPath::systemd(bad).is_err(), "{bad:?}");
        }
        for bad in ["a\n.target", "a\0.target", "ä.target", "a$b.target", "%n.target"] {
            assert!(UnitPath::systemd(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn folders_and_owners_agree() {
        let one_off = OneOff { app: Slug::parse("3-blog").unwrap(), number: 12 };
        let named = |of: fn(Slug) -> Owner| of(Slug::parse("my-project-2").unwrap());
        let named = [Owner::Project, Owner::Database, Owner::Service, Owner::Jobs].map(named);
        let volumes = ["rivetr-vol-my-blog-data_1", "rivetr-svc-my-shop_data-1"];
        let volumes = volumes.map(|name| Owner::Volume(VolumeId::parse(name).unwrap()));
        for owner in [blog(), Owner::OneOff(one_off)].into_iter().chain(named).chain(volumes) {
            assert_eq!(Owner::of_folder(&owner.folder()), Some(owner));
        }
        let of_apps = ["", "app", "app-", "app-A", "svc-Umami", "blog", "app-a.b", "app--x"];
        let of_one_offs = ["once-blog", "once-12-", "once--1-blog", "once-+1-blog", "once-01-blog"];
        for foreign in of_apps.into_iter().chain(of_one_offs) {
            assert_eq!(Owner::of_folder(foreign), None, "{foreign:?}");
        }
    }
}
