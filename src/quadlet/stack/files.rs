//! Secrets and configs: files of the host, text that is written beside the units, or secrets that Podman holds.

use std::collections::BTreeMap;

use super::draft::{Draft, Notes};
use super::{Context, WrittenFile};
use crate::domain::stack::container::Container;
use crate::domain::stack::mount::{FileKind, FileOrigin, GrantedFile};

/// What a container may do with such a file where nothing is said: anybody in it may read it. The folder that they
/// lie in keeps it from others on the host.
const MODE: u32 = 0o444;

/// Endings by which Podman's generator would take a file for a unit.
const UNITS: [&str; 9] =
    ["container", "volume", "network", "kube", "image", "build", "pod", "quadlets", "artifact"];

/// Gives a container its files.
pub(super) fn grant(draft: &mut Draft<'_>, context: &Context<'_>, container: &Container) {
    for file in &container.files {
        let of = key(file);
        match &file.origin {
            FileOrigin::Path(path) => {
                if file.uid.is_some() || file.gid.is_some() || file.mode.is_some() {
                    draft.note(&of, "uid, gid and mode are left out, as with Docker: the file keeps its own");
                }
                mounted(draft, &of, &path.to_string_lossy(), file);
            }
            FileOrigin::Content(_) => {
                if file.uid.is_some() || file.gid.is_some() {
                    draft.note(&of, "uid and gid are left out: the file belongs to root of the container");
                }
                mounted(draft, &of, &format!("./{}", name(context, container, file)), file);
            }
            FileOrigin::External(name) => secret(draft, &of, name, file),
            FileOrigin::Variable(variable) => {
                let name = format!("{}_{}", context.stack.name, file.key);
                draft.note(
                    &of,
                    format!(
                        "{variable} is not set; before the start, make the secret of Podman that holds it: \
                         printf %s \"${variable}\" | podman secret create {name} -"
                    ),
                );
                secret(draft, &of, &name, file);
            }
        }
    }
}

/// The files that are written beside the units.
pub(super) fn contents(context: &Context<'_>, notes: &mut Notes) -> BTreeMap<String, WrittenFile> {
    let mut files = BTreeMap::new();
    for container in context.stack.containers.values().filter(|container| container.replicas > 0) {
        for file in &container.files {
            if let FileOrigin::Content(text) = &file.origin {
                let written = WrittenFile { text: text.clone(), mode: file.mode.unwrap_or(MODE) & 0o777 };
                let before = files.insert(name(context, container, file), written.clone());
                if before.is_some_and(|before| before != written) {
                    let key = format!("services.{}.{}", container.service, key(file));
                    notes.refuse(key, "another file would be written under the same name");
                }
            }
        }
    }
    files
}

fn mounted(draft: &mut Draft<'_>, of: &str, source: &str, file: &GrantedFile) {
    let target = &file.target;
    if source.contains(':') || target.contains(':') {
        let fields = format!("type=bind,source={source},destination={target},ro=true");
        if source.contains([',', '"']) || target.contains([',', '"']) {
            draft.refuse(of, "a path with both a colon and a comma or quote cannot be said");
        }
        draft.words(of, "Mount", [fields.as_str()]);
    } else {
        draft.option(of, "Volume", "--volume", &format!("{source}:{target}:ro"));
    }
}

fn secret(draft: &mut Draft<'_>, of: &str, name: &str, file: &GrantedFile) {
    let mut fields = vec![name.to_owned(), "type=mount".to_owned(), format!("target={}", file.target)];
    fields.extend(file.uid.iter().map(|uid| format!("uid={uid}")));
    fields.extend(file.gid.iter().map(|gid| format!("gid={gid}")));
    fields.extend(file.mode.map(|mode| format!("mode={mode:04o}")));
    if fields.iter().any(|field| field.contains(',')) {
        draft.refuse(of, "a comma in a name or path of a secret cannot be said to Podman");
    }
    draft.words(of, "Secret", [fields.join(",").as_str()]);
}

/// Where its text is written: the same for all containers that want it with the same permissions.
fn name(context: &Context<'_>, container: &Container, file: &GrantedFile) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let key: String = file.key.chars().map(fit).collect();
    let own = match file.mode {
        None => String::new(),
        Some(mode) => format!("{}-{mode:04o}-", container.service),
    };
    let is_unit = key.rsplit_once('.').is_some_and(|(_, ending)| UNITS.contains(&ending));
    let end = if is_unit { "_" } else { "" };
    format!("{}-files/{}-{own}{key}{end}", context.naming.prefix, kind(file.kind))
}

fn key(file: &GrantedFile) -> String {
    format!("{}s.{}", kind(file.kind), file.key)
}

fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Secret => "secret",
        FileKind::Config => "config",
    }
}
