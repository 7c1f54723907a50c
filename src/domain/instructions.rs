//! A Containerfile that a person hands in as text. Whether it can be built is for the build to say.

use super::name::InvalidName;

/// The text of a Containerfile, not empty and of a bounded length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instructions(String);

impl Instructions {
    /// The longest text, in bytes.
    pub const MAX: usize = 64 * 1024;

    /// Takes any text with a line in it that is not blank, without NUL, up to [`Instructions::MAX`] bytes.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refuse = |rule| Err(InvalidName::new("Containerfile", "(not shown)", rule));
        if text.len() > Self::MAX {
            return refuse("it may have at most 64 KiB; keep longer ones in a repository");
        }
        if text.contains('\0') {
            return refuse("it must be text, without NUL bytes");
        }
        if text.trim().is_empty() {
            return refuse("it is empty; begin it with FROM and an image");
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(Instructions::parse("FROM a\n").unwrap().as_str(), "FROM a\n");
        let longest = "x".repeat(Instructions::MAX);
        assert!(Instructions::parse(&longest).is_ok());
        for bad in ["", " \n\t", "FROM a\0", &format!("{longest}x")] {
            assert!(Instructions::parse(bad).is_err(), "{} bytes", bad.len());
        }
    }
}
