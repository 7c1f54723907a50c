//! Secrets and configs that a container is given as files.

use super::{Context, text};
use crate::compose::field::Field;
use crate::compose::keys;
use crate::compose::log::Log;
use crate::compose::node::Kind;
use crate::compose::stack::{self, External};
use crate::domain::stack::container::Container;
use crate::domain::stack::mount::{FileKind, FileOrigin, GrantedFile};

/// Where secrets are seen.
const SECRETS: &str = "/run/secrets";

pub fn read(field: &Field<'_>, container: &mut Container, context: &mut Context<'_>) {
    for (key, kind) in [("secrets", FileKind::Secret), ("configs", FileKind::Config)] {
        if let Some(field) = field.get(key) {
            for grant in grants(&field, kind, context) {
                // Of two files at one path the later one stands.
                container.files.retain(|earlier| earlier.target != grant.target);
                container.files.push(grant);
            }
        }
    }
}

/// A list of secrets or configs, in the short or the long form.
pub fn grants(field: &Field<'_>, kind: FileKind, context: &mut Context<'_>) -> Vec<GrantedFile> {
    let items = field.items(&mut context.log);
    items.iter().filter_map(|item| grant(item, kind, context)).collect()
}

fn grant(item: &Field<'_>, kind: FileKind, context: &mut Context<'_>) -> Option<GrantedFile> {
    let log = &mut context.log;
    let is_long = item.is_map();
    if is_long {
        item.known(log, keys::GRANT);
    }
    let key = if is_long { text(item, "source", log) } else { item.filled(log) };
    let Some(key) = key else {
        item.problem(log, "this must name a secret or config: source: NAME");
        return None;
    };
    let what = match kind {
        FileKind::Secret => "secret",
        FileKind::Config => "config",
    };
    let known = match kind {
        FileKind::Secret => &context.secrets,
        FileKind::Config => &context.configs,
    };
    let Some(origin) = known.get(&key).cloned() else {
        item.problem(log, format!("no {what} {key:?} is declared: add it under {what}s: at the top level"));
        return None;
    };
    let named = if is_long { text(item, "target", log) } else { None };
    let target = named.unwrap_or_else(|| key.clone());
    let target = match kind {
        _ if target.starts_with('/') => target,
        FileKind::Secret => format!("{SECRETS}/{target}"),
        FileKind::Config => format!("/{target}"),
    };
    let said = |name: &str, log: &mut Log| if is_long { text(item, name, log) } else { None };
    let (uid, gid) = (said("uid", log), said("gid", log));
    let mode = item.get("mode").filter(|_| is_long).and_then(|field| mode(&field, log));
    Some(GrantedFile { kind, key, origin, target, uid, gid, mode })
}

/// Permissions: a text is octal, and a number is what YAML says that it is.
fn mode(field: &Field<'_>, log: &mut Log) -> Option<u32> {
    let scalar = field.scalar()?;
    let radix = if scalar.kind == Kind::Int { 10 } else { 8 };
    let digits = scalar.text.strip_prefix("0o").unwrap_or(&scalar.text);
    let mode = u32::from_str_radix(digits, radix).ok().filter(|mode| *mode <= 0o7777);
    if mode.is_none() {
        field.problem(log, format!("{:?} is no permission: write 0440", scalar.text));
    }
    mode
}

/// A secret or config of the top level: where its bytes are.
pub fn origin(
    name: &str,
    field: &Field<'_>,
    kind: FileKind,
    context: &mut Context<'_>,
) -> Option<FileOrigin> {
    let environment = &context.environment;
    let log = &mut context.log;
    field.entries(log);
    field.known(log, if kind == FileKind::Secret { keys::SECRET } else { keys::CONFIG });
    let said_name = text(field, "name", log);
    if let Some(External(older)) = stack::external(field, log) {
        return Some(FileOrigin::External(older.or(said_name).unwrap_or_else(|| name.to_owned())));
    }
    let file = field.get("file").and_then(|field| Some((field.place(), field.filled(log)?)));
    let inline = field.get("content").and_then(|field| field.text(log));
    let variable = text(field, "environment", log);
    match (file, inline, variable) {
        (Some((place, file)), None, None) => {
            Some(FileOrigin::Path(crate::compose::load::absolute(log.base(place), &file)))
        }
        (None, Some(text), None) => Some(FileOrigin::Content(text)),
        (None, None, Some(variable)) => {
            if let Some(value) = environment.get(&variable) {
                return Some(FileOrigin::Content(value.clone()));
            }
            field.warn(log, format!("the variable {variable} is not set"));
            Some(FileOrigin::Variable(variable))
        }
        (None, None, None) => {
            field.problem(log, "this must say where its bytes are: file, environment, content or external");
            None
        }
        _ => {
            field.problem(log, "file, environment and content cannot be said together: keep one of them");
            None
        }
    }
}
