//! What a container sees of files: `volumes`, `tmpfs` and `volumes_from`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Context, boolean, qualify, text};
use crate::compose::field::Field;
use crate::compose::keys;
use crate::compose::load::absolute;
use crate::compose::log::Log;
use crate::domain::stack::container::{Container, Peer, VolumesFrom};
use crate::domain::stack::mount::{Mount, MountSource, Relabel, Tmpfs};

const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

pub fn read(field: &Field<'_>, container: &mut Container, context: &mut Context<'_>) {
    let mut mounts: Vec<Mount> = Vec::new();
    // Of two mounts at one path the later one stands, where the first stood.
    let mut at: BTreeMap<String, usize> = BTreeMap::new();
    for item in field.get("volumes").map(|field| field.items(&mut context.log)).unwrap_or_default() {
        let mount = if item.is_map() { long(&item, context) } else { short(&item, context) };
        let Some(mut mount) = mount.filter(|mount| is_mountable(mount, &item, context)) else { continue };
        mount.target = absolute(Path::new("/"), &mount.target).display().to_string();
        if let Some(earlier) = at.get(&mount.target).and_then(|at| mounts.get_mut(*at)) {
            *earlier = mount;
            continue;
        }
        at.insert(mount.target.clone(), mounts.len());
        mounts.push(mount);
    }
    container.mounts = mounts;
    container.tmpfs = field.get("tmpfs").map(|field| tmpfs(&field, &mut context.log)).unwrap_or_default();
    container.volumes_from =
        field.get("volumes_from").map(|field| volumes_from(&field, context)).unwrap_or_default();
}

fn is_mountable(mount: &Mount, item: &Field<'_>, context: &mut Context<'_>) -> bool {
    if !mount.target.starts_with('/') {
        let drive = if is_windows(&mount.target) {
            ", for docker compose takes a single letter for a drive"
        } else {
            ""
        };
        let message = format!("{:?} is no absolute path in the container{drive}", mount.target);
        item.problem(&mut context.log, message);
        return false;
    }
    if let MountSource::Volume { key, .. } = &mount.source
        && !context.volumes.contains(key)
    {
        let message = format!(
            "no volume {key:?} is declared: add it under volumes: at the top level, or write ./{key} for a folder"
        );
        item.problem(&mut context.log, message);
        return false;
    }
    true
}

/// `[SOURCE:]TARGET[:OPTIONS]`
fn short(item: &Field<'_>, context: &mut Context<'_>) -> Option<Mount> {
    let text = item.text(&mut context.log)?;
    let parts = parts(&text);
    if parts.iter().any(|part| part.is_empty()) {
        item.problem(
            &mut context.log,
            format!(
                "{text:?} has an empty part: write SOURCE:TARGET, and look for a variable that is not set"
            ),
        );
        return None;
    }
    match parts.as_slice() {
        [target] => {
            Some(Mount { source: MountSource::Anonymous, target: (*target).to_owned(), read_only: false })
        }
        [source, target] => short_of(item, source, target, "", context),
        [source, target, options] => short_of(item, source, target, options, context),
        _ => {
            item.problem(
                &mut context.log,
                format!("{text:?} has too many colons: write SOURCE:TARGET:OPTIONS, or the long form"),
            );
            None
        }
    }
}

/// Parts at the colons, but for that of a drive: `C:\`.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest
        .match_indices(':')
        .map(|(at, _)| at)
        .find(|at| !(*at == 1 && rest.starts_with(char::is_alphabetic) && rest.len() > 2))
    {
        let (part, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        parts.push(part);
        rest = after.strip_prefix(':').unwrap_or(after);
    }
    parts.push(rest);
    parts
}

fn short_of(
    item: &Field<'_>,
    source: &str,
    target: &str,
    options: &str,
    context: &mut Context<'_>,
) -> Option<Mount> {
    let mut said = Options::default();
    let mut read_only = false;
    for word in options.split(',').filter(|word| !word.is_empty()) {
        match word {
            "ro" => read_only = true,
            "rw" => read_only = false,
            "nocopy" => said.no_copy = true,
            "z" => said.relabel = Some(Relabel::Shared),
            "Z" => said.relabel = Some(Relabel::Private),
            _ if PROPAGATIONS.contains(&word) => said.propagation = Some(word.to_owned()),
            "cached" | "delegated" | "consistent" => {
                item.warn(&mut context.log, format!("{word} has a meaning on macOS alone"));
            }
            _ => item.warn(
                &mut context.log,
                format!("docker compose passes over the option {word:?}, and so it is left out"),
            ),
        }
    }
    let source = if is_path(source) {
        bind(item, source, true, said, context)?
    } else {
        MountSource::Volume {
            key: source.to_owned(),
            no_copy: said.no_copy,
            subpath: None,
            relabel: said.relabel,
        }
    };
    Some(Mount { source, target: target.to_owned(), read_only })
}

/// What the options of a mount say.
#[derive(Default)]
struct Options {
    no_copy: bool,
    relabel: Option<Relabel>,
    propagation: Option<String>,
    recursive: Option<String>,
}

fn is_path(source: &str) -> bool {
    source.starts_with(['.', '/', '~', '\\']) || is_windows(source)
}

fn is_windows(source: &str) -> bool {
    let mut chars = source.chars();
    source.starts_with("\\\\") || (chars.next().is_some_and(char::is_alphabetic) && chars.next() == Some(':'))
}

fn bind(
    item: &Field<'_>,
    source: &str,
    create: bool,
    options: Options,
    context: &mut Context<'_>,
) -> Option<MountSource> {
    if is_windows(source) {
        item.problem(&mut context.log, format!("{source:?} is a path of Windows: write one of this host"));
        return None;
    }
    let path = host_path(item, source, context)?;
    let Options { no_copy: _, relabel, propagation, recursive } = options;
    Some(MountSource::Bind { path, create, propagation, relabel, recursive, options: Vec::new() })
}

/// An absolute path of this host: `~` is the reader's home, and relative ones are relative to the file's folder.
fn host_path(item: &Field<'_>, source: &str, context: &mut Context<'_>) -> Option<PathBuf> {
    let is_plain = source.starts_with('/') && !source.split('/').any(|part| matches!(part, "." | ".."));
    if is_plain {
        return Some(PathBuf::from(source));
    }
    let Some(below) = source.strip_prefix('~').filter(|below| below.is_empty() || below.starts_with('/'))
    else {
        return Some(absolute(context.log.base(item.place()), source));
    };
    let Some(home) = &context.home else {
        item.problem(&mut context.log, "nothing tells where ~ is: set HOME, or write the whole path");
        return None;
    };
    Some(absolute(home, below.trim_start_matches('/')))
}

fn long(item: &Field<'_>, context: &mut Context<'_>) -> Option<Mount> {
    let log = &mut context.log;
    item.known(log, keys::MOUNT);
    for (key, table) in [
        ("bind", keys::MOUNT_BIND),
        ("volume", keys::MOUNT_VOLUME),
        ("tmpfs", keys::MOUNT_TMPFS),
        ("image", keys::MOUNT_IMAGE),
    ] {
        if let Some(field) = item.get(key) {
            field.entries(log);
            field.known(log, table);
        }
    }
    let read_only = boolean(item, "read_only", log);
    let Some(target) = text(item, "target", log) else {
        item.problem(log, "this must say where it is seen: target: /PATH");
        return None;
    };
    let source = text(item, "source", log);
    let source = match text(item, "type", log).as_deref() {
        Some("bind") => {
            let Some(source) = source else {
                item.problem(log, "this must say what is mounted: source: PATH");
                return None;
            };
            long_bind(item, &source, context)?
        }
        Some("volume") => long_volume(item, source, log),
        Some("tmpfs") => {
            let tmpfs = item.get("tmpfs");
            let size = tmpfs.as_ref().and_then(|field| field.get("size")).and_then(|field| field.bytes(log));
            let mode = tmpfs.and_then(|field| field.get("mode")).and_then(|field| field.unsigned(log));
            MountSource::Tmpfs {
                size: size.filter(|size| *size > 0),
                mode: mode.and_then(|mode| u32::try_from(mode).ok()),
            }
        }
        Some("image") => {
            let Some(source) = source else {
                item.problem(log, "this must say which image is mounted: source: IMAGE");
                return None;
            };
            let subpath = item.get("image").and_then(|field| text(&field, "subpath", log));
            MountSource::Image { reference: qualify(&source), subpath }
        }
        Some("npipe" | "cluster") => {
            item.problem(log, "pipes of Windows and volumes of clusters cannot be had here");
            return None;
        }
        Some(_) | None => {
            item.problem(log, "type must be one of bind, volume, tmpfs and image");
            return None;
        }
    };
    Some(Mount { source, target, read_only })
}

fn long_bind(item: &Field<'_>, source: &str, context: &mut Context<'_>) -> Option<MountSource> {
    let log = &mut context.log;
    let said = item.get("bind");
    let create =
        said.as_ref().and_then(|field| field.get("create_host_path")).and_then(|field| field.boolean(log));
    let mut options = Options::default();
    if let Some(said) = &said {
        options.propagation = text(said, "propagation", log);
        options.recursive = text(said, "recursive", log).filter(|recursive| recursive != "enabled");
        options.relabel = match text(said, "selinux", log).as_deref() {
            Some("z") => Some(Relabel::Shared),
            Some("Z") => Some(Relabel::Private),
            Some(_) | None => None,
        };
    }
    bind(item, source, create.unwrap_or(true), options, context)
}

fn long_volume(item: &Field<'_>, source: Option<String>, log: &mut Log) -> MountSource {
    let said = item.get("volume");
    let no_copy = said.as_ref().is_some_and(|said| boolean(said, "nocopy", log));
    let subpath = said.and_then(|said| text(&said, "subpath", log));
    match source {
        Some(key) => MountSource::Volume { key, no_copy, subpath, relabel: None },
        None => MountSource::Anonymous,
    }
}

fn tmpfs(field: &Field<'_>, log: &mut Log) -> Vec<Tmpfs> {
    let mut all: BTreeMap<String, Tmpfs> = BTreeMap::new();
    for item in field.one_or_many() {
        let Some(text) = item.filled(log) else { continue };
        let (target, options) = text.split_once(':').unwrap_or((&text, ""));
        if !target.starts_with('/') {
            item.problem(log, format!("{target:?} is no absolute path in the container"));
            continue;
        }
        let options = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
        all.insert(target.to_owned(), Tmpfs { target: target.to_owned(), options });
    }
    all.into_values().collect()
}

fn volumes_from(field: &Field<'_>, context: &mut Context<'_>) -> Vec<VolumesFrom> {
    let mut all = Vec::new();
    for item in field.items(&mut context.log) {
        let Some(text) = item.filled(&mut context.log) else { continue };
        let (container, rest) = match text.strip_prefix("container:") {
            Some(rest) => (true, rest),
            None => (false, text.as_str()),
        };
        let (name, mode) = rest.split_once(':').unwrap_or((rest, "rw"));
        if !matches!(mode, "ro" | "rw") {
            item.problem(&mut context.log, format!("{mode:?} is neither ro nor rw"));
        }
        let name = name.to_owned();
        let from = if container { Peer::Container(name) } else { Peer::Service(name) };
        all.push(VolumesFrom { from, read_only: mode == "ro" });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn colons() {
        for (text, expect) in [
            ("/a", vec!["/a"]),
            ("ab:/b", vec!["ab", "/b"]),
            // As docker compose has it: a single letter is a drive.
            ("a:/b", vec!["a:/b"]),
            ("./a:/b:ro", vec!["./a", "/b", "ro"]),
            ("C:\\a:/b", vec!["C:\\a", "/b"]),
            ("ab:", vec!["ab", ""]),
            (":/b", vec!["", "/b"]),
            ("xx:/y:ro:z", vec!["xx", "/y", "ro", "z"]),
        ] {
            assert_eq!(parts(text), expect, "{text:?}");
        }
    }
}
