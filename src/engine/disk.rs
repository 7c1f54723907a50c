//! What rivetr and its apps take on disk. To look takes time: every file of every image and volume is counted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Engine;
use crate::host::survey::{self, Room};

/// How long Podman may count.
const PODMAN_LIMIT: Duration = Duration::from_mins(1);

/// Bytes on disk, by what they are for. What could not be counted is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// The room of the disk that the state lies on.
    pub room: Option<Room>,
    /// Every image in Podman's storage, layers that several have counted once.
    pub images: Option<u64>,
    /// Every volume in Podman's storage.
    pub volumes: Option<u64>,
    /// What containers have written into themselves.
    pub containers: Option<u64>,
    /// The database, with what it has not gathered yet.
    pub database: Option<u64>,
    /// Its copies.
    pub backups: Option<u64>,
    /// Logs of deployments, checkouts and uploads.
    pub deployments: Option<u64>,
    /// Repositories that are pushed to or fetched from.
    pub repositories: Option<u64>,
}

impl Engine {
    /// Counts what is on disk.
    pub async fn disk_use(&self) -> DiskUse {
        let layout = self.machine().layout.clone();
        let own = spawn_blocking(move || {
            let database = layout.database();
            let log = with_ending(&database, "-wal");
            let deployments = layout.state.join("deployments");
            DiskUse {
                room: said("room", survey::room(&layout.state)),
                database: said("database", survey::taken(&database))
                    .map(|bytes| bytes + survey::taken(&log).unwrap_or(0)),
                backups: said("backups", survey::taken(&layout.backups())),
                deployments: said("deployments", survey::taken(&deployments)),
                repositories: said("repositories", survey::taken(&layout.repositories())),
                ..DiskUse::default()
            }
        });
        let podman = timeout(PODMAN_LIMIT, self.machine().podman.disk_use());
        let (own, podman) = tokio::join!(own, podman);
        let own = own.unwrap_or_else(|error| {
            tracing::warn!(%error, "the disk was not looked at");
            DiskUse::default()
        });
        match podman {
            Ok(Ok(counted)) => DiskUse {
                images: Some(counted.images),
                volumes: Some(counted.volumes),
                containers: Some(counted.containers),
                ..own
            },
            Ok(Err(error)) => {
                tracing::warn!(%error, "Podman's storage was not counted");
                own
            }
            Err(_) => {
                tracing::warn!("Podman did not count its storage within {} s", PODMAN_LIMIT.as_secs());
                own
            }
        }
    }
}

fn said<T>(what: &str, looked: std::io::Result<T>) -> Option<T> {
    looked.map_err(|error| tracing::warn!(what, %error, "not counted")).ok()
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
