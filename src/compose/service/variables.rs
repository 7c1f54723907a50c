//! The variables, labels and annotations of a container, with the files that they come from.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use super::Context;
use crate::compose::dotenv::{self, Read};
use crate::compose::field::Field;
use crate::compose::keys;
use crate::compose::load::absolute;
use crate::compose::node::Place;
use crate::domain::stack::container::Container;

pub fn read(field: &Field<'_>, container: &mut Container, context: &mut Context<'_>) {
    container.labels = labels(field, context);
    container.annotations =
        field.get("annotations").map(|field| field.filled_pairs(&mut context.log)).unwrap_or_default();
    environment(field, container, context);
}

fn labels(field: &Field<'_>, context: &mut Context<'_>) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    if let Some(field) = field.get("label_file") {
        for item in field.one_or_many() {
            let Some(path) = item.filled(&mut context.log) else { continue };
            let path = absolute(context.log.base(item.place()), &path);
            match context.text_of(&path) {
                Ok(text) => {
                    labels.extend(parse(&text, &path, &BTreeMap::new(), BTreeMap::new(), false, context));
                }
                Err(error) => item.problem(
                    &mut context.log,
                    format!("the file {} cannot be read: {error}", path.display()),
                ),
            }
        }
    }
    if let Some(field) = field.get("labels") {
        labels.extend(field.filled_pairs(&mut context.log));
    }
    labels
}

/// Variables: the file's own over those of env files; without a value they take the reader's.
fn environment(field: &Field<'_>, container: &mut Container, context: &mut Context<'_>) {
    let mut own: BTreeMap<String, String> = BTreeMap::new();
    let mut unset = Vec::new();
    if let Some(field) = field.get("environment") {
        for (name, value) in field.pairs(&mut context.log) {
            if name.is_empty() && value.is_none() {
                field.warn(&mut context.log, "an empty item names no variable, and is left out");
                continue;
            }
            if name.is_empty() || name.contains(['=', '\0']) {
                field.problem(&mut context.log, format!("{name:?} cannot be the name of a variable"));
                continue;
            }
            match value.or_else(|| context.environment.get(&name).cloned()) {
                Some(value) => {
                    own.insert(name, value);
                }
                None => unset.push(name),
            }
        }
    }
    let mut all = BTreeMap::new();
    if let Some(field) = field.get("env_file") {
        for item in field.one_or_many() {
            env_file(&item, &own, &mut all, container, context);
        }
    }
    all.extend(own);
    for name in &unset {
        all.remove(name);
    }
    container.environment = all;
    container.passed_through = unset;
}

fn env_file(
    item: &Field<'_>,
    own: &BTreeMap<String, String>,
    all: &mut BTreeMap<String, String>,
    container: &mut Container,
    context: &mut Context<'_>,
) {
    let log = &mut context.log;
    let mut required = true;
    let mut raw = false;
    let path = if item.is_map() {
        item.known(log, keys::ENV_FILE);
        required = item.get("required").and_then(|field| field.boolean(log)).unwrap_or(true);
        let format = item.get("format").and_then(|field| Some((field.clone(), field.filled(log)?)));
        match format {
            None => {}
            Some((_, format)) if format == "raw" => raw = true,
            Some((field, format)) => {
                field.problem(log, format!("{format:?} is no format of env files: write raw, or nothing"));
            }
        }
        item.get("path").and_then(|field| field.filled(log))
    } else {
        item.filled(log)
    };
    let Some(path) = path else {
        item.problem(log, "this must name a file");
        return;
    };
    let path = absolute(log.base(item.place()), &path);
    match context.text_of(&path) {
        Ok(text) => {
            let above = std::mem::take(all);
            *all = parse(&text, &path, own, above, raw, context);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            if required {
                let message = format!(
                    "there is no file {} to be read now: the unit reads it when the container starts",
                    path.display()
                );
                item.warn(&mut context.log, message);
                container.env_files.push(path);
            }
        }
        Err(error) => {
            item.problem(&mut context.log, format!("the file {} cannot be read: {error}", path.display()));
        }
    }
}

/// The variables of a file, added to those of the files above it.
fn parse(
    text: &str,
    path: &Path,
    own: &BTreeMap<String, String>,
    above: BTreeMap<String, String>,
    raw: bool,
    context: &mut Context<'_>,
) -> BTreeMap<String, String> {
    let known = &context.environment;
    let lookup = |name: &str| known.get(name).or_else(|| own.get(name)).cloned();
    let read = Read { values: above, ..Read::default() };
    let read = if raw { dotenv::parse_raw(text, &lookup, read) } else { dotenv::parse(text, &lookup, read) };
    let base = path.parent().unwrap_or(Path::new("/")).to_path_buf();
    let held = read.as_ref().map_or(0, |read| read.values.values().map(String::len).sum());
    if let Err(error) = context.hold(held) {
        let source = context.log.add_source(path.to_path_buf(), base);
        context.log.problem(Place { source, line: 0, column: 0 }, "", error.to_string());
        return BTreeMap::new();
    }
    match read {
        Ok(read) => {
            for name in read.unset {
                let source = context.log.add_source(path.to_path_buf(), base.clone());
                let place = Place { source, line: 0, column: 0 };
                context.log.warn(place, "", format!("the variable {name} is not set, and counts as empty"));
            }
            read.values
        }
        Err((line, message)) => {
            let source = context.log.add_source(path.to_path_buf(), base);
            context.log.problem(Place { source, line, column: 1 }, "", message);
            BTreeMap::new()
        }
    }
}
