//! Templates: compose files that are there for everybody, with what has to be said before one runs.

use super::name::Slug;

/// A template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its name, from its file.
    pub name: Slug,
    /// What people call it.
    pub title: String,
    /// What it is for, in a word.
    pub category: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// What one should know before or after; may be empty.
    pub notes: String,
    /// The container that people look at, and the port that it answers at.
    pub entrance: (String, u16),
    /// How much memory it takes at least, in MiB.
    pub memory: u32,
    /// Only an administrator may create it.
    pub administrator: bool,
    /// What can be said about it.
    pub variables: Vec<TemplateVariable>,
    /// The compose file.
    pub compose: String,
}

/// A variable of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateVariable {
    /// Its name.
    pub name: String,
    /// What it is.
    pub label: String,
    /// What it is where nobody says it.
    pub otherwise: Otherwise,
}

/// What a variable is where nobody says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Otherwise {
    /// Somebody has to.
    Required,
    /// This.
    Text(String),
    /// A secret that is made for this service alone.
    Made(Made),
}

/// The form of a secret that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// 24 letters and digits.
    Password,
    /// 16 bytes as hexadecimal digits.
    Hex,
    /// 32 bytes as hexadecimal digits.
    Hex64,
    /// 32 bytes as Base64.
    Base64,
}

impl Made {
    /// The form of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "password" => Some(Self::Password),
            "hex" => Some(Self::Hex),
            "hex64" => Some(Self::Hex64),
            "base64" => Some(Self::Base64),
            _ => None,
        }
    }
}
