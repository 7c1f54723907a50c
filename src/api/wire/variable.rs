//! Variables, mounted files and the change of the master key, as JSON.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parse::readable;
use super::{ENV_MAX, FieldErrors, Hidden};
use crate::domain::mount::{FileContent, MountPath};
use crate::domain::name::EnvKey;
use crate::domain::variable::{self, EnvValue, NewVariable};

/// Variables to set, all or none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetVariables {
    /// Each by its name.
    pub variables: BTreeMap<String, SetVariable>,
    /// Remove those that are not among them.
    #[serde(default)]
    pub replace: bool,
}

/// One variable to set. What is not said stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetVariable {
    /// Any text without NUL, of at most 120,000 bytes.
    #[schema(value_type = String)]
    pub value: Hidden,
    /// Nobody is shown its value again; false for a new one if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<bool>,
    /// When it is there; `run` for a new one if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Variable {
    /// Its name.
    pub key: String,
    /// Its value; null: it is secret, or cannot be read.
    pub value: Option<String>,
    /// Nobody is shown its value.
    pub secret: bool,
    /// When it is there.
    pub usage: Usage,
    /// Why its value cannot be read.
    pub error: Option<String>,
}

/// When a variable is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Usage {
    /// While the app runs.
    Run,
    /// While its image is built.
    Build,
    /// Both times.
    Both,
}

/// A file to mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetFile {
    /// Where it appears in the container.
    pub path: String,
    /// What stands in it: 1 to 511,999 bytes, as base64.
    #[schema(value_type = String)]
    pub content_base64: Hidden,
}

/// A mounted file. Nobody is shown what stands in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct File {
    /// Where it appears in the container.
    pub path: String,
}

/// What a change of the master key did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rotated {
    /// The number of the key that seals from now on.
    pub key: u32,
    /// How many values were sealed anew.
    pub resealed: usize,
    /// Those that could not be opened, before as now.
    pub unreadable: Vec<String>,
    /// The old key still has to be taken out of the credential that rivetr gets its keys from.
    pub by_hand: bool,
}

impl SetVariables {
    /// The variables, and whether they replace all others; or what is wrong with each.
    pub fn parse(self) -> Result<(Vec<NewVariable>, bool), FieldErrors> {
        let Self { variables, replace } = self;
        let total: usize = variables.iter().map(|(key, set)| key.len() + set.value.0.len() + 2).sum();
        if total > ENV_MAX {
            let message = "all variables together can hold at most 1,000,000 bytes";
            return Err(FieldErrors::one("variables", message));
        }
        let mut errors = FieldErrors::default();
        let mut parsed = Vec::new();
        for (name, SetVariable { value, secret, usage }) in variables {
            let one = EnvKey::parse(&name).and_then(|key| {
                let (value, usage) = (EnvValue::parse(&value.0)?, usage.map(variable::Usage::from));
                Ok(NewVariable { key, value, secret, usage })
            });
            parsed.extend(errors.take(&format!("variables.{}", readable(&name)), one));
        }
        if errors.0.is_empty() { Ok((parsed, replace)) } else { Err(errors) }
    }
}

impl SetFile {
    /// A file of these bytes.
    #[must_use]
    pub fn of(path: &MountPath, content: &FileContent) -> Self {
        let content = BASE64.encode(content.secret().reveal());
        Self { path: path.to_string(), content_base64: Hidden(content) }
    }

    /// The file, or what is wrong with each field.
    pub fn parse(self) -> Result<(MountPath, FileContent), FieldErrors> {
        let mut errors = FieldErrors::default();
        let path = errors.take("path", MountPath::parse(&self.path));
        let bytes = BASE64.decode(&self.content_base64.0).map_err(|_| "write the content as base64");
        let bytes = errors.take("content_base64", bytes);
        let content = bytes.and_then(|bytes| errors.take("content_base64", FileContent::new(bytes)));
        path.zip(content).ok_or(errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_variable_is_named_and_none_is_shown() {
        let set = |value: &str| SetVariable { value: Hidden(value.to_owned()), secret: None, usage: None };
        let wish = SetVariables {
            variables: BTreeMap::from([
                ("A-B".to_owned(), set("canary")),
                ("GOOD".to_owned(), set("canary")),
                ("NUL".to_owned(), set("canary\0")),
            ]),
            replace: false,
        };
        assert!(!format!("{wish:?}").contains("canary"));
        let errors = wish.parse().unwrap_err().0;
        assert_eq!(errors.keys().collect::<Vec<_>>(), ["variables.A-B", "variables.NUL"]);
        assert!(!format!("{errors:?}").contains("canary"), "{errors:?}");
        let long = (0..10).map(|n| (format!("V{n}"), set(&"x".repeat(ENV_MAX / 10)))).collect();
        let errors = SetVariables { variables: long, replace: true }.parse().unwrap_err().0;
        assert!(errors.contains_key("variables"), "{errors:?}");
    }

    #[test]
    fn files_are_any_bytes() {
        let path = MountPath::parse("/etc/x").unwrap();
        let content = FileContent::new((0..=255).collect()).unwrap();
        assert_eq!(SetFile::of(&path, &content).parse(), Ok((path, content)));
        let wrong = SetFile { path: "etc".to_owned(), content_base64: Hidden("*".to_owned()) };
        assert_eq!(wrong.parse().unwrap_err().0.keys().collect::<Vec<_>>(), ["content_base64", "path"]);
        let empty = SetFile { path: "/x".to_owned(), content_base64: Hidden(String::new()) };
        assert!(empty.parse().unwrap_err().0.contains_key("content_base64"));
    }
}
