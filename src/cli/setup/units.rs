//! The unit files of `systemd/`, as they are built in, and as they are written to a machine.

use std::path::Path;

use super::account::Account;

/// A unit file by its name.
pub(super) type UnitFile = (&'static str, &'static str);

/// Where the files of `systemd/` say the program is.
const PROGRAM: &str = "/usr/bin/rivetr";

macro_rules! units {
    ($folder:literal: $($name:literal),+) => {
        &[$(($name, include_str!(concat!("../../../systemd/", $folder, "/", $name)))),+]
    };
}

pub(super) const PACKAGE: &[UnitFile] = units!("package/system":
    "rivetr.socket", "rivetr-http.socket", "rivetr.service",
    "rivetr-proxy.socket", "rivetr-proxy-tls.socket", "rivetr-proxy.service");

pub(super) const PACKAGE_USER: &[UnitFile] =
    units!("package/user": "rivetr-netns.socket", "rivetr-netns.service");

pub(super) const PERSONAL: &[UnitFile] = units!("personal":
    "rivetr.socket", "rivetr-http.socket", "rivetr.service",
    "rivetr-proxy.socket", "rivetr-proxy-tls.socket", "rivetr-proxy.service",
    "rivetr-netns.socket", "rivetr-netns.service");

pub(super) const SYSTEM_WIDE: &[UnitFile] = units!("system-wide":
    "rivetr.socket", "rivetr-http.socket", "rivetr.service",
    "rivetr-proxy.socket", "rivetr-proxy-tls.socket", "rivetr-proxy.service");

pub(super) const SYSUSERS: &str = include_str!("../../../packaging/rivetr.sysusers");
pub(super) const TMPFILES: &str = include_str!("../../../packaging/rivetr.tmpfiles");

/// The text of a unit for a machine that has the program at `binary`.
pub(super) fn adapt(text: &str, binary: &Path) -> String {
    let binary = binary.to_string_lossy();
    let escaped = binary.replace('%', "%%").replace('$', "$$");
    let quoted = if escaped.contains(char::is_whitespace) { format!("\"{escaped}\"") } else { escaped };
    let lines = text.lines().map(|line| {
        match line.strip_prefix("ExecStart=").and_then(|c| c.strip_prefix(PROGRAM)) {
            Some(arguments) => format!("ExecStart={quoted}{arguments}\n"),
            None => format!("{line}\n"),
        }
    });
    lines.collect()
}

/// What the control plane's unit must know of its user's manager, whose path has the user's number in it.
pub(super) fn user_manager(account: &Account) -> String {
    let uid = account.uid;
    format!(
        "# Written by `rivetr setup`: the manager that runs the containers.\n\
         [Unit]\n\
         Wants=user@{uid}.service\n\
         After=user@{uid}.service\n\
         \n\
         [Service]\n\
         Environment=XDG_RUNTIME_DIR=/run/user/{uid}\n\
         Environment=DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{uid}/bus\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = &'static UnitFile> {
        [PACKAGE, PACKAGE_USER, PERSONAL, SYSTEM_WIDE].into_iter().flatten()
    }

    #[test]
    fn the_program_is_named_where_it_lies() {
        for (name, text) in all().filter(|(name, _)| name.ends_with(".service")) {
            let adapted = adapt(text, Path::new("/opt/my tools/100%/rivetr"));
            assert!(adapted.contains("\nExecStart=\"/opt/my tools/100%%/rivetr\" "), "{name}");
            assert!(!adapted.contains(PROGRAM), "{name}");
            assert_eq!(adapt(text, Path::new(PROGRAM)), **text, "{name}");
        }
    }

    #[test]
    fn every_service_is_sandboxed() {
        for (name, text) in all().filter(|(name, _)| name.ends_with(".service")) {
            for line in [
                "NoNewPrivileges=yes",
                "MemoryDenyWriteExecute=yes",
                "RestrictSUIDSGID=yes",
                "SystemCallArchitectures=native",
                "LimitCORE=0",
                "UMask=0077",
                "StartLimitIntervalSec=0",
            ] {
                assert!(text.lines().any(|each| each == line), "{name} lacks {line}");
            }
            assert!(text.lines().any(|line| line.starts_with("SystemCallFilter=@system-service")), "{name}");
            // The broker is ready when it runs, and speaks to nobody but the proxy.
            let kind = if *name == "rivetr-netns.service" { "Type=exec" } else { "Type=notify" };
            assert!(text.lines().any(|line| line == kind), "{name} lacks {kind}");
            // It would take Podman's locks of the same user from /dev/shm.
            assert!(!text.lines().any(|line| line.starts_with("RemoveIPC")), "{name}");
        }
    }

    #[test]
    fn every_socket_has_a_name_and_survives_its_service() {
        for (name, text) in all().filter(|(name, _)| name.ends_with(".socket")) {
            let has = |prefix: &str| text.lines().any(|line| line.starts_with(prefix));
            assert!(has("FileDescriptorName=") && has("TriggerLimitIntervalSec=0"), "{name}");
        }
    }
}
