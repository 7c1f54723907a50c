//! What runs in a container: command, user, terminal, log, and the hooks around it.

use super::{Context, boolean, text};
use crate::compose::field::Field;
use crate::compose::log::Log;
use crate::compose::{keys, words};
use crate::domain::stack::container::{Container, Logging};
use crate::domain::stack::start::Hook;

pub fn read(field: &Field<'_>, container: &mut Container, context: &mut Context<'_>) {
    let log = &mut context.log;
    container.entrypoint = command(field, "entrypoint", log);
    container.command = command(field, "command", log);
    container.user = text(field, "user", log);
    container.groups = field.get("group_add").map(|field| field.texts(log)).unwrap_or_default();
    container.working_dir = text(field, "working_dir", log);
    container.tty = boolean(field, "tty", log);
    container.stdin_open = boolean(field, "stdin_open", log);
    container.init = boolean(field, "init", log);
    container.hostname = text(field, "hostname", log);
    container.domainname = text(field, "domainname", log);
    container.read_only = boolean(field, "read_only", log);
    container.logging = field.get("logging").map(|field| logging(&field, log));
    container.post_start = hooks(field, "post_start", context);
    container.pre_stop = hooks(field, "pre_stop", context);
}

/// A command as words; an empty one clears what the image says.
fn command(field: &Field<'_>, key: &str, log: &mut Log) -> Option<Vec<String>> {
    let field = field.get(key)?;
    let Some(scalar) = field.scalar() else { return Some(field.words(log)) };
    match words::split(&scalar.text) {
        Ok(words::Words { words, cut }) => {
            if cut {
                let message = "docker compose parts this line without a shell and ends it at the first ;, &, |, < or > without quotes: to mean a shell, write sh -c '…'";
                field.warn(log, message);
            }
            Some(words)
        }
        Err(message) => {
            field.problem(log, message);
            None
        }
    }
}

fn logging(field: &Field<'_>, log: &mut Log) -> Logging {
    field.entries(log);
    field.known(log, keys::LOGGING);
    let options = field.get("options").map(|field| field.filled_pairs(log)).unwrap_or_default();
    Logging { driver: text(field, "driver", log), options }
}

fn hooks(field: &Field<'_>, key: &str, context: &mut Context<'_>) -> Vec<Hook> {
    let Some(field) = field.get(key) else { return Vec::new() };
    let items = field.items(&mut context.log);
    items.iter().map(|item| hook(item, context)).collect()
}

fn hook(item: &Field<'_>, context: &mut Context<'_>) -> Hook {
    item.entries(&mut context.log);
    item.known(&mut context.log, keys::HOOK);
    let variables = item.get("environment").map(|field| field.pairs(&mut context.log)).unwrap_or_default();
    let known = &context.environment;
    let environment = variables.into_iter().filter_map(|(name, value)| {
        let value = value.or_else(|| known.get(&name).cloned())?;
        Some((name, value))
    });
    let environment = environment.collect();
    let log = &mut context.log;
    let command = command(item, "command", log).unwrap_or_default();
    if command.is_empty() {
        item.problem(log, "this must say what is run: command: […]");
    }
    Hook {
        command,
        user: text(item, "user", log),
        working_dir: text(item, "working_dir", log),
        environment,
        privileged: boolean(item, "privileged", log),
    }
}
