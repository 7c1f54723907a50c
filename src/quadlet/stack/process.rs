//! What runs in a container: command, variables, user, and how it appears to itself.

use super::super::unit::Argument;
use super::draft::Draft;
use crate::domain::stack::container::{Container, Namespace};

/// A variable of the service that stands for an empty word: Quadlet drops all words from an empty one on, and
/// systemd makes exactly one word of `${…}`.
const EMPTY: &str = "QUADLET_EMPTY";
/// A variable of the service that stands for a lone semicolon, at which systemd would end the command.
const SEMICOLON: &str = "QUADLET_SEMICOLON";

pub(super) fn write(draft: &mut Draft<'_>, container: &Container) {
    command(draft, container);
    environment(draft, container);
    for (name, value) in &container.labels {
        draft.pair("labels", "Label", name, value);
    }
    for (name, value) in &container.annotations {
        draft.pair("annotations", "Annotation", name, value);
    }
    user(draft, container);
    draft.option(
        "working_dir",
        "WorkingDir",
        "--workdir",
        container.working_dir.as_deref().unwrap_or_default(),
    );
    draft.option("hostname", "HostName", "--hostname", container.hostname.as_deref().unwrap_or_default());
    if let Some(domain) = container.domainname.as_ref().filter(|domain| !domain.is_empty()) {
        draft.note(
            "domainname",
            format!(
                "Podman sets no domain name: {domain} is left out; write it into hostname where it matters"
            ),
        );
    }
    match (container.init, &container.pid) {
        (false, _) => {}
        (true, Some(Namespace::Host | Namespace::Of(_))) => {
            draft.note("init", "it is left out: process 1 is another's, and reaps what is left behind");
        }
        (true, _) => draft.scalar("init", "RunInit", "true"),
    }
    if container.tty {
        draft.podman("tty", "--tty");
    }
    if container.stdin_open {
        draft.podman("stdin_open", "--interactive");
    }
}

fn command(draft: &mut Draft<'_>, container: &Container) {
    if let Some(words) = &container.entrypoint {
        draft.scalar("entrypoint", "Entrypoint", &json(words));
    }
    let replaces_entrypoint = container.entrypoint.as_ref().is_some_and(|words| !words.is_empty());
    match container.command.as_deref() {
        // Another entry point leaves the image's command out already.
        None => {}
        Some([]) if replaces_entrypoint => {}
        Some([]) => draft.note("command", "an empty command leaves the image's own in force, as with Docker"),
        Some(words) => {
            let arguments = words.iter().map(|word| match word.as_str() {
                "" => Argument::Variable(EMPTY),
                ";" => Argument::Variable(SEMICOLON),
                text => Argument::Text(text),
            });
            draft.arguments("command", "Exec", arguments.collect());
            for (stands_for, name) in [("", EMPTY), (";", SEMICOLON)] {
                if words.iter().any(|word| word == stands_for) {
                    draft.variable("command", name, stands_for);
                }
            }
        }
    }
}

fn environment(draft: &mut Draft<'_>, container: &Container) {
    for path in &container.env_files {
        draft.words("env_file", "EnvironmentFile", [path.to_string_lossy().as_ref()]);
    }
    for (name, value) in &container.environment {
        if value.contains("\r\n") && !name.is_empty() {
            // `podman run --env NAME=value` would make LF of it; what it hands through stays as it is.
            draft.variable("environment", name, value);
            draft.podman("environment", &format!("--env={name}"));
        } else {
            draft.pair("environment", "Environment", name, value);
        }
    }
    for name in &container.passed_through {
        draft.podman("environment", &format!("--env={name}"));
    }
}

fn user(draft: &mut Draft<'_>, container: &Container) {
    if let Some(user) = container.user.as_ref().filter(|user| !user.is_empty()) {
        match user.split_once(':') {
            None => draft.option("user", "User", "--user", user),
            Some((name, group)) if !name.is_empty() && !group.is_empty() => {
                draft.scalar("user", "User", name);
                draft.scalar("user", "Group", group);
            }
            Some(_) => draft.podman("user", &format!("--user={user}")),
        }
    }
    for group in &container.groups {
        draft.option("group_add", "GroupAdd", "--group-add", group);
    }
}

/// Words as a JSON array of ASCII: no character of it means anything to Quadlet or systemd but `%` and `$`.
pub(super) fn json(words: &[String]) -> String {
    let mut text = String::new();
    // What is not ASCII stands only within words.
    for c in serde_json::Value::from(words.to_vec()).to_string().chars() {
        if matches!(c, ' '..='~') {
            text.push(c);
        } else {
            text.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    text
}
