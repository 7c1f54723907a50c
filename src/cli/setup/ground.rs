//! Where everything goes, by the way rivetr is to run. Decides; changes nothing.

use std::path::{Path, PathBuf};

use rustix::process::getuid;

use super::account::Account;
use super::units::{self, UnitFile};
use super::{Args, SetupError};
use crate::files;

/// The user of the package's way.
pub(super) const SERVICE_USER: &str = "rivetr";

/// The way rivetr runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// System units with a user of their own, whose manager runs the containers.
    Package,
    /// Everything in the manager of the user who calls.
    Personal,
    /// Everything as root in the system's manager.
    SystemWide,
}

impl Way {
    pub(super) fn choose(args: &Args) -> Result<Self, SetupError> {
        let root = getuid().is_root();
        match (args.user, args.system_wide, root) {
            (true, _, true) => Err(SetupError::Caller(
                "`rivetr setup --user` sets rivetr up for the user who calls it: call it as that user, not as root",
            )),
            (true, _, false) => Ok(Self::Personal),
            (false, true, true) => Ok(Self::SystemWide),
            (false, false, true) => Ok(Self::Package),
            (false, _, false) => Err(SetupError::Caller(
                "this needs root. Call it with sudo; or use `rivetr setup --user`, which needs no root",
            )),
        }
    }

    /// The way in words, and its option with a blank before it.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Package => ("for a user of its own", ""),
            Self::Personal => ("for one user", " --user"),
            Self::SystemWide => ("system-wide", " --system-wide"),
        }
    }
}

/// Where everything goes.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) way: Way,
    /// The program that is running.
    pub(super) running: PathBuf,
    /// Whether a package put the program and its units here: then they are the package's alone.
    pub(super) packaged: bool,
    /// Where it is to lie; the same if a package put it there.
    pub(super) binary: PathBuf,
    pub(super) unit_dir: PathBuf,
    /// Where the drop-in goes that names the manager of the package's user.
    pub(super) drop_in_dir: PathBuf,
    pub(super) units: &'static [UnitFile],
    /// Units for the manager that runs the containers, where that is another one.
    pub(super) container_units: &'static [UnitFile],
    pub(super) config: PathBuf,
    pub(super) http_port: u16,
    pub(super) https_port: u16,
}

/// Where a package has its program and its units.
const PACKAGED: &str = "/usr/bin/rivetr";
const PACKAGED_UNITS: &str = "/usr/lib/systemd/system";
/// Where they go without one.
pub(super) const OWN_PROGRAM: &str = "/usr/local/bin/rivetr";
pub(super) const OWN_UNITS: &str = "/usr/local/lib/systemd/system";
/// Units for the managers of all users; they are enabled for one.
pub(super) const USER_UNIT_DIR: &str = "/usr/local/lib/systemd/user";
/// The API's own port on the loopback.
pub(super) const API_PORT: u16 = 7480;

impl Ground {
    pub(super) fn new(way: Way) -> Result<Self, SetupError> {
        let running = std::env::current_exe().map_err(SetupError::Program)?;
        let at_home = running == Path::new(PACKAGED);
        let packaged =
            at_home && way == Way::Package && Path::new(PACKAGED_UNITS).join("rivetr.service").exists();
        let ground = match way {
            Way::Package | Way::SystemWide => Self {
                way,
                binary: if at_home { PACKAGED.into() } else { OWN_PROGRAM.into() },
                running,
                packaged,
                unit_dir: if packaged { PACKAGED_UNITS.into() } else { OWN_UNITS.into() },
                drop_in_dir: if packaged { "/etc/systemd/system".into() } else { OWN_UNITS.into() },
                units: if way == Way::Package { units::PACKAGE } else { units::SYSTEM_WIDE },
                container_units: if way == Way::Package { units::PACKAGE_USER } else { &[] },
                config: "/etc/rivetr/rivetr.toml".into(),
                http_port: 80,
                https_port: 443,
            },
            Way::Personal => {
                let home = Account::caller()?.home;
                Self {
                    way,
                    binary: if at_home { PACKAGED.into() } else { home.join(".local/bin/rivetr") },
                    running,
                    packaged,
                    unit_dir: home.join(".config/systemd/user"),
                    drop_in_dir: home.join(".config/systemd/user"),
                    units: units::PERSONAL,
                    container_units: &[],
                    config: home.join(".config/rivetr/rivetr.toml"),
                    http_port: 8080,
                    https_port: 8443,
                }
            }
        };
        ground.check_way()?;
        Ok(ground)
    }

    /// Where the API's socket and the others lie.
    pub(super) fn runtime(&self, account: &Account) -> PathBuf {
        match self.way {
            Way::Package | Way::SystemWide => "/run/rivetr".into(),
            Way::Personal => account.runtime_dir().join("rivetr"),
        }
    }

    /// How a person looks at the daemon's log.
    pub(super) fn look(&self) -> &'static str {
        match self.way {
            Way::Package | Way::SystemWide => "journalctl -u rivetr.service",
            Way::Personal => "journalctl --user -u rivetr.service",
        }
    }

    fn check_way(&self) -> Result<(), SetupError> {
        // What was set up by hand comes before a package's, also for systemd.
        let found = [OWN_UNITS, PACKAGED_UNITS].map(|dir| Path::new(dir).join("rivetr.service"));
        let Some(unit) = found.into_iter().find(|unit| unit.exists()) else { return Ok(()) };
        let Some(text) = files::read_text(&unit)? else { return Ok(()) };
        let own_user = text.lines().any(|line| line == "User=rivetr");
        let found = match self.way {
            Way::Package if !own_user => Way::SystemWide,
            Way::SystemWide if own_user => Way::Package,
            Way::Package | Way::SystemWide | Way::Personal => return Ok(()),
        };
        let (found, option) = found.words();
        Err(SetupError::OtherWay { found, option, unit: unit.display().to_string() })
    }
}

/// Takes an address as it can stand in the configuration: http or https, a host, perhaps a port.
pub(super) fn check_url(text: &str) -> Result<String, SetupError> {
    let wrong = || SetupError::Url(text.to_owned());
    let url = text.strip_suffix('/').unwrap_or(text);
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")).ok_or_else(wrong)?;
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let host_is_one = crate::domain::name::HostName::parse(host).is_ok();
    let port_is_one = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if host_is_one && port_is_one { Ok(url.to_owned()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (typed, taken) in [
            ("http://rivetr.example.org", "http://rivetr.example.org"),
            ("http://10.0.0.2:8080/", "http://10.0.0.2:8080"),
            ("https://rivetr.example.org/", "https://rivetr.example.org"),
        ] {
            assert_eq!(check_url(typed).unwrap(), taken);
        }
        for wrong in [
            "",
            "rivetr.example.org",
            "ftp://x",
            "https://",
            "http://",
            "http://a b",
            "http://a:0",
            "http://a:x",
            "http://a/b",
            "http://a\"b",
            "http://a\nb",
            "http://u@a",
        ] {
            let error = check_url(wrong).unwrap_err().to_string();
            assert!(error.contains("http://HOST"), "{wrong:?}: {error}");
        }
    }
}
