//! The environment of the process, read once. Nothing else reads it; tests hand in their own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::settings::Place;

/// What the name of every variable of rivetr begins with.
pub(super) const PREFIX: &str = "RIVETR_";

/// The variables that are not settings: they say where the command line finds the API, and as whom.
pub(super) const NOT_SETTINGS: [&str; 4] = ["RIVETR_TOKEN", "RIVETR_SOCKET", "RIVETR_SERVER", "RIVETR_CA"];

/// Where a system service keeps its state; a user whose home this is runs as the package's service does.
const SYSTEM_STATE: &str = "/var/lib/rivetr";
const SYSTEM_RUNTIME: &str = "/run/rivetr";

/// The environment of a process: its variables and its user.
#[derive(Clone)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    uid: u32,
    home: PathBuf,
}

impl Environment {
    /// Reads the environment of this process.
    #[must_use]
    pub fn read() -> Self {
        let uid = nix::unistd::geteuid();
        let account = || nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.dir);
        let variables: BTreeMap<_, _> = std::env::vars_os().collect();
        let home = variables.get(OsStr::new("HOME")).filter(|home| !home.is_empty()).map(PathBuf::from);
        // A system service of root has no HOME; the last resort only matters to a user without an account.
        let home = home.or_else(account).unwrap_or_else(|| PathBuf::from("/"));
        Self { variables, uid: uid.as_raw(), home }
    }

    /// An environment with just these variables.
    #[must_use]
    pub fn of<'a>(uid: u32, home: &str, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, uid, home: home.into() }
    }

    /// The value of a variable that is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    /// All variables whose name and value are text.
    #[must_use]
    pub fn variables(&self) -> BTreeMap<String, String> {
        let text = |text: &OsString| text.to_str().map(str::to_owned);
        self.variables.iter().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect()
    }

    /// The file of a credential that systemd has handed in (`LoadCredential=` and its like), if it is there.
    #[must_use]
    pub fn credential(&self, name: &str) -> Option<PathBuf> {
        Some(self.path("CREDENTIALS_DIRECTORY")?.join(name)).filter(|path| path.exists())
    }

    /// Where this process keeps its state and its sockets.
    #[must_use]
    pub fn place(&self) -> Place {
        let state_dir = self.state_dir();
        let xdg_runtime_dir = self.path("XDG_RUNTIME_DIR");
        let runtime_dir = self.first_path("RUNTIME_DIRECTORY").unwrap_or_else(|| {
            if self.system_wide() {
                return PathBuf::from(SYSTEM_RUNTIME);
            }
            xdg_runtime_dir.clone().unwrap_or_else(|| format!("/run/user/{}", self.uid).into()).join("rivetr")
        });
        Place { uid: self.uid, home: self.home.clone(), state_dir, runtime_dir, xdg_runtime_dir }
    }

    /// Whether this is a service of the whole machine, or root, and not some user's own rivetr.
    #[must_use]
    pub fn system_wide(&self) -> bool {
        self.uid == 0 || self.state_dir().starts_with(SYSTEM_STATE)
    }

    /// The files that are merged, in order; later ones win.
    #[must_use]
    pub fn layers(&self) -> Vec<PathBuf> {
        let file = |directory: PathBuf| directory.join("rivetr/rivetr.toml");
        if self.system_wide() {
            return ["/usr/lib", "/etc", "/run"].map(|directory| file(directory.into())).to_vec();
        }
        let own = self.path("XDG_CONFIG_HOME").unwrap_or_else(|| self.home.join(".config"));
        vec![file("/usr/lib".into()), file(own)]
    }

    /// The variables that begin with `RIVETR_` and are not known to be no settings.
    pub(super) fn overrides(&self) -> impl Iterator<Item = (String, &OsStr)> {
        self.variables
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.as_os_str()))
            .filter(|(name, _)| name.starts_with(PREFIX) && !NOT_SETTINGS.contains(&name.as_str()))
    }

    fn state_dir(&self) -> PathBuf {
        if let Some(given) = self.first_path("STATE_DIRECTORY") {
            return given;
        }
        if self.uid == 0 || self.home == Path::new(SYSTEM_STATE) {
            return PathBuf::from(SYSTEM_STATE);
        }
        self.path("XDG_DATA_HOME").unwrap_or_else(|| self.home.join(".local/share")).join("rivetr")
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    /// systemd joins several directories by colons; rivetr's units name one.
    fn first_path(&self, name: &str) -> Option<PathBuf> {
        let value = self.get(name)?.to_string_lossy();
        value.split(':').next().map(PathBuf::from).filter(|path| path.is_absolute())
    }
}

/// Names alone: a value may be a token.
impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("uid", &self.uid)
            .field("names", &self.variables.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uid: u32, home: &str, variables: &[(&str, &str)], state: &str, runtime: &str, last_layer: &str) {
        let environment = Environment::of(uid, home, variables.iter().copied());
        let place = environment.place();
        assert_eq!((place.state_dir, place.runtime_dir), (state.into(), runtime.into()));
        assert_eq!(environment.layers().last(), Some(&PathBuf::from(last_layer)));
    }

    #[test]
    fn each_way_to_run_has_its_directories() {
        let run_layer = "/run/rivetr/rivetr.toml";
        let own_layer = "/home/a/.config/rivetr/rivetr.toml";
        check(0, "/root", &[], "/var/lib/rivetr", "/run/rivetr", run_layer);
        let unit = [("STATE_DIRECTORY", "/var/lib/rivetr"), ("RUNTIME_DIRECTORY", "/run/rivetr")];
        check(990, "/var/lib/rivetr", &unit, "/var/lib/rivetr", "/run/rivetr", run_layer);
        let session = [("XDG_RUNTIME_DIR", "/run/user/990")];
        check(990, "/var/lib/rivetr", &session, "/var/lib/rivetr", "/run/rivetr", run_layer);
        let own = "/home/a/.local/share/rivetr";
        check(
            1000,
            "/home/a",
            &[("XDG_RUNTIME_DIR", "/run/user/1000")],
            own,
            "/run/user/1000/rivetr",
            own_layer,
        );
        check(1000, "/home/a", &[], own, "/run/user/1000/rivetr", own_layer);
        let elsewhere = [("XDG_DATA_HOME", "/d"), ("XDG_CONFIG_HOME", "/c"), ("XDG_RUNTIME_DIR", "/r")];
        check(1000, "/home/a", &elsewhere, "/d/rivetr", "/r/rivetr", "/c/rivetr/rivetr.toml");
        let relative = [("XDG_DATA_HOME", "d"), ("STATE_DIRECTORY", "s"), ("XDG_CONFIG_HOME", "c")];
        check(1000, "/home/a", &relative, own, "/run/user/1000/rivetr", own_layer);
    }

    #[test]
    fn a_credential_is_found_where_systemd_puts_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::File::create(directory.path().join("there")).unwrap();
        let path = directory.path().to_str().unwrap();
        let environment = Environment::of(1, "/", [("CREDENTIALS_DIRECTORY", path)]);
        assert_eq!(environment.credential("there"), Some(directory.path().join("there")));
        assert_eq!(environment.credential("gone"), None);
        assert_eq!(Environment::of(1, "/", []).credential("there"), None);
    }

    #[test]
    fn no_value_is_shown() {
        let shown = format!("{:?}", Environment::of(1, "/", [("RIVETR_TOKEN", "rvt_secret")]));
        assert!(shown.contains("RIVETR_TOKEN") && !shown.contains("secret"), "{shown}");
    }
}
