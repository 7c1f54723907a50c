//! How the image of a service is built.

use std::collections::BTreeMap;
use std::path::Path;

use super::network::extra_hosts;
use super::resources::ulimits;
use super::{Context, boolean, grant, text};
use crate::compose::field::Field;
use crate::compose::keys;
use crate::compose::load::{absolute, at_home};
use crate::compose::log::Log;
use crate::domain::stack::container::Build;
use crate::domain::stack::mount::FileKind;

pub fn read(field: &Field<'_>, context: &mut Context<'_>) -> Build {
    let home = context.home.clone();
    let home = home.as_deref();
    if field.scalar().is_some() {
        let log = &mut context.log;
        let context = field.text(log).unwrap_or_default();
        return Build { context: folder(&context, log.base(field.place()), home), ..Build::default() };
    }
    field.entries(&mut context.log);
    field.known(&mut context.log, keys::BUILD);
    let secrets = field
        .get("secrets")
        .map(|field| grant::grants(&field, FileKind::Secret, context))
        .unwrap_or_default();
    let args = field.get("args").map(|field| arguments(&field, context)).unwrap_or_default();
    let log = &mut context.log;
    let (context, is_local) =
        match field.get("context").and_then(|field| Some((field.place(), field.filled(log)?))) {
            Some((place, context)) => (folder(&context, log.base(place), home), !is_elsewhere(&context)),
            None => (folder(".", log.base(field.place()), home), true),
        };
    let dockerfile = text(field, "dockerfile", log);
    let dockerfile_inline = text(field, "dockerfile_inline", log);
    if dockerfile.is_some() && dockerfile_inline.is_some() {
        field.problem(log, "dockerfile and dockerfile_inline cannot both be said: remove one of them");
    }
    let dockerfile = dockerfile
        .map(|file| if is_local { absolute(Path::new(&context), &file).display().to_string() } else { file });
    let pairs =
        |key: &str, log: &mut Log| field.get(key).map(|field| field.filled_pairs(log)).unwrap_or_default();
    let texts = |key: &str, log: &mut Log| field.get(key).map(|field| field.texts(log)).unwrap_or_default();
    Build {
        context,
        dockerfile,
        dockerfile_inline,
        args,
        target: text(field, "target", log),
        labels: pairs("labels", log),
        tags: texts("tags", log).iter().map(|tag| super::qualify(tag)).collect(),
        additional_contexts: field
            .get("additional_contexts")
            .map(|field| contexts(&field, log, home))
            .unwrap_or_default(),
        cache_from: texts("cache_from", log),
        cache_to: texts("cache_to", log),
        extra_hosts: field.get("extra_hosts").map(|field| extra_hosts(&field, log)).unwrap_or_default(),
        network: text(field, "network", log),
        secrets,
        ssh: field.get("ssh").map(|field| ssh(&field, log)).unwrap_or_default(),
        shm_size: field.get("shm_size").and_then(|field| field.bytes(log)),
        ulimits: field.get("ulimits").map(|field| ulimits(&field, log)).unwrap_or_default(),
        platforms: texts("platforms", log),
        pull: boolean(field, "pull", log),
        no_cache: boolean(field, "no_cache", log),
        privileged: boolean(field, "privileged", log),
    }
}

/// Arguments; those without a value take the reader's variable, or go.
fn arguments(field: &Field<'_>, context: &mut Context<'_>) -> BTreeMap<String, Option<String>> {
    let mut args = field.pairs(&mut context.log);
    args.retain(|name, value| {
        if value.is_none() {
            *value = context.environment.get(name).cloned();
        }
        if value.is_none() {
            field.warn(
                &mut context.log,
                format!("the variable {name} is not set: the build goes by what its file says"),
            );
        }
        value.is_some()
    });
    args
}

fn contexts(field: &Field<'_>, log: &mut Log, home: Option<&Path>) -> BTreeMap<String, String> {
    let base = log.base(field.place()).to_path_buf();
    let pairs = field.filled_pairs(log);
    let resolve =
        |value: String| if value.starts_with("service:") { value } else { folder(&value, &base, home) };
    pairs.into_iter().map(|(name, value)| (name, resolve(value))).collect()
}

fn ssh(field: &Field<'_>, log: &mut Log) -> Vec<String> {
    if let Some(scalar) = field.scalar() {
        return vec![scalar.text.clone()];
    }
    let pairs = field.pairs(log);
    let spell = |(id, path): (String, Option<String>)| path.map_or(id.clone(), |path| format!("{id}={path}"));
    pairs.into_iter().map(spell).collect()
}

/// A folder of this host by its absolute path, and anything else as it stands.
/// An address stays as it is.
fn folder(context: &str, base: &Path, home: Option<&Path>) -> String {
    if is_elsewhere(context) {
        return context.to_owned();
    }
    at_home(home, base, context).display().to_string()
}

fn is_elsewhere(context: &str) -> bool {
    context.contains("://") || context.starts_with("git@") || context.starts_with("github.com/")
}
