//! What the API answers about databases, as people read it.

use super::super::table::{facts, harmless, or_dash, table, time};
use crate::api::wire::{Database, DatabaseCredentials, DatabaseKind};

pub(super) fn rows(databases: &[Database]) -> String {
    if databases.is_empty() {
        return "There are no databases. `rivetr databases create NAME --kind postgres` makes one.\n"
            .to_owned();
    }
    let row = |database: &Database| {
        let apps: Vec<&str> = database.links.iter().map(|link| link.app.as_str()).collect();
        [
            database.name.clone(),
            runs(database),
            database.state.clone(),
            database.project.clone(),
            or_dash(database.public_port.map(|port| port.to_string()).as_deref()),
            or_dash(Some(&apps.join(" "))),
        ]
    };
    let rows: Vec<_> = databases.iter().map(row).collect();
    let mut parts = vec![table(["DATABASE", "KIND", "STATE", "PROJECT", "PORT", "APPS"], &rows)];
    for database in databases {
        let problem = database.problem.as_deref().map(harmless);
        parts.extend(problem.map(|problem| format!("\n{}: {problem}\n", database.name)));
    }
    parts.concat()
}

pub(super) fn details(database: &Database) -> String {
    let links: Vec<String> = database
        .links
        .iter()
        .map(|link| format!("{} ({})", link.app, link.variables.first().unwrap_or(&link.prefix)))
        .collect();
    let public = database.public_port.map(|port| format!("{port}, for {}", database.allow.join(" ")));
    let facts = facts(&[
        ("database", database.name.clone()),
        ("state", database.state.clone()),
        ("problem", or_dash(database.problem.as_deref().map(harmless).as_deref())),
        ("kind", runs(database)),
        ("image", database.image.clone()),
        ("project", database.project.clone()),
        ("apps", or_dash(Some(&links.join(" ")))),
        ("public port", or_dash(public.as_deref())),
        ("memory", or_dash(database.memory.as_deref())),
        ("cpus", or_dash(database.cpus.as_deref())),
        ("unit", database.unit.clone()),
        ("volume", database.volume.clone()),
        ("created", time(&database.created)),
    ]);
    let config = database.config.as_deref().unwrap_or_default();
    let config: Vec<_> = config.lines().map(|line| format!("  {}\n", harmless(line))).collect();
    let heading = if config.is_empty() { "" } else { "\nconfiguration:\n" };
    format!("{facts}{heading}{}", config.concat())
}

/// The kind with its version, where that is one of the kind's own.
fn runs(database: &Database) -> String {
    match &database.version {
        Some(version) => format!("{} {version}", database.kind),
        None => database.kind.clone(),
    }
}

pub(super) fn credentials(found: &DatabaseCredentials) -> String {
    let DatabaseCredentials { user, password, database, url, public_url } = found;
    facts(&[
        ("user", user.clone()),
        ("password", password.clone()),
        ("database", database.clone()),
        ("url", url.clone()),
        ("public url", or_dash(public_url.as_deref())),
    ])
}

pub(super) fn kinds(kinds: &[DatabaseKind]) -> String {
    let row = |kind: &DatabaseKind| {
        [
            kind.kind.clone(),
            kind.title.clone(),
            kind.versions.join(" "),
            kind.port.to_string(),
            format!("{}_URL", kind.prefix),
        ]
    };
    table(["KIND", "NAME", "VERSIONS", "PORT", "APPS GET"], &kinds.iter().map(row).collect::<Vec<_>>())
}

pub(super) fn trash(databases: &[Database]) -> String {
    if databases.is_empty() {
        return "The trash is empty.\n".to_owned();
    }
    let row = |database: &Database| {
        let at = |time_: &Option<String>| or_dash(time_.as_deref().map(time).as_deref());
        [
            database.id.to_string(),
            database.name.clone(),
            runs(database),
            database.project.clone(),
            at(&database.deleted),
            at(&database.kept_until),
        ]
    };
    table(
        ["NUMBER", "DATABASE", "KIND", "PROJECT", "DELETED", "KEPT UNTIL"],
        &databases.iter().map(row).collect::<Vec<_>>(),
    )
}
