//! Environment variables: whose they are, when they are there, and how far they may be shown.
//!
//! A value at rest is sealed, whether it is secret or not; who opens it and how it reaches a process is not known
//! here.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use super::app::AppId;
use super::name::{EnvKey, InvalidName, Slug};
use super::secret::{Sealed, Secret};

/// One variable as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub key: EnvKey,
    /// Its value, sealed for [`Variable::place`].
    pub value: Sealed,
    /// Nobody is shown its value.
    pub secret: bool,
    /// When it is there.
    pub usage: Usage,
}

impl Variable {
    /// The place that a value is sealed for. It names the variable and no owner, for a deployment takes a copy.
    #[must_use]
    pub fn place(key: &EnvKey) -> String {
        format!("env/{}", key.as_str())
    }
}

/// When a variable is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Usage {
    /// While the app runs.
    #[default]
    Run,
    /// While its image is built.
    Build,
    /// Both times.
    Both,
}

impl Usage {
    /// Every usage.
    pub const ALL: [Self; 3] = [Self::Run, Self::Build, Self::Both];

    /// Whether the app's process gets it.
    #[must_use]
    pub fn runs(self) -> bool {
        matches!(self, Self::Run | Self::Both)
    }

    /// Whether the build gets it.
    #[must_use]
    pub fn builds(self) -> bool {
        matches!(self, Self::Build | Self::Both)
    }

    /// The word people write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Build => "build",
            Self::Both => "both",
        }
    }

    /// The usage of a word, if it is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|usage| usage.as_str() == word)
    }
}

/// Whose variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Those of every app of a project.
    Project(Slug),
    /// Those of every app of a project's environment; they win over the project's.
    Environment {
        /// The project.
        project: Slug,
        /// Its environment.
        environment: Slug,
    },
    /// Those of one app; they win over all others.
    App(AppId),
}

/// A variable as somebody sets it, its value as it was typed or sealed. What is not said stays as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVariable<V = EnvValue> {
    /// Its name.
    pub key: EnvKey,
    /// Its value.
    pub value: V,
    /// Whether nobody is shown its value; a new variable is shown.
    pub secret: Option<bool>,
    /// When it is there; a new variable is there while the app runs.
    pub usage: Option<Usage>,
}

/// The value of an environment variable: any UTF-8 text without NUL that one `execve` string can hold.
///
/// Other bytes would not arrive: Podman hands a container its variables as JSON, in which they become U+FFFD. A
/// mounted file carries them.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvValue(Zeroizing<String>);

impl EnvValue {
    /// The longest value in bytes: name, `=`, value and NUL stay below the kernel's 128 KiB a string (FACTS 2).
    pub const MAX: usize = 120_000;

    /// Names and values of all variables together, in bytes: well below the 2 MiB that `execve` takes by default.
    pub const ALL_MAX: usize = 1_000_000;

    /// Takes any text without NUL up to [`EnvValue::MAX`] bytes.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refuse = |rule| Err(InvalidName::new("value", "(not shown)", rule));
        if text.contains('\0') {
            return refuse("a variable cannot hold a NUL byte; a mounted file can");
        }
        if text.len() > Self::MAX {
            return refuse("a variable can hold at most 120,000 bytes; a mounted file holds more");
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value as bytes to seal.
    #[must_use]
    pub fn secret(&self) -> Secret {
        Secret::from(self.as_str())
    }
}

impl fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// One set of variables made of several, the first with the least to say.
#[must_use]
pub fn merge(levels: impl IntoIterator<Item = Vec<Variable>>) -> Vec<Variable> {
    let all = levels.into_iter().flatten().map(|variable| (variable.key.clone(), variable));
    all.collect::<BTreeMap<_, _>>().into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(key: &str, value: u8) -> Variable {
        let key = EnvKey::parse(key).unwrap();
        Variable { key, value: Sealed(vec![value]), secret: false, usage: Usage::Run }
    }

    #[test]
    fn the_nearest_level_wins() {
        let merged = merge([
            vec![variable("B", 1), variable("A", 1), variable("C", 1)],
            vec![variable("C", 2)],
            vec![variable("A", 3), variable("C", 3)],
        ]);
        assert_eq!(merged, [variable("A", 3), variable("B", 1), variable("C", 3)]);
    }

    #[test]
    fn values_are_text_that_a_process_can_receive_and_nobody_is_shown() {
        for good in ["", "a\r\nb", "\u{80}\u{fffe}", &"x".repeat(EnvValue::MAX)] {
            let value = EnvValue::parse(good).unwrap();
            assert_eq!((value.as_str(), format!("{value:?}").as_str()), (good, "***"));
        }
        for bad in ["a\0b", &"x".repeat(EnvValue::MAX + 1)] {
            assert!(EnvValue::parse(bad).unwrap_err().to_string().contains("a mounted file"));
        }
    }

    #[test]
    fn usages() {
        for usage in Usage::ALL {
            assert_eq!(Usage::parse(usage.as_str()), Some(usage));
            assert!(usage.runs() || usage.builds());
        }
        assert_eq!(Usage::parse("always"), None);
    }
}
