//! Reads the configuration: files in order, then the environment, merged and checked into each component's
//! settings. Only this module reads the environment; nothing here knows what the settings do.
//!
//! `keys` is the table of everything that can be configured.

pub mod environment;
pub mod keys;
mod layer;
mod nearest;
mod raw;
pub mod settings;

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use self::environment::Environment;
use self::keys::{KEYS, Key};
use self::layer::Draft;
use self::settings::Settings;
use crate::domain::name::HostName;
use crate::engine::{Configuration, Configured};

/// A configuration file is a few kilobytes; what is larger than this many bytes is not one.
const FILE_MAX: u64 = 1 << 20;

/// What the command line says about the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// A file to read in place of the layers; it must exist.
    pub config: Option<PathBuf>,
}

/// The settings in force.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Settings, ConfigError> {
    explain(flags, environment).map(|effective| effective.settings)
}

/// The settings in force, and which layer each value came from.
pub fn explain(flags: &Flags, environment: &Environment) -> Result<Effective, ConfigError> {
    let settings = Settings::defaults(environment.place());
    let mut draft = Draft { settings, origins: Vec::new(), problems: Vec::new() };
    let mut files = Vec::new();
    let layers = flags.config.as_ref().map_or_else(|| environment.layers(), |only| vec![only.clone()]);
    for path in layers {
        match read(&path) {
            Ok(Some(text)) => {
                draft.apply_file(&path, &text);
                files.push(path);
            }
            Ok(None) if flags.config.is_some() => draft.problems.push(Problem::Missing { path }),
            Ok(None) => {}
            Err(problem) => draft.problems.push(problem),
        }
    }
    draft.apply_environment(environment);
    derive_base_domain(&mut draft);
    check_account(&mut draft);
    let Draft { settings, origins, problems } = draft;
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    Ok(Effective { settings, files, origins })
}

/// The settings in force and where they came from.
#[derive(Debug)]
pub struct Effective {
    /// The settings.
    pub settings: Settings,
    /// The files that were read, in order.
    pub files: Vec<PathBuf>,
    origins: Vec<(&'static Key, Origin)>,
}

impl Effective {
    /// Each key, its value in force, and who said so.
    pub fn entries(&self) -> impl Iterator<Item = (&'static Key, serde_json::Value, Origin)> {
        KEYS.iter().map(|key| {
            let origin = self.origins.iter().find(|(known, _)| std::ptr::eq(*known, key));
            let origin = origin.map_or(Origin::Default, |(_, origin)| origin.clone());
            (key, key.value(&self.settings), origin)
        })
    }

    /// All of it as people see it: on the command line and in the dashboard.
    #[must_use]
    pub fn shown(&self) -> Configuration {
        let shown = |(key, value, origin): (&'static Key, serde_json::Value, Origin)| Configured {
            section: key.section,
            name: key.name,
            about: key.about,
            value,
            from: origin.to_string(),
            variable: key.variable(),
        };
        Configuration {
            files: self.files.iter().map(|path| path.display().to_string()).collect(),
            keys: self.entries().map(shown).collect(),
        }
    }
}

/// Who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: it is the default.
    Default,
    /// A file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// It follows from another key.
    Derived(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Derived(key) => write!(f, "follows from {key}"),
        }
    }
}

/// Everything that is wrong with the configuration.
#[derive(Debug, Error)]
pub struct ConfigError {
    /// Each problem; at least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Error)]
pub enum Problem {
    /// A file is there and cannot be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is far too large to be a configuration.
    #[error("{}: larger than {FILE_MAX} bytes, which no configuration is", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file of `--config` does not exist.
    #[error("{}: there is no such file; name one that exists, or leave --config out", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It is not TOML.
    #[error("{}:{line}: not valid TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// No section has this name.
    #[error("{place}: there is no section [{section}]; {hint}")]
    UnknownSection {
        /// File and line.
        place: String,
        /// What was written.
        section: String,
        /// What to do.
        hint: String,
    },
    /// A section was given a value.
    #[error("{place}: {section} is a section: write [{section}] on a line of its own, and its keys below")]
    NotASection {
        /// File and line.
        place: String,
        /// The section.
        section: String,
    },
    /// No key of the section has this name.
    #[error("{place}: [{section}] has no key {name:?}; {}", hint(section, nearest.as_deref()))]
    UnknownKey {
        /// File and line.
        place: String,
        /// The section.
        section: String,
        /// What was written.
        name: String,
        /// The known key nearest to it.
        nearest: Option<String>,
    },
    /// A value that the key does not take.
    #[error("{place} = {given}: expected {allowed}")]
    Value {
        /// File, line and key, or the variable.
        place: String,
        /// What was written.
        given: String,
        /// What would do.
        allowed: String,
    },
    /// A `RIVETR_` variable that means nothing.
    #[error("environment variable {variable} means nothing to rivetr; {}", variable_hint(nearest.as_deref()))]
    UnknownVariable {
        /// Its name.
        variable: String,
        /// The known one nearest to it.
        nearest: Option<String>,
    },
}

fn hint(section: &str, nearest: Option<&str>) -> String {
    if let Some(name) = nearest {
        return format!("did you mean {name}?");
    }
    let names: Vec<_> = KEYS.iter().filter(|key| key.section == section).map(|key| key.name).collect();
    format!("its keys are {}", names.join(", "))
}

fn variable_hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(|| "unset it".to_owned(), |name| format!("did you mean {name}?"))
}

fn read(path: &Path) -> Result<Option<String>, Problem> {
    let unreadable = |source| Problem::Unreadable { path: path.to_owned(), source };
    let size = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    if size > FILE_MAX {
        return Err(Problem::TooLarge { path: path.to_owned() });
    }
    std::fs::read_to_string(path).map(Some).map_err(unreadable)
}

/// An address has no names of its own; sslip.io resolves `<anything>.<address>.sslip.io` to it.
fn derive_base_domain(draft: &mut Draft) {
    let instance = &mut draft.settings.instance;
    let address = instance.url.as_ref().and_then(settings::InstanceUrl::address);
    let derived = address.and_then(|address| HostName::parse(&format!("{address}.sslip.io")).ok());
    if let (None, Some(domain), Some(key)) =
        (&instance.base_domain, derived, Key::find("instance", "base_domain"))
    {
        instance.base_domain = Some(domain);
        draft.remember(key, Origin::Derived("[instance] url"));
    }
}

/// An account at the ACME server is a name and a key.
fn check_account(draft: &mut Draft) {
    let settings::Acme { eab_kid, eab_hmac_key_file, .. } = &draft.settings.acme;
    let (place, given, other) = match (eab_kid, eab_hmac_key_file) {
        (Some(kid), None) => ("[acme] eab_kid", format!("{kid:?}"), "eab_hmac_key_file"),
        (None, Some(path)) => ("[acme] eab_hmac_key_file", format!("\"{}\"", path.display()), "eab_kid"),
        _ => return,
    };
    let allowed = format!("{other} beside it, for only both together are an account");
    draft.problems.push(Problem::Value { place: place.to_owned(), given, allowed });
}

#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod tests;
