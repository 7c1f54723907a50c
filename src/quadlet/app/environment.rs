//! What a container is given: variables and files, each by the way that carries it unchanged.
//!
//! A value that may be seen and that a unit can carry stands in it. All others are Podman's secrets: the unit names
//! them, and neither it nor a command nor `podman inspect` holds the value. Who makes them is not known here.

use std::collections::BTreeMap;

use crate::domain::deployment::Deployment;
use crate::domain::mount::MountPath;
use crate::domain::name::EnvKey;
use crate::quadlet::unit::{Section, SectionWriter, Unit, UnitTextError};

/// The longest name of a variable that stands in the name of its secret, in bytes: Podman takes names of up to 253
/// (measured on 5.4.2), and what stands before it has at most 63.
const KEY_MAX: usize = 150;

/// How a container comes by a value.
#[derive(Clone, PartialEq, Eq)]
pub enum Carried {
    /// It stands in the unit.
    Plain(String),
    /// The secret of this name holds it.
    Secret(String),
}

/// A variable of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedVariable {
    /// Its name.
    pub key: EnvKey,
    /// How its value comes.
    pub by: Carried,
}

/// A file that a release finds in its container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedFile {
    /// Where it appears.
    pub path: MountPath,
    /// The name of the secret that holds it.
    pub secret: String,
}

impl CarriedVariable {
    /// The way for a value: the `index`-th variable of the release of this name. An empty secret cannot be made,
    /// and there is nothing in it to hide.
    #[must_use]
    pub fn of(release: &str, index: usize, key: &EnvKey, value: &str, secret: bool) -> Self {
        let by = if value.is_empty() || !secret && fits(key, value) {
            Carried::Plain(value.to_owned())
        } else if key.as_str().len() <= KEY_MAX {
            // No other name ends so: names of variables hold no dash and begin with no digit.
            Carried::Secret(format!("{release}-{}", key.as_str()))
        } else {
            Carried::Secret(format!("{release}-env-{index}"))
        };
        Self { key: key.clone(), by }
    }
}

impl CarriedFile {
    /// The way for a file: the `index`-th of the release of this name.
    #[must_use]
    pub fn of(release: &str, index: usize, path: &MountPath) -> Self {
        Self { path: path.clone(), secret: format!("{release}-file-{index}") }
    }
}

impl std::fmt::Debug for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(_) => f.write_str("Plain(***)"),
            Self::Secret(name) => f.debug_tuple("Secret").field(name).finish(),
        }
    }
}

/// What rivetr tells every app about itself, and over it what the app's owner set.
pub(super) fn variables(
    container: SectionWriter<'_>,
    deployment: &Deployment,
    own: &[CarriedVariable],
) -> Result<(), UnitTextError> {
    let plain = |text: &str| Carried::Plain(text.to_owned());
    let mut variables = BTreeMap::from([
        ("PORT", plain(&deployment.settings.port.to_string())),
        ("RIVETR_APP", plain(deployment.app_slug.as_str())),
        ("RIVETR_DEPLOYMENT", plain(&deployment.number.to_string())),
    ]);
    if let Some(commit) = &deployment.commit {
        variables.insert("RIVETR_COMMIT", plain(commit.as_str()));
    }
    variables.extend(own.iter().map(|variable| (variable.key.as_str(), variable.by.clone())));
    variables.iter().try_fold(container, |container, (key, by)| match by {
        Carried::Plain(value) => container.assignment("Environment", key, value),
        Carried::Secret(name) => {
            container.words("Secret", [format!("{name},type=env,target={key}").as_str()])
        }
    })?;
    Ok(())
}

/// The files, which everybody in the container may read and nobody may change.
pub(super) fn files(container: SectionWriter<'_>, files: &[CarriedFile]) -> Result<(), UnitTextError> {
    files.iter().try_fold(container, |container, CarriedFile { path, secret }| {
        container.words("Secret", [format!("{secret},type=mount,target={path},mode=0444").as_str()])
    })?;
    Ok(())
}

/// Whether a unit can carry the value to a process as it is.
fn fits(key: &EnvKey, value: &str) -> bool {
    let mut unit = Unit::default();
    unit.section(Section::Container).assignment("Environment", key.as_str(), value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(key: &str, value: &str, secret: bool) -> Carried {
        CarriedVariable::of("rivetr-app-blog-7", 3, &EnvKey::parse(key).unwrap(), value, secret).by
    }

    #[test]
    fn each_value_has_its_way() {
        let named = || Carried::Secret("rivetr-app-blog-7-KEY".to_owned());
        for plain in ["", "text", "two\nlines", "ü \"$5\" 100 %\u{1b}"] {
            assert_eq!(way("KEY", plain, false), Carried::Plain(plain.to_owned()));
        }
        for odd in ["one\r\ntwo", "\u{80}", "\u{fffe}"] {
            assert_eq!(way("KEY", odd, false), named(), "{odd:?}");
        }
        assert_eq!(way("KEY", "text", true), named());
        assert_eq!(way("KEY", "", true), Carried::Plain(String::new()));
        assert_eq!(format!("{:?}", way("KEY", "text", false)), "Plain(***)");
    }

    #[test]
    fn the_longest_names_are_names_to_podman() {
        let release = format!("rivetr-app-{}-{}", "a".repeat(40), u32::MAX);
        for length in [1, KEY_MAX, KEY_MAX + 1, 255] {
            let key = EnvKey::parse(&"K".repeat(length)).unwrap();
            let Carried::Secret(name) = CarriedVariable::of(&release, 9999, &key, "x", true).by else {
                panic!("not a secret");
            };
            assert!(name.len() <= 253, "{length}: {name}");
        }
    }
}
