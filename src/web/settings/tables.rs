//! The fields of the two forms of options, those that most apps need first.

use super::fields::{Field, Kind, Table};

const fn text(name: &'static str, label: &'static str, example: &'static str, hint: &'static str) -> Field {
    Field::new(Kind::Text, name, label, example, hint)
}

const fn number(name: &'static str, label: &'static str, example: &'static str, hint: &'static str) -> Field {
    Field::new(Kind::Number, name, label, example, hint)
}

const fn lines(name: &'static str, label: &'static str, example: &'static str, hint: &'static str) -> Field {
    Field::new(Kind::Lines, name, label, example, hint)
}

const fn command(
    name: &'static str,
    label: &'static str,
    example: &'static str,
    hint: &'static str,
) -> Field {
    Field::new(Kind::Command, name, label, example, hint)
}

const fn check(name: &'static str, label: &'static str, default: bool, hint: &'static str) -> Field {
    Field::new(Kind::Check(default), name, label, "", hint)
}

const RESTART: Kind =
    Kind::Choice(&[("always", "Always"), ("on-failure", "When it failed"), ("no", "Never")]);

/// How an app is built, run, watched and deployed.
pub const SETTINGS: Table = &[
    ("", COMMON),
    ("Health check", HEALTH),
    ("Process", PROCESS),
    ("Storage", STORAGE),
    ("Network", NETWORK),
    ("Rights and limits", LIMITS),
    ("Build", BUILD),
    ("Deployment", DEPLOY),
];

const COMMON: &[Field] = &[
    number("port", "Port", "8080", "The port it listens on in its container."),
    text(
        "health.path",
        "Health path",
        "/up",
        "A new release takes over once this path answers. Empty: a TCP connection is enough.",
    ),
    number("replicas", "Containers", "1", "How many answer side by side. Changed at once."),
    text("runtime.memory", "Memory", "512M", "The most it may use; empty: no limit. Changed while it runs."),
    text(
        "runtime.cpus",
        "Processors",
        "1.5",
        "The most processor time it may use; empty: no limit. Changed while it runs.",
    ),
];

const HEALTH: &[Field] = &[
    text("health.status", "Statuses that count", "200-399", "Goes with a path."),
    command(
        "health.command",
        "Command in place of a path",
        "pg_isready -q",
        "Runs in the container; status 0 is an answer.",
    ),
    number("health.timeout_s", "A new release may take", "60", "Seconds until it answers; at most 3600."),
    number("health.attempt_s", "One answer may take", "10", "Seconds; at most 60."),
    number("health.interval_s", "Pause between two questions", "10", "Seconds; at most 600."),
    number("health.retries", "Unhealthy after", "3", "So many failures in a row."),
];

const PROCESS: &[Field] = &[
    command(
        "runtime.command",
        "Arguments",
        "serve --port 8080",
        "In place of the image's command. Quotes join words; no shell is asked.",
    ),
    command("runtime.entrypoint", "Program", "/app/server", "In place of the image's entry point."),
    text("runtime.user", "User", "app", "user or user:group; empty: as the image says."),
    text("runtime.working_dir", "Working directory", "/srv", ""),
    Field::new(RESTART, "runtime.restart", "Start it again when it ends", "", ""),
    text("runtime.stop_signal", "Signal that asks it to end", "SIGTERM", ""),
    number("runtime.stop_timeout_s", "It may take to end", "10", "Seconds; at most 600."),
    check("runtime.init", "A small process 1 passes signals on and reaps children", false, ""),
];

const STORAGE: &[Field] = &[
    lines(
        "runtime.volumes",
        "Volumes",
        "data:/var/data",
        "One a line: name:/path or name:/path:ro. They stay when a release goes. /on/the/host:/path where the administrator allows it.",
    ),
    lines("runtime.tmpfs", "Directories in memory", "/tmp:size=64M", "One a line."),
    text("runtime.shm_size", "Size of /dev/shm", "64M", ""),
    check("runtime.read_only", "Its root file system cannot be written to", false, ""),
];

const NETWORK: &[Field] = &[
    lines(
        "runtime.publish",
        "Ports of the host past the proxy",
        "127.0.0.1:5432:5432",
        "One a line: [address:]host:container[/udp]. A deployment then stops the old release before the new one starts.",
    ),
    lines(
        "runtime.aliases",
        "More names in its project",
        "db",
        "One a line; the project's apps find it by them.",
    ),
    lines("runtime.extra_hosts", "Names that it finds", "db.internal:192.0.2.7", "One a line: name:address."),
];

const LIMITS: &[Field] = &[
    number("runtime.pids", "Processes and threads", "2048", "The most it may have."),
    lines("runtime.ulimits", "Limits of each process", "nofile=1024:2048", "One a line."),
    lines(
        "runtime.capabilities",
        "Capabilities",
        "NET_RAW",
        "One a line. Only an administrator can add one.",
    ),
    lines(
        "runtime.labels",
        "Labels of the container",
        "name=value",
        "One a line; or prometheus, homepage, diun.",
    ),
];

const BUILD: &[Field] = &[
    text(
        "build.containerfile",
        "Containerfile",
        "Containerfile",
        "From the base directory; empty: Containerfile or Dockerfile.",
    ),
    text(
        "build.base_dir",
        "Base directory",
        "web",
        "The directory whose files the build sees; empty: all of it.",
    ),
    text("build.target", "Stage", "release", "Empty: the last one."),
    lines(
        "build.args",
        "Arguments",
        "KEY=value",
        "One a line. The history of the image shows them: no secrets here.",
    ),
    lines(
        "build.options",
        "More options of podman build",
        "--squash",
        "One a line: --squash, --platform=, --shm-size=, --ulimit=, --add-host=, --format=, --jobs=.",
    ),
    check("build.cache", "Steps that were built before are taken from the cache", true, ""),
    text("build.memory", "Memory", "1G", "Up to what the instance allows."),
    text("build.cpus", "Processors", "1.5", "Up to what the instance allows."),
    number("build.timeout_s", "It may take", "900", "Seconds, up to what the instance allows."),
];

const DEPLOY: &[Field] = &[
    command(
        "deploy.before_switch",
        "Command before a release goes live",
        "rake db:migrate",
        "Runs once in the new image; its failure ends the deployment.",
    ),
    command(
        "deploy.after_switch",
        "Command after it went live",
        "rake cache:warm",
        "Its failure is a warning.",
    ),
    number("deploy.command_timeout_s", "Each may take", "600", "Seconds; at most 3600."),
    number(
        "deploy.rollback_window_s",
        "Watched after the switch",
        "60",
        "Seconds; the release before comes back if the new one does badly. 0: never.",
    ),
];

const PROTOCOL: Kind =
    Kind::Choice(&[("http1", "HTTP/1.1"), ("h2c", "HTTP/2 without TLS, as gRPC needs it")]);

/// What the proxy does with requests.
pub const TRAFFIC: Table =
    &[("", REQUESTS), ("Who may come in", DOOR), ("Redirects and headers", HEADERS), ("Protocol", WIRE)];

const REQUESTS: &[Field] = &[
    text("body_limit", "Largest request body", "100M", ""),
    text("answer_timeout", "The app may take to answer", "60s", "At most 1h."),
    Field::new(
        Kind::Long,
        "maintenance",
        "Maintenance",
        "Back at noon.",
        "While something stands here, nobody is let in, and this is what the page says.",
    ),
    check("sticky", "A visitor stays with the container that answered first", false, ""),
];

const DOOR: &[Field] =
    &[lines("allow", "Only from these networks", "192.0.2.0/24", "One a line; empty: from everywhere.")];

const HEADERS: &[Field] = &[
    text(
        "hsts",
        "HTTPS alone (HSTS)",
        "365d,subdomains",
        "For how long browsers are told to come by HTTPS alone. They keep to it: begin with a short time.",
    ),
    lines(
        "redirects",
        "Redirects",
        "^/old/(.*)$=/new/$1 308",
        "One a line; the first that fits counts, 302 if no status is said.",
    ),
    lines(
        "request_headers",
        "Fields of requests",
        "X-Env: prod",
        "One a line, as the app sees them; X-Env: alone takes it away.",
    ),
    lines("response_headers", "Fields of answers", "X-Frame-Options: DENY", "One a line."),
];

const WIRE: &[Field] = &[Field::new(PROTOCOL, "protocol", "What is spoken with the app", "", "")];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::{BuildOptions, DeployOptions, HealthOptions, RuntimeOptions, TrafficOptions};

    fn names(table: Table) -> Vec<&'static str> {
        table.iter().flat_map(|(_, fields)| *fields).map(|field| field.name).collect()
    }

    #[test]
    fn every_option_of_the_api_has_a_field() {
        let known = names(SETTINGS);
        for (section, options) in [
            ("runtime", RuntimeOptions::NAMES),
            ("build", BuildOptions::NAMES),
            ("deploy", DeployOptions::NAMES),
            ("health", HealthOptions::NAMES),
        ] {
            for option in options {
                assert!(known.contains(&format!("{section}.{option}").as_str()), "{section}.{option}");
            }
        }
        let known = names(TRAFFIC);
        for option in TrafficOptions::NAMES {
            // Users have a form of their own.
            assert!(known.contains(option) || ["users", "passwords"].contains(option), "{option}");
        }
    }

    #[test]
    fn no_field_is_there_twice() {
        for table in [SETTINGS, TRAFFIC] {
            let mut all = names(table);
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count);
        }
    }
}
