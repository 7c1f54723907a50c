//! Puts the program, its units and its first configuration where they belong, and says which were other.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::SetupError;
use super::account::{self, Account};
use super::ground::{Ground, OWN_PROGRAM, OWN_UNITS, USER_UNIT_DIR, Way};
use super::steps::Steps;
use super::units::{self, UnitFile};
use crate::files;

/// What is other than before, and so what must be started anew.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) config: bool,
    /// Units, by name; a drop-in counts as its unit.
    pub(super) units: BTreeSet<String>,
    /// The units lie in another directory than before.
    pub(super) moved: bool,
}

/// The drop-in that names the manager of the package's user, below a directory of units.
const DROP_IN: &str = "rivetr.service.d/10-user-manager.conf";

/// Installs everything.
pub(super) fn all(
    ground: &Ground,
    account: &Account,
    url: Option<&str>,
    steps: &mut Steps<'_>,
) -> Result<Changes, SetupError> {
    let moved = ground.packaged && remove_own()?;
    if moved {
        steps
            .step(true, "what an earlier setup had put below /usr/local is gone: the package has its own")?;
    }
    let binary = install_binary(ground)?;
    steps.step(binary, &format!("program {}", ground.binary.display()))?;
    make_dirs(ground, account)?;
    let units = install_units(ground, account)?;
    steps.step(!units.is_empty(), &describe(&units, ground))?;
    let config = match url {
        Some(url) => install_config(ground, url, steps)?,
        None => false,
    };
    Ok(Changes { config, units, moved })
}

/// Writes a file unless it is so already; says whether it was other.
pub(super) fn write_if_other(path: &Path, contents: &[u8], mode: u32) -> Result<bool, SetupError> {
    let same = match std::fs::read(path) {
        Ok(found) => found == contents,
        // Whatever the reason is: writing it says so.
        Err(_) => false,
    };
    if same {
        return Ok(false);
    }
    if let Some(directory) = path.parent() {
        files::make_dirs(directory, 0o755)?;
    }
    files::write_whole(path, contents, mode)?;
    Ok(true)
}

/// Removes what `rivetr setup` puts where there is no package: it would come before the package's. Says whether there
/// was any.
fn remove_own() -> Result<bool, SetupError> {
    let own = Path::new(OWN_UNITS);
    let mut paths: Vec<PathBuf> = units::PACKAGE.iter().map(|(name, _)| own.join(name)).collect();
    paths.extend(units::PACKAGE_USER.iter().map(|(name, _)| Path::new(USER_UNIT_DIR).join(name)));
    paths.extend([own.join(DROP_IN), OWN_PROGRAM.into(), account::SYSUSERS.into(), account::TMPFILES.into()]);
    paths.retain(|path| path.exists());
    for path in &paths {
        files::remove_file(path)?;
    }
    let made = [OWN_UNITS, USER_UNIT_DIR, "/usr/local/lib/systemd", "/etc/sysusers.d"].map(PathBuf::from);
    for dir in [own.join(files::parent(Path::new(DROP_IN)))].iter().chain(&made) {
        files::remove_dir_if_empty(dir)?;
    }
    Ok(!paths.is_empty())
}

fn install_binary(ground: &Ground) -> Result<bool, SetupError> {
    if ground.running == ground.binary {
        return Ok(false);
    }
    let program = std::fs::read(&ground.running).map_err(SetupError::Program)?;
    write_if_other(&ground.binary, &program, 0o755)
}

/// What tmpfiles makes for the user of the package's way.
fn make_dirs(ground: &Ground, account: &Account) -> Result<(), SetupError> {
    let dirs: &[(PathBuf, u32)] = match ground.way {
        Way::Package => &[],
        Way::SystemWide => &[
            ("/etc/containers/systemd/rivetr".into(), 0o755),
            ("/var/lib/rivetr".into(), 0o750),
            ("/var/lib/rivetr/proxy".into(), 0o750),
        ],
        Way::Personal => &[(account.home.join(".local/share/rivetr/proxy"), 0o700)],
    };
    for (dir, mode) in dirs {
        files::make_dirs(dir, *mode)?;
    }
    Ok(())
}

fn install_units(ground: &Ground, account: &Account) -> Result<BTreeSet<String>, SetupError> {
    let mut changed = BTreeSet::new();
    let mut write = |dir: &Path, (name, text): &UnitFile| -> Result<(), SetupError> {
        if write_if_other(&dir.join(name), units::adapt(text, &ground.binary).as_bytes(), 0o644)? {
            changed.insert((*name).to_owned());
        }
        Ok(())
    };
    if !ground.packaged {
        for unit in ground.units {
            write(&ground.unit_dir, unit)?;
        }
        for unit in ground.container_units {
            write(Path::new(USER_UNIT_DIR), unit)?;
        }
    }
    if ground.way == Way::Package {
        let drop_in = ground.drop_in_dir.join(DROP_IN);
        if write_if_other(&drop_in, units::user_manager(account).as_bytes(), 0o644)? {
            changed.insert("rivetr.service".to_owned());
        }
    }
    Ok(changed)
}

fn describe(changed: &BTreeSet<String>, ground: &Ground) -> String {
    if changed.is_empty() {
        return format!("units in {}", ground.unit_dir.display());
    }
    let names: Vec<&str> = changed.iter().map(String::as_str).collect();
    format!("units in {}: {}", ground.unit_dir.display(), names.join(", "))
}

/// Names the address in the configuration. One that is there already is a person's, and stays.
fn install_config(ground: &Ground, url: &str, steps: &mut Steps<'_>) -> Result<bool, SetupError> {
    let path = ground.config.display();
    match files::read_text(&ground.config)? {
        None => {
            let text =
                format!("# See `rivetr config check` for what is in force.\n\n[instance]\nurl = \"{url}\"\n");
            write_if_other(&ground.config, text.as_bytes(), CONFIG_MODE)?;
            steps.step(true, &format!("configuration {path}: {url}"))?;
            Ok(true)
        }
        Some(text) if configured_url(&text).as_deref() == Some(url) => {
            steps.step(false, &format!("configuration {path}: {url}"))?;
            Ok(false)
        }
        Some(text) => {
            if let Some(text) = with_url(&text, url).filter(|_| is_plain(&ground.config)) {
                files::write_whole(&ground.config, text.as_bytes(), CONFIG_MODE)?;
                steps.step(true, &format!("configuration {path}: {url}"))?;
                return Ok(true);
            }
            steps.note(&format!(
                "{path} is there and stays as it is; for {url}, set url below [instance] in it"
            ))?;
            Ok(false)
        }
    }
}

/// It names no secrets, only the files that hold them.
const CONFIG_MODE: u32 = 0o644;

/// Whether a file is as it was installed, so that one written anew differs in nothing but its text.
fn is_plain(path: &Path) -> bool {
    let caller = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    std::fs::symlink_metadata(path).is_ok_and(|file| {
        file.mode() & 0o7777 == CONFIG_MODE && file.is_file() && (file.uid(), file.gid()) == caller
    })
}

/// A configuration that names no address, with this one in it; `None` if it names one, or cannot be read.
fn with_url(text: &str, url: &str) -> Option<String> {
    const SECTION: &str = "[instance]\n";
    let line = format!("url = \"{url}\"\n");
    let table: toml::Table = text.parse().ok()?;
    let begins = text
        .match_indices(SECTION)
        .find(|(at, _)| *at == 0 || text.get(..*at).is_some_and(|t| t.ends_with('\n')));
    let new = match begins {
        Some((at, _)) => {
            let (before, after) = text.split_at_checked(at + SECTION.len())?;
            format!("{before}{line}{after}")
        }
        None if table.contains_key("instance") => return None,
        None => format!("{text}\n{SECTION}{line}"),
    };
    (configured_url(&new).as_deref() == Some(url)).then_some(new)
}

/// The address in a configuration; `None` also when it cannot be read, which the daemon says better.
pub(super) fn configured_url(text: &str) -> Option<String> {
    let table: toml::Table = text.parse().ok()?;
    Some(table.get("instance")?.get("url")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_configuration() {
        for (text, url) in [
            ("[instance]\nurl = \"http://a\"\n", Some("http://a")),
            ("[instance]\n", None),
            ("url = \"http://a\"", None),
            ("[instance", None),
        ] {
            assert_eq!(configured_url(text).as_deref(), url, "{text:?}");
        }
    }

    #[test]
    fn an_address_is_added_where_there_is_none() {
        for (text, expect) in [
            ("", Some("\n[instance]\nurl = \"http://b\"\n")),
            (
                "[log]\nlevel = \"info\"\n",
                Some("[log]\nlevel = \"info\"\n\n[instance]\nurl = \"http://b\"\n"),
            ),
            ("[instance]\n#url = \"x\"\n", Some("[instance]\nurl = \"http://b\"\n#url = \"x\"\n")),
            (
                "#[instance]\n[instance]\n\n[a]\n",
                Some("#[instance]\n[instance]\nurl = \"http://b\"\n\n[a]\n"),
            ),
            ("[instance]\nurl = \"http://a\"\n", None),
            ("[ instance ]\n", None),
            ("[instance", None),
        ] {
            assert_eq!(with_url(text, "http://b").as_deref(), expect, "{text:?}");
        }
        let packaged = include_str!("../../../packaging/conffile.toml");
        assert_eq!(configured_url(&with_url(packaged, "http://b").unwrap()).unwrap(), "http://b");
    }

    #[test]
    fn what_is_so_already_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.service");
        assert!(write_if_other(&path, b"one", 0o644).unwrap());
        assert!(!write_if_other(&path, b"one", 0o644).unwrap());
        assert!(write_if_other(&path, b"two", 0o644).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
    }
}
