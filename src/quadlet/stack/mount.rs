//! What a container sees of files: named volumes, folders of the host, file systems in memory.

use std::collections::BTreeSet;
use std::path::Path;

use super::draft::Draft;
use super::{Context, container, names};
use crate::domain::stack::container::{Container, Namespace};
use crate::domain::stack::mount::{Mount, MountSource, Relabel, Tmpfs};

/// Words that only Docker on other systems than Linux reads.
const WITHOUT_MEANING: [&str; 4] = ["cached", "delegated", "consistent", "default"];

/// What Podman takes behind a folder of the host (measured on 5.4.2).
const BIND_OPTIONS: [&str; 22] = [
    "U",
    "O",
    "z",
    "Z",
    "copy",
    "nocopy",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "suid",
    "nosuid",
    "bind",
    "rbind",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "private",
    "rprivate",
    "unbindable",
    "runbindable",
];

/// What Podman takes behind a file system in memory, besides `size=` and `mode=`.
const TMPFS_OPTIONS: [&str; 17] = [
    "ro",
    "rw",
    "dev",
    "nodev",
    "exec",
    "noexec",
    "suid",
    "nosuid",
    "U",
    "tmpcopyup",
    "notmpcopyup",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
];

/// A folder or file of the host as a container sees it.
struct Bind<'a> {
    path: &'a Path,
    propagation: Option<&'a str>,
    relabel: Option<Relabel>,
    recursive: Option<&'a str>,
    options: &'a [String],
}

pub(super) fn write(draft: &mut Draft<'_>, context: &Context<'_>, of: &Container) {
    let mut missing = BTreeSet::new();
    for mount in &of.mounts {
        mounted(draft, context, of, mount);
        if let MountSource::Bind { path, create: true, .. } = &mount.source {
            // A socket is somebody's who runs: a folder in its place would only be in their way.
            if path.extension().is_none_or(|extension| extension != "sock") {
                missing.insert(path.to_string_lossy());
            }
        }
    }
    if !missing.is_empty() {
        // What is there already, be it a file, is left alone; it is Podman that says what else went wrong.
        let words = ["-p", "--"].into_iter().chain(missing.iter().map(AsRef::as_ref));
        draft.command("volumes", "ExecStartPre", "-/usr/bin/mkdir", words);
    }
    for tmpfs in &of.tmpfs {
        in_memory(draft, of, tmpfs, of.user.as_deref());
    }
    for other in &of.volumes_from {
        if let Some((name, service)) = container::peer(draft, context, "volumes_from", &other.from) {
            let mode = if other.read_only { ":ro" } else { "" };
            draft.podman("volumes_from", &format!("--volumes-from={name}{mode}"));
            if let Some(service) = service {
                draft.link("Requires", service);
                draft.link("After", service);
            }
        }
    }
    if of.read_only {
        draft.scalar("read_only", "ReadOnly", "true");
    }
    match (of.shm_size, &of.ipc) {
        (None, _) => {}
        (Some(_), Some(Namespace::Host | Namespace::None)) => {
            draft.note("shm_size", "it is left out: with this ipc there is no /dev/shm of its own");
        }
        (Some(bytes), _) => draft.scalar("shm_size", "ShmSize", &bytes.to_string()),
    }
    for (name, value) in &of.storage_opt {
        draft.podman("storage_opt", &format!("--storage-opt={name}={value}"));
    }
}

fn mounted(draft: &mut Draft<'_>, context: &Context<'_>, of: &Container, mount: &Mount) {
    let Mount { source, target, read_only } = mount;
    let target = match target.trim_end_matches('/') {
        "" => "/",
        target => target,
    };
    match source {
        MountSource::Volume { key, no_copy, subpath, relabel } => {
            let Some(name) = volume_name(draft, context, key) else { return };
            let mut options = vec![("ro", *read_only), ("nocopy", *no_copy)];
            options.extend(relabel.map(|relabel| (letter(relabel), true)));
            let options = options.into_iter().filter(|(_, is_set)| *is_set).map(|(word, _)| word.to_owned());
            let options: Vec<_> = options.collect();
            match subpath {
                None => short(draft, "volume", &name, target, &options),
                Some(subpath) => {
                    if *no_copy {
                        draft.note(
                            "volumes",
                            "with a folder of a volume, nocopy cannot be said; it is left out",
                        );
                    }
                    let fields = [format!("subpath={subpath}")];
                    long(draft, "volume", Some(&name), target, *read_only, &fields);
                }
            }
        }
        MountSource::Anonymous if *read_only => long(draft, "volume", None, target, true, &[]),
        MountSource::Anonymous => draft.option("volumes", "Volume", "--volume", target),
        MountSource::Bind { path, create: _, propagation, relabel, recursive, options } => {
            let (propagation, recursive) = (propagation.as_deref(), recursive.as_deref());
            let bind = Bind { path, propagation, relabel: *relabel, recursive, options };
            bound(draft, &bind, target, *read_only);
        }
        MountSource::Tmpfs { size, mode } => {
            let size = size.map(|bytes| format!("size={bytes}"));
            let mode = mode.map(|mode| format!("mode={mode:o}"));
            let read_only = read_only.then(|| "ro".to_owned());
            let options: Vec<_> = [size, mode, read_only].into_iter().flatten().collect();
            in_memory(draft, of, &Tmpfs { target: target.to_owned(), options }, None);
        }
        MountSource::Image { reference, subpath } => {
            let path = |path: &String| format!("subpath=/{}", path.trim_start_matches('/'));
            let subpath: Vec<_> = subpath.iter().map(path).collect();
            // Podman's image mounts cannot be written unless it is asked for, and Docker's never.
            long(draft, "image", Some(reference), target, false, &subpath);
        }
    }
}

fn bound(draft: &mut Draft<'_>, bind: &Bind<'_>, target: &str, read_only: bool) {
    let Bind { path, propagation, relabel, recursive, options } = bind;
    let source = path.to_string_lossy();
    if source.ends_with("/docker.sock") {
        draft.note(
            "volumes",
            format!("{source} is Docker's socket; Podman's is /run/podman/podman.sock, or %t/podman/podman.sock of a user"),
        );
    }
    let mut words: Vec<String> = Vec::new();
    words.extend(read_only.then(|| "ro".to_owned()));
    words.extend(relabel.map(|relabel| letter(relabel).to_owned()));
    words.extend(propagation.map(str::to_owned));
    for word in options.iter().filter(|word| !matches!(word.as_str(), "rw" | "ro")) {
        let is_known = BIND_OPTIONS.contains(&word.as_str()) || word.starts_with("idmap");
        if is_known && !words.contains(word) {
            words.push(word.clone());
        } else if !is_known && !WITHOUT_MEANING.contains(&word.as_str()) {
            draft.note("volumes", format!("Podman does not take {word} here; it is left out"));
        }
    }
    match *recursive {
        None | Some("enabled") => {}
        Some("disabled") => {
            let mut fields = vec!["bind-nonrecursive".to_owned()];
            fields.extend(propagation.map(str::to_owned));
            fields.extend(relabel.map(|relabel| letter(relabel).to_owned()));
            return long(draft, "bind", Some(&source), target, read_only, &fields);
        }
        Some(other) => {
            draft.note("volumes", format!("recursive: {other} cannot be said to Podman; it is left out"));
        }
    }
    short(draft, "bind", &source, target, &words);
}

/// `source:target:options`, or the long form where a colon or the ends of the text would be misread.
fn short(draft: &mut Draft<'_>, kind: &str, source: &str, target: &str, options: &[String]) {
    let unfit = |text: &str| text.contains([':', '"']) || text.trim() != text || text.ends_with('\\');
    if unfit(source) || unfit(target) || source.chars().chain(target.chars()).any(char::is_control) {
        let fields: Vec<_> = options.iter().filter(|word| *word != "ro").cloned().collect();
        return long(draft, kind, Some(source), target, options.iter().any(|word| word == "ro"), &fields);
    }
    let mut text = format!("{source}:{target}");
    if !options.is_empty() {
        text = format!("{text}:{}", options.join(","));
    }
    draft.option("volumes", "Volume", "--volume", &text);
}

/// `type=…,source=…`: fields of CSV.
fn long(
    draft: &mut Draft<'_>,
    kind: &str,
    source: Option<&str>,
    target: &str,
    read_only: bool,
    more: &[String],
) {
    let mut fields = vec![format!("type={kind}")];
    fields.extend(source.map(|source| format!("source={source}")));
    fields.push(format!("destination={target}"));
    fields.extend(read_only.then(|| "ro=true".to_owned()));
    fields.extend(more.iter().map(|field| if kind == "bind" { of_bind(field) } else { field.clone() }));
    let fields: Vec<_> = fields.iter().map(|field| csv(field)).collect();
    match source {
        Some(_) => draft.words("volumes", "Mount", [fields.join(",").as_str()]),
        // Quadlet's generator ends at once when such a mount has no source.
        None => draft.podman("volumes", &format!("--mount={}", fields.join(","))),
    }
}

/// A word of the short form as a field of the long one.
fn of_bind(word: &str) -> String {
    match word {
        "z" => "relabel=shared".to_owned(),
        "Z" => "relabel=private".to_owned(),
        "shared" | "rshared" | "slave" | "rslave" | "private" | "rprivate" => {
            format!("bind-propagation={word}")
        }
        other => other.to_owned(),
    }
}

fn csv(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

fn in_memory(draft: &mut Draft<'_>, of: &Container, tmpfs: &Tmpfs, user: Option<&str>) {
    let Tmpfs { target, options } = tmpfs;
    let mut words: Vec<&str> = Vec::new();
    let own = user.map(|user| user.split(':').next().unwrap_or(user));
    for option in options {
        match option.split_once('=') {
            Some(("size" | "mode", _)) => words.push(option),
            None if TMPFS_OPTIONS.contains(&option.as_str()) => words.push(option),
            Some(("uid" | "gid", "0")) => {}
            // Podman can only give it to the user of the container.
            Some(("uid", uid)) if own == Some(uid) => words.push("U"),
            _ => draft.note("tmpfs", format!("Podman does not take {option} for {target}; it is left out")),
        }
    }
    if lies_in_a_mount(of, target) && !words.iter().any(|word| word.ends_with("tmpcopyup")) {
        // Podman would fill it with what it is there to hide.
        words.push("notmpcopyup");
    }
    let text = if words.is_empty() { target.clone() } else { format!("{target}:{}", words.join(",")) };
    draft.option("tmpfs", "Tmpfs", "--tmpfs", &text);
}

/// Whether it covers a part of a folder or volume that the container sees.
fn lies_in_a_mount(of: &Container, target: &str) -> bool {
    let covers = |mount: &Mount| {
        !matches!(mount.source, MountSource::Tmpfs { .. })
            && Path::new(target) != Path::new(&mount.target)
            && Path::new(target).starts_with(&mount.target)
    };
    of.mounts.iter().any(covers)
}

/// What `Volume=` calls a volume of the stack.
fn volume_name(draft: &mut Draft<'_>, context: &Context<'_>, key: &str) -> Option<String> {
    let Some(volume) = context.stack.volumes.get(key) else {
        draft.refuse("volumes", format!("the volume {key} is not declared"));
        return None;
    };
    match context.names.volumes.get(key) {
        Some(called) => Some(called.file.clone()),
        None if names::ends(&volume.name, [".volume", ".image"]) => {
            draft.refuse(
                "volumes",
                format!("Quadlet takes {} for a unit; give the volume another name", volume.name),
            );
            None
        }
        None => Some(volume.name.clone()),
    }
}

fn letter(relabel: Relabel) -> &'static str {
    match relabel {
        Relabel::Shared => "z",
        Relabel::Private => "Z",
    }
}
