//! What a machine must have before anything is changed on it. Everything that is missing is named at once.

use std::path::Path;

use super::SetupError;
use super::account::Account;
use super::control::Control;
use super::ground::{API_PORT, Ground, Way};
use super::ports;
use crate::files;
use crate::host::process::Spawn;
use crate::host::subordinate;

/// Quadlet keys that rivetr writes came with this one.
pub(in crate::cli) const PODMAN: (u32, u32) = (5, 4);
/// Debian 12's; older ones are not tried.
pub(in crate::cli) const SYSTEMD: (u32, u32) = (252, 0);

/// Where programs are looked for.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Checks everything.
pub(super) async fn all(ground: &Ground) -> Result<(), SetupError> {
    let mut lacking = Vec::new();
    if Path::new("/run/systemd/system").is_dir() {
        lacking.extend(version("systemctl", "systemd", SYSTEMD, "use a newer system").await);
    } else {
        lacking.push("systemd does not run this machine (there is no /run/systemd/system)".to_owned());
    }
    let podman = "install podman; Debian 13 and Ubuntu 25.04 have it";
    lacking.extend(version("podman", "Podman", PODMAN, podman).await);
    lacking.extend(missing("git", "install git"));
    lacking.extend(missing("journalctl", "it comes with systemd"));
    if ground.way != Way::SystemWide {
        lacking.extend(missing("newuidmap", "install uidmap (on some systems: shadow-utils)"));
    }
    if ground.way == Way::Package {
        lacking.extend(missing("setpriv", "install util-linux"));
        lacking.extend(missing("systemd-sysusers", "it comes with systemd"));
    }
    if ground.way == Way::Personal {
        lacking.extend(personal()?);
    }
    // Without a service manager, nobody can say whose the ports are.
    if lacking.is_empty() {
        lacking.extend(taken_ports(ground).await?);
    }
    if lacking.is_empty() { Ok(()) } else { Err(SetupError::Lacking(lacking)) }
}

fn personal() -> Result<Vec<String>, SetupError> {
    let account = Account::caller()?;
    let mut lacking = Vec::new();
    for path in ["/etc/subuid", "/etc/subgid"] {
        let text = files::read_text(Path::new(path))?.unwrap_or_default();
        if !subordinate::enough(&text, &account.name, account.uid) {
            let cure = subordinate::cure(&account.name);
            lacking.push(format!("{path} gives {} no 65536 subordinate ids; root can: {cure}", account.name));
        }
    }
    if !account.runtime_dir().join("bus").exists() {
        lacking.push(format!(
            "the user manager of {0} does not run, or has no D-Bus; root can: loginctl enable-linger {0} \
             (and install dbus-user-session)",
            account.name
        ));
    }
    Ok(lacking)
}

async fn taken_ports(ground: &Ground) -> Result<Vec<String>, SetupError> {
    let caller = Account::caller()?;
    let control = if ground.way == Way::Personal { Control::User(&caller) } else { Control::System };
    let mut lacking = Vec::new();
    for (port, unit, cure) in [
        (ground.http_port, "rivetr-proxy.socket", "stop it, or move it to another port"),
        (ground.https_port, "rivetr-proxy-tls.socket", "stop it, or move it to another port"),
        (API_PORT, "rivetr-http.socket", "stop it"),
    ] {
        if control.all_active(&[unit]).await? {
            continue;
        }
        let holder = ports::taken(port);
        lacking.extend(holder.map(|holder| format!("port {port} is taken by {holder}: {cure}")));
    }
    Ok(lacking)
}

fn missing(program: &str, cure: &str) -> Option<String> {
    let found = PATH.iter().any(|dir| Path::new(dir).join(program).is_file());
    (!found).then(|| format!("there is no {program}: {cure}"))
}

/// What is wrong with the version that a program says it has.
async fn version(program: &str, name: &str, least: (u32, u32), cure: &str) -> Option<String> {
    let (major, minor) = least;
    let least_text = if minor == 0 { major.to_string() } else { format!("{major}.{minor}") };
    let output = match Spawn::new(program).args(["--version"]).run().await {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => return Some(format!("{name} {least_text} or newer is needed: {error}; {cure}")),
    };
    match parse_version(&output) {
        Some(found) if found >= least => None,
        Some((major, minor)) => {
            Some(format!("{name} {least_text} or newer is needed, and this is {major}.{minor}: {cure}"))
        }
        None => {
            Some(format!("{name} {least_text} or newer is needed, and {program} does not say what it is"))
        }
    }
}

/// The first word that begins with a digit: of `systemd 257 (257.13-1)` and `podman version 5.4.2`.
pub(in crate::cli) fn parse_version(text: &str) -> Option<(u32, u32)> {
    let word = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = word.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, version) in [
            ("systemd 257 (257.13-1~deb13u1)\n+PAM +AUDIT", Some((257, 0))),
            ("systemd 262~rc1 (262~rc1-2)", Some((262, 0))),
            ("podman version 5.4.2", Some((5, 4))),
            ("podman version 6.0.0-dev", Some((6, 0))),
            ("podman version 5.10.0-rc1", Some((5, 10))),
            ("podman version unknown", None),
            ("systemd v257~rc1", None),
            ("", None),
        ] {
            assert_eq!(parse_version(text), version, "{text:?}");
        }
        assert!((5, 10) > PODMAN && (4, 9) < PODMAN);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named_with_its_cure() {
        let text = version("rivetr-no-such-program", "Nothing", (1, 0), "install it").await.unwrap();
        assert!(text.starts_with("Nothing 1 or newer is needed") && text.ends_with("install it"), "{text}");
        assert!(missing("rivetr-no-such-program", "install it").is_some());
        assert!(missing("sh", "install it").is_none());
    }
}
