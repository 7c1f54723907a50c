//! An image of a stack that is built.

use super::super::unit::{Section, Unit};
use super::draft::{Draft, Notes};
use super::{Context, REMARK_END};
use crate::domain::stack::container::{Build, Container, ImageSource};
use crate::domain::stack::mount::{FileOrigin, GrantedFile};

/// The unit of an image that a service is built from.
pub(super) fn unit(context: &Context<'_>, container: &Container, build: &Build, notes: &mut Notes) -> Unit {
    let service = &container.service;
    let mut draft = Draft::new(Section::Build, format!("services.{service}.build"), notes);
    draft.remark(&format!("The image of the service {service} of {}{REMARK_END}", context.naming.origin));
    names(&mut draft, context, container, build);
    source(&mut draft, build);
    options(&mut draft, context, build);
    shared(&mut draft, build);
    // Built once, and anew when somebody restarts it: not at each start of a container.
    draft.own(Section::Service, "RemainAfterExit", "yes");
    draft.finish()
}

fn names(draft: &mut Draft<'_>, context: &Context<'_>, container: &Container, build: &Build) {
    draft.scalar("tags", "ImageTag", &image_of(context, container));
    for tag in &build.tags {
        draft.scalar("tags", "ImageTag", tag);
    }
    // Of those that build the same image, the others follow the first, whose layers they find.
    let first = context.stack.builder_of(&image_of(context, container));
    let first = first.filter(|first| *first != container.service);
    if let Some(called) = first.and_then(|first| context.names.builds.get(first)) {
        draft.link("After", &called.service);
    }
    if let Some(name) = context.names.builds.get(&container.service).and_then(|called| called.told.as_ref()) {
        draft.scalar("", "ServiceName", name);
    }
}

/// What the image is called; references know no capitals.
fn image_of(context: &Context<'_>, container: &Container) -> String {
    match &container.image {
        ImageSource::Build { reference: Some(reference), .. } => reference.clone(),
        ImageSource::Build { reference: None, .. } | ImageSource::Reference(_) => {
            format!("localhost/{}-{}:latest", context.naming.prefix, container.service).to_lowercase()
        }
    }
}

fn source(draft: &mut Draft<'_>, build: &Build) {
    draft.scalar("context", "SetWorkingDirectory", &build.context);
    match (&build.dockerfile_inline, &build.dockerfile) {
        (Some(text), _) => {
            draft.scalar("dockerfile_inline", "File", "-");
            draft.own(Section::Service, "StandardInput", "data");
            for line in standard_input(text) {
                draft.own(Section::Service, "StandardInputText", &line);
            }
        }
        (None, Some(file)) => draft.scalar("dockerfile", "File", file),
        (None, None) => {}
    }
    if let Some(target) = build.target.as_ref().filter(|target| !target.is_empty()) {
        draft.scalar("target", "Target", target);
    }
}

/// Text as systemd hands it to a process: it ends each piece with a line break, and reads escapes and specifiers.
fn standard_input(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut above = String::new();
    for line in text.lines() {
        if line.is_empty() {
            above.push_str("\\n");
            continue;
        }
        let mut piece = std::mem::take(&mut above);
        let last = line.chars().count() - 1;
        for (index, c) in line.chars().enumerate() {
            match c {
                // At either end a blank would be cut, and a backslash would join the next line.
                ' ' if index == 0 || index == last => piece.push_str("\\x20"),
                '\\' if index == last => piece.push_str("\\x5c"),
                '\\' => piece.push_str("\\\\"),
                '%' => piece.push_str("%%"),
                '\t' => piece.push_str("\\t"),
                '\r' => {}
                c => piece.push(c),
            }
        }
        pieces.push(piece);
    }
    pieces
}

fn options(draft: &mut Draft<'_>, context: &Context<'_>, build: &Build) {
    for (name, value) in &build.args {
        let argument = match value {
            Some(value) => format!("--build-arg={name}={value}"),
            None => format!("--build-arg={name}"),
        };
        draft.podman("args", &argument);
    }
    for (name, value) in &build.labels {
        draft.pair("labels", "Label", name, value);
    }
    if build.pull {
        draft.scalar("pull", "Pull", "always");
    }
    if build.no_cache {
        draft.podman("no_cache", "--no-cache");
    }
    draft.option("network", "Network", "--network", build.network.as_deref().unwrap_or_default());
    for host in &build.extra_hosts {
        draft.podman("extra_hosts", &format!("--add-host={}:{}", host.name, host.address));
    }
    if !build.platforms.is_empty() {
        draft.podman("platforms", &format!("--platform={}", build.platforms.join(",")));
    }
    for secret in &build.secrets {
        granted(draft, secret);
    }
    for key in &build.ssh {
        draft.podman("ssh", &format!("--ssh={key}"));
    }
    for (name, value) in &build.additional_contexts {
        let of = "additional_contexts";
        let value = match value.strip_prefix("service:") {
            None => value.clone(),
            Some(service) => {
                let Some(called) = context.names.builds.get(service) else {
                    draft.refuse(of, format!("the service {service} is not built"));
                    continue;
                };
                draft.link("Requires", &called.service);
                draft.link("After", &called.service);
                let image = context.stack.containers.get(service).map(|other| image_of(context, other));
                format!("docker-image://{}", image.unwrap_or_default())
            }
        };
        draft.podman(of, &format!("--build-context={name}={value}"));
    }
}

fn shared(draft: &mut Draft<'_>, build: &Build) {
    // Docker has words for where a cache lies; Podman only names of images.
    let is_name = |text: &&String| !text.contains('=');
    for (of, flag, caches) in
        [("cache_from", "--cache-from", &build.cache_from), ("cache_to", "--cache-to", &build.cache_to)]
    {
        for cache in caches {
            if is_name(&cache) {
                draft.podman(of, &format!("{flag}={cache}"));
            } else {
                draft.note(of, format!("{cache} is left out: Podman's caches are images"));
            }
        }
    }
    if let Some(bytes) = build.shm_size {
        draft.podman("shm_size", &format!("--shm-size={bytes}"));
    }
    for (name, limit) in &build.ulimits {
        draft.podman("ulimits", &format!("--ulimit={name}={}:{}", limit.soft, limit.hard));
    }
    if build.privileged {
        draft.note(
            "privileged",
            "Podman's builds cannot be privileged; all capabilities are given in its place",
        );
        draft.podman("privileged", "--cap-add=all");
        draft.podman("privileged", "--security-opt=seccomp=unconfined");
    }
}

fn granted(draft: &mut Draft<'_>, secret: &GrantedFile) {
    let key = &secret.key;
    match &secret.origin {
        FileOrigin::Path(path) => {
            draft.words("secrets", "Secret", [format!("id={key},src={}", path.display()).as_str()]);
        }
        FileOrigin::Variable(variable) => {
            draft.note(
                "secrets",
                format!("{variable} has to be set in the environment of the service manager"),
            );
            draft.words("secrets", "Secret", [format!("id={key},env={variable}").as_str()]);
        }
        FileOrigin::Content(text) => {
            let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
            let variable = format!("BUILD_SECRET_{}", key.chars().map(fit).collect::<String>());
            draft.variable("secrets", &variable, text);
            draft.words("secrets", "Secret", [format!("id={key},env={variable}").as_str()]);
        }
        FileOrigin::External(_) => {
            draft.refuse("secrets", format!("{key} is no file: a build can only be given files"));
        }
    }
}
