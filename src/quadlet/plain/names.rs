//! Readable names for units, secrets and volumes: the project and the name a person gave, each taken once.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::domain::service::unit_prefix;
use crate::quadlet::path::{Owner, Place, UnitPath};
use crate::quadlet::unit::{Section, Unit};

/// The new names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What may stand in the text of a unit for another one, and what stands there then.
    pub(super) units: BTreeMap<String, String>,
    /// Podman's secrets.
    pub(super) secrets: BTreeMap<String, String>,
    /// Podman's volumes.
    pub(super) volumes: BTreeMap<String, String>,
    stems: BTreeMap<String, String>,
    taken: BTreeSet<String>,
}

/// The name of a unit's file without its ending.
pub(super) fn stem(path: &UnitPath) -> &str {
    path.file().rsplit_once('.').map_or(path.file(), |(stem, _)| stem)
}

impl Names {
    /// Finds names for a unit and what it names.
    pub(super) fn add(&mut self, found: &Found, unit: &Unit) {
        let (old, kind) = found.path.file().rsplit_once('.').unwrap_or((found.path.file(), ""));
        let new = match self.stems.get(old) {
            // The timer of a job and its service.
            Some(new) => new.clone(),
            None => self.claim(&format!("{}-{}", found.project, readable(found, old, kind)), kind, found),
        };
        self.stems.insert(old.to_owned(), new.clone());
        self.units.insert(format!("{old}.{kind}"), format!("{new}.{kind}"));
        let service = match kind {
            "volume" | "network" => format!("{new}-{kind}.service"),
            _ => format!("{new}.service"),
        };
        if found.path.place() == Place::Quadlet {
            self.units.insert(found.path.unit(), service);
        }
        if kind == "container" {
            self.units.insert(old.to_owned(), new);
        } else if kind == "volume" {
            let name = unit.texts(Section::Volume, "VolumeName").next();
            self.volumes.extend(name.map(|name| (name.to_owned(), new.clone())));
        }
        for text in unit.texts(Section::Container, "Secret") {
            self.add_secret(found, text);
        }
    }

    /// The file of a unit.
    pub(super) fn file(&self, path: &UnitPath) -> String {
        self.units.get(path.file()).cloned().unwrap_or_else(|| path.file().to_owned())
    }

    /// What Podman is told for a name.
    pub(super) fn bare(&self, path: &UnitPath) -> String {
        self.stems.get(stem(path)).cloned().unwrap_or_else(|| stem(path).to_owned())
    }

    /// The text behind `Secret=` with the new name in it.
    pub(super) fn secret_of(&self, text: &str) -> String {
        let name = secret_name(text);
        match self.secrets.get(name) {
            Some(new) => text.replacen(name, new, 1),
            None => text.to_owned(),
        }
    }

    /// The name itself where it is free, with the kind behind it where it is not, and then with a number.
    fn claim(&mut self, wish: &str, kind: &str, found: &Found) -> String {
        let class = if matches!(kind, "volume" | "network") { kind } else { "service" };
        let noun = found.owner.folder();
        let noun = noun.split('-').next().unwrap_or_default();
        let with_noun = std::iter::once(format!("{wish}-{noun}"));
        let numbered = (2_u32..).map(|number| format!("{wish}-{number}"));
        let mut candidates = std::iter::once(wish.to_owned()).chain(with_noun).chain(numbered);
        let free = candidates.find(|name| self.taken.insert(format!("{name}.{class}")));
        free.unwrap_or_else(|| wish.to_owned())
    }

    fn add_secret(&mut self, found: &Found, text: &str) {
        let old = secret_name(text);
        if self.secrets.contains_key(old) {
            return;
        }
        let wish = match &found.owner {
            Owner::App(slug) | Owner::Jobs(slug) => {
                let rest = old.strip_prefix(&format!("rivetr-app-{slug}-"));
                rest.and_then(|rest| rest.split_once('-')).map(|(_, key)| format!("{slug}-{key}"))
            }
            Owner::Database(slug) => {
                old.strip_prefix(&format!("rivetr-db-{slug}_")).map(|key| format!("{slug}-{key}"))
            }
            Owner::Service(slug) => old.starts_with(&format!("{}secret-", unit_prefix(slug))).then(|| {
                let target = option(text, "target").unwrap_or("secret");
                format!("{slug}-{}", target.rsplit('/').next().unwrap_or(target))
            }),
            Owner::Commands(_) | Owner::OneOff(_) | Owner::Project(_) | Owner::Volume(_) => None,
        };
        let new = match wish {
            Some(wish) => self.claim_secret(&format!("{}-{}", found.project, fit(&wish))),
            // Somebody made it by hand, and it is called what it is called.
            None => old.to_owned(),
        };
        self.secrets.insert(old.to_owned(), new);
    }

    fn claim_secret(&mut self, wish: &str) -> String {
        let numbered = (2_u32..).map(|number| format!("{wish}-{number}"));
        let mut candidates = std::iter::once(wish.to_owned()).chain(numbered);
        let free = candidates.find(|name| self.taken.insert(format!("{name}.secret")));
        free.unwrap_or_else(|| wish.to_owned())
    }
}

/// What a person called it, within its project.
fn readable(found: &Found, old: &str, kind: &str) -> String {
    match (&found.owner, kind) {
        (Owner::App(slug), "container") => match old.rsplit_once('_') {
            Some((_, replica)) => format!("{slug}-{replica}"),
            None => slug.to_string(),
        },
        (Owner::App(_), _) => old.trim_start_matches("rivetr-vol-").to_owned(),
        (Owner::Database(slug), "volume") => format!("{slug}-data"),
        (Owner::Database(slug), _) => slug.to_string(),
        (Owner::Project(_), _) => "net".to_owned(),
        (Owner::Service(_), _) => {
            let bare = old.strip_suffix(&format!("-{kind}")).unwrap_or(old);
            bare.trim_start_matches("rivetr-svc-").to_owned()
        }
        (Owner::Jobs(_) | Owner::Commands(_) | Owner::OneOff(_) | Owner::Volume(_), _) => {
            old.trim_start_matches("rivetr-job-").replace('_', "-")
        }
    }
}

/// The name in front of the options of `Secret=`.
fn secret_name(text: &str) -> &str {
    let text = text.trim_start_matches('"');
    text.split([',', '"']).next().unwrap_or(text)
}

fn option<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let options = text.trim_matches('"').split(',');
    options.filter_map(|option| option.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Only what the name of a secret may hold.
fn fit(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

/// Names in a text by others; only where all of a name stands there.
pub(super) fn swap(text: &str, names: &BTreeMap<String, String>) -> String {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.@\\".contains(c);
    let mut swapped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(inside) {
        let (before, from) = rest.split_at(start);
        let (token, after) = from.split_at(from.find(|c| !inside(c)).unwrap_or(from.len()));
        swapped.push_str(before);
        swapped.push_str(names.get(token).map_or(token, String::as_str));
        rest = after;
    }
    swapped.push_str(rest);
    swapped
}
