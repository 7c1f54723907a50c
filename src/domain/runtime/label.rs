//! Labels of a container, for programs that look for them.

use std::fmt;
use std::num::NonZeroU16;

use crate::domain::name::{InvalidName, Slug};

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

/// One or more labels, as a person asks for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Labels {
    /// A single one, as it was written.
    One(Label),
    /// Those that a well-known program looks for.
    Preset(Preset),
}

/// A program that finds containers by their labels, and what it wants to know of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Prometheus asks it for metrics: the labels that service discovery is usually told to go by.
    Prometheus,
    /// Homepage shows it.
    Homepage,
    /// Diun says when there is a newer image.
    Diun,
}

impl Labels {
    /// Takes `name=value`, or the name of a preset.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.contains('=') {
            return Label::parse(text).map(Self::One);
        }
        let preset = Preset::ALL.into_iter().find(|preset| preset.as_str() == text);
        let rule = "write it as name=value, or name a preset: prometheus, homepage or diun";
        preset.map(Self::Preset).ok_or_else(|| InvalidName::new("label", text, rule))
    }

    /// Name and value of each for an app that listens on `port`.
    #[must_use]
    pub fn of(&self, app: &Slug, port: NonZeroU16) -> Vec<(&str, String)> {
        match self {
            Self::One(label) => vec![(label.name(), label.value().to_owned())],
            Self::Preset(preset) => preset.labels(app, port),
        }
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(label) => label.fmt(f),
            Self::Preset(preset) => f.write_str(preset.as_str()),
        }
    }
}

impl Preset {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Prometheus, Self::Homepage, Self::Diun];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Homepage => "homepage",
            Self::Diun => "diun",
        }
    }

    fn labels(self, app: &Slug, port: NonZeroU16) -> Vec<(&'static str, String)> {
        match self {
            Self::Prometheus => vec![
                ("prometheus.io/scrape", "true".to_owned()),
                ("prometheus.io/port", port.to_string()),
                ("prometheus.io/path", "/metrics".to_owned()),
            ],
            Self::Homepage => {
                vec![("homepage.name", app.to_string()), ("homepage.group", "Apps".to_owned())]
            }
            Self::Diun => vec![("diun.enable", "true".to_owned())],
        }
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

    #[test]
    fn a_preset_is_what_a_program_looks_for() {
        let good = [("prometheus", "prometheus"), ("homepage", "homepage"), ("diun", "diun"), ("a=b", "a=b")];
        check(Labels::parse, &good, &["", "a", "Prometheus", "io.rivetr.app=x"]);
        let told = Labels::parse("grafana").unwrap_err().to_string();
        for preset in Preset::ALL {
            assert!(told.contains(preset.as_str()), "{told}");
        }
        let (app, port) = (Slug::parse("blog").unwrap(), NonZeroU16::new(9100).unwrap());
        let labels = Labels::parse("prometheus").unwrap().of(&app, port).len();
        assert_eq!(labels, 3);
        assert!(
            Labels::Preset(Preset::Prometheus)
                .of(&app, port)
                .contains(&("prometheus.io/port", "9100".into()))
        );
    }
}
