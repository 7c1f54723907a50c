//! A label of a container, for programs that look for it.

use std::fmt;

use crate::domain::name::InvalidName;

/// `name=value`. Names that begin with rivetr's own prefix are rivetr's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    name: String,
    value: String,
}

impl Label {
    /// What the names of rivetr's own labels begin with.
    pub const OWN: &'static str = "io.rivetr";
    /// What Podman and systemd go by; to set them would turn other programs against the container.
    const FOREIGN: [&'static str; 2] = ["io.containers.", "PODMAN_SYSTEMD_UNIT"];

    /// Takes `name=value`: a name of letters, digits and `._/-`, and any printable text up to 1000 bytes.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refuse = |rule| Err(InvalidName::new("label", text, rule));
        let Some((name, value)) = text.split_once('=') else { return refuse("write it as name=value") };
        let inner = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
        if name.is_empty() || name.len() > 200 || !name.chars().all(inner) || name.starts_with('-') {
            return refuse("use letters, digits and . _ / - in its name");
        }
        if name.to_ascii_lowercase().starts_with(Self::OWN) {
            return refuse("names that begin with io.rivetr are rivetr's own: choose another one");
        }
        if Self::FOREIGN.iter().any(|own| name.starts_with(own)) {
            return refuse("Podman itself goes by this name: choose another one");
        }
        if value.len() > 1000 || value.chars().any(char::is_control) {
            return refuse("use at most 1000 bytes without line breaks in its value");
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }

    /// The part before `=`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The part after it.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn labels() {
        let good = [
            ("a=", "a="),
            ("traefik.http.routers.x.rule=Host(`a`) && x=1", "traefik.http.routers.x.rule=Host(`a`) && x=1"),
        ];
        let bad = [
            "",
            "a",
            "=b",
            "a b=c",
            "a=b\nc",
            "-a=b",
            "io.rivetr.app=x",
            "io.rivetr=x",
            "IO.Rivetr.x=1",
            "io.containers.autoupdate=registry",
            "PODMAN_SYSTEMD_UNIT=x",
            "a\"=b",
            "a%n=b",
        ];
        check(Label::parse, &good, &bad);
    }
}
