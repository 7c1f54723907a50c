//! What the installed Podman's Quadlet can read. A key that it does not know makes a whole unit vanish without
//! an error (FACTS 1), so every unit passes here before it is handed on.

use std::fmt;

use thiserror::Error;

use super::unit::{Section, Unit};

/// A version of Podman, without what distributions append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodmanVersion {
    /// 5 of 5.4.2.
    pub major: u32,
    /// 4 of 5.4.2.
    pub minor: u32,
    /// 2 of 5.4.2.
    pub patch: u32,
}

/// The Podman whose Quadlet will read what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PodmanFeatures(PodmanVersion);

/// A Podman that rivetr cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnsupportedPodman {
    /// Its answer is no version.
    #[error("Podman says its version is {0:?}, which does not begin like 5.4.2")]
    Unreadable(String),
    /// It lacks what every unit of rivetr uses.
    #[error("Podman {0} is too old: rivetr needs {MINIMUM} or newer; install it from the distribution")]
    TooOld(PodmanVersion),
}

/// A key that would make its unit vanish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{key}= needs Podman {since}, and this host has {installed}; take it out or upgrade Podman")]
pub struct UnknownKey {
    /// The key.
    pub key: &'static str,
    /// The first version that knows it.
    pub since: PodmanVersion,
    /// The version on this host.
    pub installed: PodmanVersion,
}

/// The oldest Podman whose Quadlet reads every unit of ours.
pub const MINIMUM: PodmanVersion = PodmanVersion::new(5, 4, 0);

/// Keys newer than [`MINIMUM`], and the version that brought each (FACTS 1).
const NEWER: [(Section, &str, PodmanVersion); 14] = [
    (Section::Container, "Memory", PodmanVersion::new(5, 5, 0)),
    (Section::Container, "ReloadCmd", PodmanVersion::new(5, 5, 0)),
    (Section::Container, "ReloadSignal", PodmanVersion::new(5, 5, 0)),
    (Section::Container, "Retry", PodmanVersion::new(5, 5, 0)),
    (Section::Container, "RetryDelay", PodmanVersion::new(5, 5, 0)),
    (Section::Build, "Retry", PodmanVersion::new(5, 5, 0)),
    (Section::Build, "RetryDelay", PodmanVersion::new(5, 5, 0)),
    (Section::Build, "BuildArg", PodmanVersion::new(5, 7, 0)),
    (Section::Build, "IgnoreFile", PodmanVersion::new(5, 7, 0)),
    (Section::Container, "HttpProxy", PodmanVersion::new(5, 7, 0)),
    (Section::Container, "AppArmor", PodmanVersion::new(5, 8, 0)),
    (Section::Network, "NetworkDeleteOnStop", PodmanVersion::new(5, 5, 0)),
    (Section::Network, "InterfaceName", PodmanVersion::new(5, 6, 0)),
    (Section::Install, "UpheldBy", PodmanVersion::new(5, 5, 0)),
];

impl PodmanFeatures {
    /// What `podman --version` or the API calls its version: `5.4.2`, `6.0.0-rc1`.
    pub fn of(version: &str) -> Result<Self, UnsupportedPodman> {
        let found = parse(version).ok_or_else(|| UnsupportedPodman::Unreadable(version.to_owned()))?;
        if found < MINIMUM {
            return Err(UnsupportedPodman::TooOld(found));
        }
        Ok(Self(found))
    }

    /// Whether a unit has only keys that this Podman reads.
    pub fn check(self, unit: &Unit) -> Result<(), UnknownKey> {
        let unknown = NEWER.iter().find(|(section, key, since)| {
            *since > self.0 && unit.keys().any(|present| present == (*section, *key))
        });
        match unknown {
            None => Ok(()),
            Some((_, key, since)) => Err(UnknownKey { key, since: *since, installed: self.0 }),
        }
    }
}

impl PodmanVersion {
    const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }
}

impl fmt::Display for PodmanVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

fn parse(version: &str) -> Option<PodmanVersion> {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let end = version.find(|c| !digits(c)).unwrap_or(version.len());
    let mut parts = version.get(..end)?.split('.').map(str::parse);
    let major = parts.next()?.ok()?;
    let minor = parts.next()?.ok()?;
    let patch = parts.next().unwrap_or(Ok(0)).ok()?;
    Some(PodmanVersion { major, minor, patch })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for good in ["5.4.0", "5.4.2", "5.4", "5.8.6-dev", "6.0.0-rc1", "10.0.1"] {
            assert!(PodmanFeatures::of(good).is_ok(), "{good:?}");
        }
        for old in ["5.3.9", "4.9.3", "0.0.1"] {
            let error = PodmanFeatures::of(old).unwrap_err();
            assert!(matches!(error, UnsupportedPodman::TooOld(_)), "{old:?}");
            assert!(error.to_string().contains("5.4.0"), "{error}");
        }
        for unreadable in ["", "5", "podman", "v5.4.2", "5.x", ".5.4", "99999999999.1.1"] {
            let error = PodmanFeatures::of(unreadable).unwrap_err();
            assert!(matches!(error, UnsupportedPodman::Unreadable(_)), "{unreadable:?}");
        }
    }

    #[test]
    fn a_key_is_refused_where_it_would_make_the_unit_vanish() {
        let mut unit = Unit::default();
        unit.section(Section::Container).scalar("Memory", "64m").unwrap();
        assert_eq!(PodmanFeatures::of("5.5.0").unwrap().check(&unit), Ok(()));
        let refused = PodmanFeatures::of("5.4.2").unwrap().check(&unit).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Memory= needs Podman 5.5.0, and this host has 5.4.2; take it out or upgrade Podman"
        );

        let mut elsewhere = Unit::default();
        elsewhere.section(Section::Service).scalar("Memory", "64m").unwrap();
        assert_eq!(PodmanFeatures::of("5.4.2").unwrap().check(&elsewhere), Ok(()));
    }
}
