//! Where everything lies on this machine, and which service manager runs it.
//!
//! Three ways to run come down to one question, asked here alone: is this root, or a user with a manager of
//! his own? Reads nothing and makes no directory: the values of the environment are handed in.

use std::path::{Path, PathBuf};

use crate::domain::name::Slug;

/// What the layout follows from, as the system and its service manager give it to the process.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The user the process runs as.
    pub uid: u32,
    /// That user's name.
    pub user: String,
    /// That user's home.
    pub home: PathBuf,
    /// `$STATE_DIRECTORY`.
    pub state_directory: Option<PathBuf>,
    /// `$RUNTIME_DIRECTORY`.
    pub runtime_directory: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    pub xdg_runtime_dir: Option<PathBuf>,
}

/// The service manager that runs apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manager {
    /// The manager of one user: containers without root.
    User,
    /// PID 1.
    System,
}

impl Manager {
    /// The option by which systemd's own tools choose this manager.
    #[must_use]
    pub fn option(self) -> &'static str {
        match self {
            Self::User => "--user",
            Self::System => "--system",
        }
    }
}

/// Where everything lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// What outlives a reboot: the database, repositories, deployments.
    pub state: PathBuf,
    /// Sockets of rivetr's own processes.
    pub runtime: PathBuf,
    /// The name of the user whose containers these are.
    pub user: String,
    /// The home of the user whose containers these are.
    pub home: PathBuf,
    /// What that user's manager and Podman keep while they run: `/run/user/UID`, or `/run` for root.
    pub user_runtime: PathBuf,
    /// Our own folder below Podman's Quadlet directory.
    pub quadlets: PathBuf,
    /// The directory of plain units; shared with others.
    pub units: PathBuf,
    /// The D-Bus address of the service manager.
    pub bus: String,
    /// The socket of Podman's API.
    pub podman_socket: PathBuf,
    /// The service manager that runs apps.
    pub manager: Manager,
}

impl Layout {
    /// The layout that follows from the surroundings.
    #[must_use]
    pub fn discover(surroundings: Surroundings) -> Self {
        let Surroundings { uid, user, home, state_directory, runtime_directory, xdg_runtime_dir } =
            surroundings;
        let (state, runtime) =
            (state_directory.as_deref().map(first), runtime_directory.as_deref().map(first));
        if uid == 0 {
            return Self {
                state: state.unwrap_or_else(|| "/var/lib/rivetr".into()),
                runtime: runtime.unwrap_or_else(|| "/run/rivetr".into()),
                user,
                home,
                user_runtime: "/run".into(),
                quadlets: "/etc/containers/systemd/rivetr".into(),
                units: "/etc/systemd/system".into(),
                bus: "unix:path=/run/dbus/system_bus_socket".into(),
                podman_socket: "/run/podman/podman.sock".into(),
                manager: Manager::System,
            };
        }
        let user_runtime = xdg_runtime_dir.unwrap_or_else(|| format!("/run/user/{uid}").into());
        Self {
            state: state.unwrap_or_else(|| home.join(".local/share/rivetr")),
            runtime: runtime.unwrap_or_else(|| user_runtime.join("rivetr")),
            quadlets: home.join(".config/containers/systemd/rivetr"),
            units: home.join(".config/systemd/user"),
            bus: format!("unix:path={}", escape_address(&user_runtime.join("bus"))),
            podman_socket: user_runtime.join("podman/podman.sock"),
            manager: Manager::User,
            user,
            home,
            user_runtime,
        }
    }

    /// The file by which logind starts the user's manager at boot.
    #[must_use]
    pub fn linger(&self) -> PathBuf {
        PathBuf::from("/var/lib/systemd/linger").join(&self.user)
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.state.join("rivetr.db")
    }

    /// The keys that seal the secrets of the database.
    #[must_use]
    pub fn master_keys(&self) -> PathBuf {
        self.state.join("master.keys")
    }

    /// The lock that keeps a second daemon off this state.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.state.join("lock")
    }

    /// Where the database is copied to before it is migrated.
    #[must_use]
    pub fn backups(&self) -> PathBuf {
        self.state.join("backup")
    }

    /// Where unit files that somebody edited are kept before they go.
    #[must_use]
    pub fn edited_units(&self) -> PathBuf {
        self.state.join("edited-units")
    }

    /// Where backups of databases lie.
    #[must_use]
    pub fn kept_backups(&self) -> PathBuf {
        self.state.join("backups")
    }

    /// The table the proxy serves from.
    #[must_use]
    pub fn routes(&self) -> PathBuf {
        self.state.join("proxy/routes.json")
    }

    /// The certificates that the proxy shows.
    #[must_use]
    pub fn certificates(&self) -> PathBuf {
        self.state.join("proxy/certs")
    }

    /// Since when builds were killed that nobody has swept up after.
    #[must_use]
    pub fn killed_builds(&self) -> PathBuf {
        self.state.join("killed-builds")
    }

    /// Where the bare repositories of all apps lie.
    #[must_use]
    pub fn repositories(&self) -> PathBuf {
        self.state.join("repos")
    }

    /// The bare repository of an app.
    #[must_use]
    pub fn repository(&self, app: &Slug) -> PathBuf {
        self.repositories().join(format!("{app}.git"))
    }

    /// All that an app's deployments keep on disk.
    #[must_use]
    pub fn deployments(&self, app: &Slug) -> PathBuf {
        self.state.join("deployments").join(app.as_str())
    }

    /// What one deployment keeps on disk while it lasts.
    #[must_use]
    pub fn deployment(&self, app: &Slug, number: u32) -> PathBuf {
        self.deployments(app).join(number.to_string())
    }

    /// The checkout that one deployment builds from.
    #[must_use]
    pub fn source(&self, app: &Slug, number: u32) -> PathBuf {
        self.deployment(app, number).join("source")
    }

    /// All that a service keeps on disk besides its units.
    #[must_use]
    pub fn service(&self, service: &Slug) -> PathBuf {
        self.state.join("services").join(service.as_str())
    }

    /// What was uploaded for an app and waits to be deployed.
    #[must_use]
    pub fn uploads(&self, app: &Slug) -> PathBuf {
        self.state.join("uploads").join(app.as_str())
    }

    /// What the pull of an image needs while it runs, for whoever has this folder of units.
    #[must_use]
    pub fn pull(&self, owner: &str) -> PathBuf {
        self.state.join("pulls").join(owner)
    }

    /// The log of one deployment.
    #[must_use]
    pub fn deployment_log(&self, app: &Slug, number: u32) -> PathBuf {
        self.deployments(app).join(format!("{number}.log"))
    }

    /// Where keys lie while git needs them.
    #[must_use]
    pub fn git_sessions(&self) -> PathBuf {
        self.runtime.join("git")
    }

    /// The socket of the API.
    #[must_use]
    pub fn api_socket(&self) -> PathBuf {
        self.runtime.join("api.sock")
    }

    /// The link between control plane and proxy.
    #[must_use]
    pub fn proxy_socket(&self) -> PathBuf {
        self.runtime.join("proxy.sock")
    }

    /// The link to the proxy that stands in while the other is replaced.
    #[must_use]
    pub fn next_proxy_socket(&self) -> PathBuf {
        self.runtime.join("proxy-next.sock")
    }

    /// Where the broker hands out sockets of the rootless network.
    #[must_use]
    pub fn netns_socket(&self) -> PathBuf {
        self.runtime.join("netns.sock")
    }
}

/// systemd joins several directories by colons; the first is the main one.
fn first(directories: &Path) -> PathBuf {
    let text = directories.to_string_lossy();
    PathBuf::from(text.split(':').next().unwrap_or_default())
}

/// A path as a D-Bus address writes it: all but a few characters as `%` and two digits (D-Bus specification).
fn escape_address(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;

    path.as_os_str().as_bytes().iter().fold(String::new(), |mut text, &byte| {
        if byte.is_ascii_alphanumeric() || b"-_/.\\*".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02x}").unwrap_or_default();
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_of_the_package() {
        let layout = Layout::discover(Surroundings {
            uid: 990,
            user: "rivetr".to_owned(),
            home: "/var/lib/rivetr".into(),
            state_directory: Some("/var/lib/rivetr".into()),
            runtime_directory: Some("/run/rivetr:/run/other".into()),
            xdg_runtime_dir: None,
        });
        let expected = Layout {
            state: "/var/lib/rivetr".into(),
            runtime: "/run/rivetr".into(),
            user: "rivetr".to_owned(),
            home: "/var/lib/rivetr".into(),
            user_runtime: "/run/user/990".into(),
            quadlets: "/var/lib/rivetr/.config/containers/systemd/rivetr".into(),
            units: "/var/lib/rivetr/.config/systemd/user".into(),
            bus: "unix:path=/run/user/990/bus".into(),
            podman_socket: "/run/user/990/podman/podman.sock".into(),
            manager: Manager::User,
        };
        assert_eq!(layout, expected);
    }

    #[test]
    fn any_person() {
        let layout = Layout::discover(Surroundings {
            uid: 1000,
            home: "/home/ada".into(),
            xdg_runtime_dir: Some("/run/user/1000".into()),
            ..Surroundings::default()
        });
        assert_eq!(layout.state, Path::new("/home/ada/.local/share/rivetr"));
        assert_eq!(layout.api_socket(), Path::new("/run/user/1000/rivetr/api.sock"));
    }

    #[test]
    fn root() {
        let layout = Layout::discover(Surroundings { home: "/root".into(), ..Surroundings::default() });
        assert_eq!(layout.manager, Manager::System);
        assert_eq!(layout.quadlets, Path::new("/etc/containers/systemd/rivetr"));
        assert_eq!(layout.podman_socket, Path::new("/run/podman/podman.sock"));
        let blog = Slug::parse("blog").unwrap();
        assert_eq!(layout.source(&blog, 7), Path::new("/var/lib/rivetr/deployments/blog/7/source"));
        assert_eq!(layout.deployment_log(&blog, 7), Path::new("/var/lib/rivetr/deployments/blog/7.log"));
        assert_eq!(layout.repository(&blog), Path::new("/var/lib/rivetr/repos/blog.git"));
    }

    #[test]
    fn an_odd_path_in_an_address() {
        assert_eq!(escape_address(Path::new("/run/a b,c;d/bus")), "/run/a%20b%2cc%3bd/bus");
    }
}
