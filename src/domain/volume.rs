//! What is mounted into a container: volumes that belong to the app, directories of the host, memory.

use std::fmt;

use super::name::{InvalidName, Slug};
use super::runtime::Memory;

/// The name of a volume within its app. It has no dash, so that the name of the app and its own cannot run
/// together: `rivetr-vol-my-blog-data`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeName(String);

/// An absolute path, in a container or on the host: normal, printable, without what mounts give a meaning to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContainerPath(String);

/// Something mounted at a path of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub what: MountSource,
    /// Where.
    pub at: ContainerPath,
    /// It cannot be written to.
    pub read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountSource {
    /// A volume of the app.
    Volume(VolumeName),
    /// A directory or file of the host.
    Host(ContainerPath),
}

/// A directory in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    at: ContainerPath,
    size: Option<Memory>,
}

impl VolumeName {
    /// Takes `[a-z0-9][a-z0-9_]*` of at most 40 characters.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if (1..=40).contains(&text.len()) && text.chars().all(inner) && !text.starts_with('_') {
            return Ok(Self(text.to_owned()));
        }
        let rule =
            "use at most 40 lower-case letters, digits and underscores, beginning with a letter or digit";
        Err(InvalidName::new("volume", text, rule))
    }

    /// The volume's name to Podman, and that of its unit without an ending: `rivetr-vol-blog-data`.
    #[must_use]
    pub fn unit_name(&self, app: &Slug) -> String {
        format!("{UNIT_PREFIX}{app}-{}", self.0)
    }

    /// The app and the name of a volume of Podman's, if it is one of ours.
    #[must_use]
    pub fn of_unit(name: &str) -> Option<(Slug, Self)> {
        let (app, own) = name.strip_prefix(UNIT_PREFIX)?.rsplit_once('-')?;
        Some((Slug::parse(app).ok()?, Self::parse(own).ok()?))
    }
}

/// What the names of volumes begin with.
const UNIT_PREFIX: &str = "rivetr-vol-";
/// Likewise of those of services.
const SERVICE_PREFIX: &str = "rivetr-svc-";
/// The longest name of a volume within its service, in bytes: units and files are called after it.
const SERVICE_KEY_MAX: usize = 150;
/// How much of a volume's name stands in that of one beside it: a number follows.
const ASIDE_MAX: usize = 24;

/// Whose a volume is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VolumeOf {
    /// An app's.
    App(Slug),
    /// A service's.
    Service(Slug),
}

/// A volume of an app or of a service, by its name to Podman: `rivetr-vol-blog-data`, `rivetr-svc-shop_data`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeId {
    of: VolumeOf,
    own: String,
}

impl VolumeId {
    /// Takes the name that Podman has for it.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let rule = "name a volume of an app (rivetr-vol-blog-data) or of a service (rivetr-svc-shop_data)";
        Self::read(text).ok_or_else(|| InvalidName::new("volume", text, rule))
    }

    fn read(text: &str) -> Option<Self> {
        if let Some((app, own)) = VolumeName::of_unit(text) {
            return Some(Self { of: VolumeOf::App(app), own: own.0 });
        }
        // No name of a service has an underscore.
        let (service, own) = text.strip_prefix(SERVICE_PREFIX)?.split_once('_')?;
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let fine = own.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && own.chars().all(inner)
            && own.len() <= SERVICE_KEY_MAX;
        let service = Slug::parse(service).ok().filter(|_| fine)?;
        Some(Self { of: VolumeOf::Service(service), own: own.to_owned() })
    }

    /// Whose it is.
    #[must_use]
    pub fn of(&self) -> &VolumeOf {
        &self.of
    }

    /// Its name within the app or the service.
    #[must_use]
    pub fn own(&self) -> &str {
        &self.own
    }

    /// The volume of that name beside it, of the same app or service.
    #[must_use]
    pub fn beside(&self, name: &VolumeName) -> Self {
        Self { of: self.of.clone(), own: name.0.clone() }
    }

    /// The volume that a restore fills, and that has the old data once the two have changed places.
    #[must_use]
    pub fn aside(&self, restore: i64) -> Self {
        let own: String = self.own.chars().take(ASIDE_MAX).collect();
        Self { of: self.of.clone(), own: format!("{own}_before_{restore}") }
    }
}

impl VolumeOf {
    /// How the names of its volumes to Podman begin; those of an app with a longer name may begin so too.
    #[must_use]
    pub fn prefix(&self) -> String {
        match self {
            Self::App(app) => format!("{UNIT_PREFIX}{app}-"),
            Self::Service(service) => format!("{SERVICE_PREFIX}{service}_"),
        }
    }
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.of.prefix(), self.own)
    }
}

impl fmt::Display for VolumeOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(app) => write!(f, "app {app}"),
            Self::Service(service) => write!(f, "service {service}"),
        }
    }
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ContainerPath {
    /// Takes `/a/b`: absolute, no empty part, no `.` or `..`, no colon, comma, quote, backslash or control character.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let fine = |c: char| !c.is_control() && !":,\"'\\".contains(c);
        let parts = text.strip_prefix('/').map(|rest| rest.split('/'));
        let normal = parts.is_some_and(|mut parts| parts.all(|part| !matches!(part, "" | "." | "..")));
        if normal && text.len() <= 1000 && text.chars().all(fine) && text.trim() == text {
            return Ok(Self(text.to_owned()));
        }
        let rule = "use an absolute path such as /var/data, without . and .., colons, commas, quotes and backslashes";
        Err(InvalidName::new("path", text, rule))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Mount {
    /// Takes `name:/path[:ro]` for a volume of the app, `/on/the/host:/path[:ro]` for a directory of the host.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refused = || {
            let rule = "write it as data:/var/data or data:/var/data:ro, with a path of the host in place of the name \
                        for a directory of the host";
            InvalidName::new("mount", text, rule)
        };
        let mut parts = text.split(':');
        let (what, at) = (parts.next().ok_or_else(refused)?, parts.next().ok_or_else(refused)?);
        let read_only = match (parts.next(), parts.next()) {
            (None | Some("rw"), None) => false,
            (Some("ro"), None) => true,
            _ => return Err(refused()),
        };
        let what = if what.starts_with('/') {
            MountSource::Host(ContainerPath::parse(what)?)
        } else {
            MountSource::Volume(VolumeName::parse(what)?)
        };
        Ok(Self { what, at: ContainerPath::parse(at)?, read_only })
    }

    /// The volume that is mounted, if it is one.
    #[must_use]
    pub fn volume(&self) -> Option<&VolumeName> {
        match &self.what {
            MountSource::Volume(name) => Some(name),
            MountSource::Host(_) => None,
        }
    }

    /// The path of the host that is mounted, if it is one.
    #[must_use]
    pub fn host_path(&self) -> Option<&ContainerPath> {
        match &self.what {
            MountSource::Host(path) => Some(path),
            MountSource::Volume(_) => None,
        }
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            MountSource::Volume(name) => write!(f, "{name}:{}", self.at)?,
            MountSource::Host(path) => write!(f, "{path}:{}", self.at)?,
        }
        f.write_str(if self.read_only { ":ro" } else { "" })
    }
}

impl Tmpfs {
    /// Takes `/path` or `/path:size=64M`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let (at, size) = match text.split_once(':') {
            None => (text, None),
            Some((at, option)) => {
                let rule = "write it as /tmp or /tmp:size=64M";
                let size =
                    option.strip_prefix("size=").ok_or_else(|| InvalidName::new("tmpfs", text, rule))?;
                (at, Some(Memory::parse(size)?))
            }
        };
        Ok(Self { at: ContainerPath::parse(at)?, size })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn at(&self) -> &ContainerPath {
        &self.at
    }

    /// How large it may grow.
    #[must_use]
    pub fn size(&self) -> Option<Memory> {
        self.size
    }
}

impl fmt::Display for Tmpfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.at)?;
        self.size.map_or(Ok(()), |size| write!(f, ":size={size}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::runtime::check;
    use super::*;

    #[test]
    fn mounts() {
        let good = [
            ("data:/var/data", "data:/var/data"),
            ("data:/var/data:rw", "data:/var/data"),
            ("pg_14:/srv/a b:ro", "pg_14:/srv/a b:ro"),
            ("/srv/media:/media:ro", "/srv/media:/media:ro"),
        ];
        let bad = [
            "",
            "data",
            "data:",
            "data:var",
            ":/var",
            "my-data:/x",
            "Data:/x",
            "_a:/x",
            "data:/",
            "data:/a/../b",
            "data:/a//b",
            "/:/x",
            "/srv/..:/x",
            "data:/x:z",
            "data:/x:ro:z",
            "data:/x,y",
            "data:/x\ny",
            "data:/x ",
            "data:/\"x",
            "../x:/x",
            "data:/x:O",
            "%h:/x",
        ];
        check(Mount::parse, &good, &bad);
    }

    #[test]
    fn memory_directories() {
        check(
            Tmpfs::parse,
            &[("/tmp", "/tmp"), ("/run/x:size=65536K", "/run/x:size=64M")],
            &["", "tmp", "/tmp:", "/tmp:exec", "/tmp:size=1", "/tmp:size=8M,exec"],
        );
    }

    #[test]
    fn the_names_of_volumes_and_apps_do_not_run_together() {
        let volume = |text| VolumeName::parse(text).unwrap();
        for (app, name) in [("a", "b"), ("a-b", "c"), ("my-blog-2", "data_1")] {
            let app = Slug::parse(app).unwrap();
            assert_eq!(VolumeName::of_unit(&volume(name).unit_name(&app)), Some((app, volume(name))));
        }
        for foreign in ["", "data", "rivetr-vol-", "rivetr-vol-a", "rivetr-vol-a-B", "rivetr-net-a-b"] {
            assert_eq!(VolumeName::of_unit(foreign), None, "{foreign:?}");
        }
    }

    #[test]
    fn volumes_of_apps_and_of_services_and_what_lies_beside_them() {
        let app = |name| VolumeOf::App(Slug::parse(name).unwrap());
        let service = |name| VolumeOf::Service(Slug::parse(name).unwrap());
        for (name, of, own, aside) in [
            ("rivetr-vol-my-blog-data_1", app("my-blog"), "data_1", "rivetr-vol-my-blog-data_1_before_7"),
            (
                "rivetr-svc-my-shop_My.db-1",
                service("my-shop"),
                "My.db-1",
                "rivetr-svc-my-shop_My.db-1_before_7",
            ),
        ] {
            let volume = VolumeId::parse(name).unwrap();
            assert_eq!((volume.of(), volume.own(), &*volume.to_string()), (&of, own, name));
            assert_eq!(volume.aside(7).to_string(), aside);
            assert_eq!(VolumeId::parse(aside).unwrap(), volume.aside(7));
        }
        let long = VolumeId::parse(&format!("rivetr-vol-a-{}", "d".repeat(40))).unwrap().aside(12_345_678);
        assert_eq!(VolumeId::parse(&long.to_string()).unwrap(), long);
        let data = VolumeId::parse("rivetr-vol-blog-data").unwrap();
        assert_eq!(data.beside(&VolumeName::parse("copy").unwrap()).to_string(), "rivetr-vol-blog-copy");
        for foreign in [
            "",
            "data",
            "rivetr-db-a_1",
            "rivetr-svc-a",
            "rivetr-svc-a_",
            "rivetr-svc-A_b",
            "rivetr-svc-a_../b",
        ] {
            assert!(VolumeId::parse(foreign).is_err(), "{foreign:?}");
        }
    }
}
