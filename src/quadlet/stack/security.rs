//! What keeps a container from the host, and what does not.

use super::super::unit::Section;
use super::draft::Draft;
use super::{Context, container, names};
use crate::domain::stack::container::{Container, Namespace};

pub(super) fn write(draft: &mut Draft<'_>, context: &Context<'_>, container: &Container) {
    if container.privileged {
        draft.podman("privileged", "--privileged");
    }
    if !container.cap_add.is_empty() {
        draft.words("cap_add", "AddCapability", container.cap_add.iter().map(String::as_str));
    }
    if !container.cap_drop.is_empty() {
        draft.words("cap_drop", "DropCapability", container.cap_drop.iter().map(String::as_str));
    }
    for option in &container.security_opt {
        security_option(draft, option);
    }
    draft.option("userns_mode", "UserNS", "--userns", container.userns.as_deref().unwrap_or_default());
    namespace(draft, context, "pid", container.pid.as_ref());
    namespace(draft, context, "ipc", container.ipc.as_ref());
    if let Some(mode) = &container.uts {
        draft.podman("uts", &format!("--uts={mode}"));
    }
    if let Some(mode) = &container.cgroup {
        draft.podman("cgroup", &format!("--cgroupns={mode}"));
    }
    match container.cgroup_parent.as_deref() {
        None | Some("") => {}
        Some(slice) if names::ends(slice, [".slice"]) && !slice.contains('/') => {
            draft.text("cgroup_parent", Section::Service, "Slice", slice);
        }
        Some(_) => draft
            .note("cgroup_parent", "below systemd a group is a slice: name one like this, ending in .slice"),
    }
    if let Some(runtime) = &container.runtime {
        draft.note("runtime", format!("Podman needs a runtime called {runtime} in its containers.conf"));
        draft.podman("runtime", &format!("--runtime={runtime}"));
    }
}

fn security_option(draft: &mut Draft<'_>, option: &str) {
    let of = "security_opt";
    let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
    let label = value.split_once([':', '=']).unwrap_or((value, ""));
    match (name, value) {
        ("no-new-privileges", "" | "true") => draft.scalar(of, "NoNewPrivileges", "true"),
        ("no-new-privileges", "false") => {}
        ("label", "disable") => draft.scalar(of, "SecurityLabelDisable", "true"),
        ("label", "nested") => draft.scalar(of, "SecurityLabelNested", "true"),
        ("label", _) => match label {
            ("type", kind) => draft.option(of, "SecurityLabelType", "--security-opt=label", kind),
            ("level", level) => draft.option(of, "SecurityLabelLevel", "--security-opt=label", level),
            ("filetype", kind) => draft.option(of, "SecurityLabelFileType", "--security-opt=label", kind),
            _ => draft.podman(of, &format!("--security-opt=label={value}")),
        },
        ("seccomp", profile) => draft.option(of, "SeccompProfile", "--security-opt=seccomp", profile),
        ("systempaths", "unconfined") => draft.words(of, "Unmask", ["ALL"]),
        ("credentialspec", _) => draft.note(of, "only Windows has credential specs; it is left out"),
        (name, "") => draft.podman(of, &format!("--security-opt={name}")),
        (name, value) => draft.podman(of, &format!("--security-opt={name}={value}")),
    }
}

fn namespace(draft: &mut Draft<'_>, context: &Context<'_>, of: &str, namespace: Option<&Namespace>) {
    let mode = match namespace {
        None => return,
        Some(Namespace::Host) => "host",
        Some(Namespace::Shareable) => "shareable",
        Some(Namespace::Private) => "private",
        Some(Namespace::None) => "none",
        Some(Namespace::Of(peer)) => {
            if let Some((name, service)) = container::peer(draft, context, of, peer) {
                draft.podman(of, &format!("--{of}=container:{name}"));
                if let Some(service) = service {
                    // When the other is made anew, so is this one.
                    draft.link("Requires", service);
                    draft.link("After", service);
                }
            }
            return;
        }
    };
    draft.podman(of, &format!("--{of}={mode}"));
}
