//! A value as it was written, in a file or in a variable, before anybody knows whether it will do.

use std::ops::RangeInclusive;

use toml::de::DeValue;

/// A value as it was written.
#[derive(Debug)]
pub(super) enum Raw<'a> {
    /// In a file, with a type of its own.
    Toml(&'a DeValue<'a>),
    /// In a variable: text that is read as what is expected.
    Text(&'a str),
}

impl Raw<'_> {
    /// A whole number of the range.
    pub(super) fn whole(&self, range: &RangeInclusive<u32>) -> Option<u32> {
        let number = match self {
            Self::Toml(value) => {
                let integer = value.as_integer()?;
                u32::from_str_radix(integer.as_str(), integer.radix()).ok()?
            }
            Self::Text(text) => text.parse().ok()?,
        };
        range.contains(&number).then_some(number)
    }

    /// Yes or no.
    pub(super) fn flag(&self) -> Option<bool> {
        match self {
            Self::Toml(value) => value.as_bool(),
            Self::Text(text) => text.parse().ok(),
        }
    }

    /// A text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Toml(value) => value.as_str(),
            Self::Text(text) => Some(text),
        }
    }

    /// A list of texts; in a variable they are separated by commas.
    pub(super) fn words(&self) -> Option<Vec<&str>> {
        match self {
            Self::Toml(value) => value.as_array()?.iter().map(|word| word.get_ref().as_str()).collect(),
            Self::Text("") => Some(Vec::new()),
            Self::Text(text) => Some(text.split(',').map(str::trim).collect()),
        }
    }
}
