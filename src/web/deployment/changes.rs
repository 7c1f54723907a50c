//! What is different from the release that was live before: commit, settings, and variables by name alone.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::api::wire::{BuildOptions, DeployOptions, HealthOptions, RuntimeOptions};
use crate::domain::app::Settings;
use crate::domain::deployment::Deployment;
use crate::engine::{Difference, Engine};

/// What a deployment changes.
pub(in crate::web) struct Changes {
    /// The one before: its number over all apps, and among the app's own. None: this is the first.
    pub before: Option<(i64, u32)>,
    /// The two commits, where they differ.
    pub commit: Option<(String, String)>,
    /// Both are commits, between which others may lie.
    pub commits: bool,
    /// Every setting that is not the default of either, with what differs marked; empty: nothing does.
    pub settings: Vec<Setting>,
    /// Variables and files that differ, and how.
    pub variables: Vec<(String, &'static str)>,
}

/// One line of the settings.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::web) struct Setting {
    /// `plus`, `minus`, or empty.
    pub class: &'static str,
    /// With its sign.
    pub text: String,
}

impl Changes {
    pub fn of(engine: &Engine, before: Option<&Deployment>, deployment: &Deployment) -> Self {
        let Some(before) = before else {
            return Self {
                before: None,
                commit: None,
                commits: false,
                settings: Vec::new(),
                variables: Vec::new(),
            };
        };
        let commit = |of: &Deployment| match (&of.commit, &of.digest) {
            (Some(commit), _) => Some(commit.short().to_owned()),
            (None, digest) => digest.as_ref().map(|digest| digest.short().to_owned()),
        };
        let commits = commit(before).zip(commit(deployment)).filter(|(old, new)| old != new);
        let how = |difference| match difference {
            Difference::Added => "added",
            Difference::Removed => "removed",
            Difference::Changed => "changed",
        };
        let variables = engine.changed_variables(&before.settings, &deployment.settings);
        Self {
            before: Some((before.id.0, before.number)),
            commits: commits.is_some() && before.commit.is_some() && deployment.commit.is_some(),
            commit: commits,
            settings: compared(&lines(&before.settings), &lines(&deployment.settings)),
            variables: variables.into_iter().map(|(name, difference)| (name, how(difference))).collect(),
        }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.commit.is_none() && self.settings.is_empty() && self.variables.is_empty()
    }
}

/// Each setting by its name, as the API has them.
fn lines(settings: &Settings) -> BTreeMap<String, String> {
    let Settings {
        port,
        variables: _,
        files: _,
        health,
        runtime,
        build,
        replicas,
        commands,
        rollback_window,
        linked: _,
    } = settings;
    let mut found = BTreeMap::from([
        ("port".to_owned(), port.to_string()),
        ("replicas".to_owned(), replicas.get().to_string()),
    ]);
    flatten("health", &HealthOptions::of(health), &mut found);
    flatten("runtime", &RuntimeOptions::of(runtime), &mut found);
    flatten("build", &BuildOptions::of(build), &mut found);
    flatten("deploy", &DeployOptions::of(commands, *rollback_window), &mut found);
    found
}

fn flatten(prefix: &str, options: &impl Serialize, found: &mut BTreeMap<String, String>) {
    // Options are plain values: to write them as JSON does not fail.
    if let Ok(Value::Object(fields)) = serde_json::to_value(options) {
        found.extend(fields.into_iter().map(|(name, value)| (format!("{prefix}.{name}"), value.to_string())));
    }
}

/// Both as lines of a diff; nothing where they are the same.
fn compared(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Setting> {
    if before == after {
        return Vec::new();
    }
    let mut names: Vec<_> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let line = |class, sign, name: &String, value: &String| Setting {
        class,
        text: format!("{sign} {name} = {value}"),
    };
    let mut found = Vec::new();
    for name in names {
        match (before.get(name), after.get(name)) {
            (Some(old), Some(new)) if old == new => found.push(line("", " ", name, new)),
            (old, new) => {
                found.extend(old.map(|old| line("minus", "-", name, old)));
                found.extend(new.map(|new| line("plus", "+", name, new)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    #[test]
    fn settings_differ_line_by_line() {
        let before = Settings::new(NonZeroU16::new(8080).unwrap());
        let mut after = before.clone();
        assert_eq!(compared(&lines(&before), &lines(&after)), []);
        after.port = NonZeroU16::new(3000).unwrap();
        after.runtime.read_only = true;
        let found = compared(&lines(&before), &lines(&after));
        let texts: Vec<_> = found.iter().map(|line| line.text.as_str()).collect();
        assert!(texts.contains(&"- port = 8080") && texts.contains(&"+ port = 3000"), "{texts:?}");
        assert!(texts.contains(&"+ runtime.read_only = true"), "{texts:?}");
        assert!(texts.contains(&"  replicas = 1"), "{texts:?}");
    }
}
