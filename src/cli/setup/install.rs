//! Puts the program, its units and its first configuration where they belong, and says which were other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::SetupError;
use super::account::Account;
use super::ground::{Ground, USER_UNIT_DIR, Way};
use super::steps::Steps;
use super::units::{self, UnitFile};
use crate::files;

/// What is other than before, and so what must be started anew.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) config: bool,
    /// Units, by name; a drop-in counts as its unit.
    pub(super) units: BTreeSet<String>,
}

/// Installs everything.
pub(super) fn all(
    ground: &Ground,
    account: &Account,
    url: Option<&str>,
    steps: &mut Steps<'_>,
) -> Result<Changes, SetupError> {
    let binary = install_binary(ground)?;
    steps.step(binary, &format!("program {}", ground.binary.display()))?;
    make_dirs(ground, account)?;
    let units = install_units(ground, account)?;
    steps.step(!units.is_empty(), &describe(&units, ground))?;
    let config = match url {
        Some(url) => install_config(ground, url, steps)?,
        None => false,
    };
    Ok(Changes { config, units })
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
    if !units_are_packaged(ground) {
        for unit in ground.units {
            write(&ground.unit_dir, unit)?;
        }
        for unit in ground.container_units {
            write(Path::new(USER_UNIT_DIR), unit)?;
        }
    }
    if ground.way == Way::Package {
        let drop_in = ground.unit_dir.join("rivetr.service.d/10-user-manager.conf");
        if write_if_other(&drop_in, units::user_manager(account).as_bytes(), 0o644)? {
            changed.insert("rivetr.service".to_owned());
        }
    }
    Ok(changed)
}

/// A package that brought the program brought its units too.
fn units_are_packaged(ground: &Ground) -> bool {
    ground.way == Way::Package
        && ground.running == ground.binary
        && Path::new("/usr/lib/systemd/system/rivetr.service").exists()
}

fn describe(changed: &BTreeSet<String>, ground: &Ground) -> String {
    if changed.is_empty() {
        return format!("units in {}", ground.unit_dir.display());
    }
    let names: Vec<&str> = changed.iter().map(String::as_str).collect();
    format!("units in {}: {}", ground.unit_dir.display(), names.join(", "))
}

/// A configuration that is there is a person's: it is not touched.
fn install_config(ground: &Ground, url: &str, steps: &mut Steps<'_>) -> Result<bool, SetupError> {
    let path = ground.config.display();
    match files::read_text(&ground.config)? {
        None => {
            let text =
                format!("# See `rivetr config check` for what is in force.\n\n[instance]\nurl = \"{url}\"\n");
            write_if_other(&ground.config, text.as_bytes(), 0o644)?;
            steps.step(true, &format!("configuration {path}: {url}"))?;
            Ok(true)
        }
        Some(text) if configured_url(&text).as_deref() == Some(url) => {
            steps.step(false, &format!("configuration {path}: {url}"))?;
            Ok(false)
        }
        Some(_) => {
            steps.note(&format!(
                "{path} is there and stays as it is; for {url}, set url below [instance] in it"
            ))?;
            Ok(false)
        }
    }
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
    fn what_is_so_already_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b.service");
        assert!(write_if_other(&path, b"one", 0o644).unwrap());
        assert!(!write_if_other(&path, b"one", 0o644).unwrap());
        assert!(write_if_other(&path, b"two", 0o644).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
    }
}
