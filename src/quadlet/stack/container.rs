//! The unit of one container.

use super::super::unit::{Section, Unit};
use super::draft::{Draft, Notes};
use super::names::{self, ContainerNames};
use super::{Context, REMARK_END, files, health, mount, network, process, resources, security, start};
use crate::domain::stack::container::{Container, ImageSource, Peer, Pull};

/// The unit of a replica; the first has index 0.
pub(super) fn unit(
    context: &Context<'_>,
    container: &Container,
    called: &ContainerNames,
    index: usize,
    notes: &mut Notes,
) -> Unit {
    let service = &container.service;
    let mut draft = Draft::new(Section::Container, format!("services.{service}"), notes);
    draft.remark(&format!("The service {service} of {}{REMARK_END}", context.naming.origin));
    draft.text("", Section::Unit, "Description", &format!("{service} of {}", context.stack.name));
    image(&mut draft, context, container);
    draft.scalar("container_name", "ContainerName", &called.name);
    if let Some(service) = &called.unit.told {
        draft.scalar("", "ServiceName", service);
    }
    process::write(&mut draft, container);
    network::attach(&mut draft, context, container, index);
    mount::write(&mut draft, context, container);
    files::grant(&mut draft, context, container);
    health::write(&mut draft, container);
    resources::write(&mut draft, container);
    security::write(&mut draft, context, container);
    start::write(&mut draft, context, container, called);
    draft.own(Section::Install, "WantedBy", "default.target");
    draft.finish()
}

/// Another container of the stack or of the host: its name, and its service where it is of the stack.
pub(super) fn peer<'a>(
    draft: &mut Draft<'_>,
    context: &'a Context<'_>,
    of: &str,
    peer: &'a Peer,
) -> Option<(&'a str, Option<&'a str>)> {
    match peer {
        Peer::Container(name) => Some((name, None)),
        Peer::Service(service) => {
            let first = context.names.replicas(service).first();
            if first.is_none() {
                draft.refuse(of, format!("it is another's, but no container of the service {service} runs"));
            }
            first.map(|called| (called.name.as_str(), Some(called.unit.service.as_str())))
        }
    }
}

fn image(draft: &mut Draft<'_>, context: &Context<'_>, container: &Container) {
    let builder = match &container.image {
        ImageSource::Reference(reference) => context.stack.builder_of(reference),
        ImageSource::Build { .. } => Some(container.service.as_str()),
    };
    let build = builder.and_then(|service| context.names.builds.get(service));
    match (build, &container.image) {
        (Some(build), _) => draft.scalar("image", "Image", &build.file),
        (None, ImageSource::Reference(reference)) => reference_of(draft, reference),
        (None, ImageSource::Build { .. }) => {}
    }
    let is_built = build.is_some();
    match container.pull {
        None => {}
        // No registry has it.
        Some(Pull::Always | Pull::Newer) if is_built => {
            draft.note("pull_policy", "it is left out: the image is built here, and not fetched");
        }
        Some(pull) => draft.scalar("pull_policy", "Pull", word(pull)),
    }
    if let Some(platform) = &container.platform {
        draft.podman("platform", &format!("--platform={platform}"));
    }
}

/// Nothing stands between the options of `podman run` and the image: one that looks like an option would be one.
fn reference_of(draft: &mut Draft<'_>, reference: &str) {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"'\\$%".contains(c);
    if !reference.starts_with(|c: char| c.is_ascii_alphanumeric()) || reference.contains(odd) {
        draft.refuse("image", format!("{reference:?} is no reference of an image"));
    } else if names::ends(reference, [".build", ".image"]) {
        // Quadlet would look for a unit of this name.
        draft.scalar("image", "Image", &format!("{reference}:latest"));
    } else {
        draft.scalar("image", "Image", reference);
    }
}

fn word(pull: Pull) -> &'static str {
    match pull {
        Pull::Always => "always",
        Pull::Never => "never",
        Pull::Missing => "missing",
        Pull::Newer => "newer",
    }
}
