//! Volumes as archives: written to this disk while all that mounts them is held still, then handed out at whatever pace.
//!
//! systemd itself lets the containers go on, so that they do whatever becomes of rivetr.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};

use super::{Engine, EngineError};
use crate::host::layout::Manager;
use crate::host::podman::NamedVolume;
use crate::host::spool::Spooled;
use crate::host::systemd::Sequence;

/// How long the data of one volume may take to be written, and all that mounts it to be held.
const LIMIT: Duration = Duration::from_hours(1);
/// How much of what Podman said is told, in bytes.
const TAIL: u64 = 2 << 10;
/// What the names of these units begin with.
const UNITS: &str = "rivetr-archive-";

/// An archive that goes from this disk with its handle.
pub struct Archive {
    file: tokio::fs::File,
    _spooled: Spooled,
}

impl AsyncRead for Archive {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.file).poll_read(context, into)
    }
}

impl Engine {
    /// The data of a volume as an archive, as of one moment: what mounts it and runs is held meanwhile.
    pub(super) async fn archive_volume(&self, volume: &str) -> Result<Archive, EngineError> {
        let _alone = self.0.archiving.lock().await;
        let spooled = self.machine().spool.begin().map_err(EngineError::internal)?;
        let podman = &self.machine().podman;
        let held = podman.running_with(volume).await.map_err(EngineError::internal)?;
        let place = podman.volume_place(volume).await.map_err(EngineError::internal)?;
        let (part, whole) = (spooled.part().display().to_string(), spooled.whole().display().to_string());
        let mut commands = vec![
            self.tar(&["--create", "--numeric-owner", "--directory", &place, "--file", &part, "."]),
            words(["mv", "--no-target-directory", &part, &whole]),
        ];
        let mut finally = Vec::new();
        if !held.is_empty() {
            let names = || held.iter().map(String::as_str);
            commands.insert(0, words(["podman", "pause"].into_iter().chain(names())));
            // One by one: a container that has ended meanwhile keeps no other from going on.
            finally.extend(held.iter().map(|name| words(["podman", "unpause", name])));
        }
        self.run_archiving(
            "volume",
            &format!("Archive of the volume {volume}"),
            commands,
            finally,
            &spooled.log(),
        )
        .await?;
        let file = spooled.open().map_err(|error| {
            EngineError::Unavailable(format!("the archive of the volume {volume} is not there: {error}"))
        })?;
        Ok(Archive { file: tokio::fs::File::from_std(file), _spooled: spooled })
    }

    /// Fills a new volume from an archive. One that is there already is not touched.
    pub(super) async fn fill_volume(
        &self,
        volume: &NamedVolume,
        archive: &Path,
        log: &Path,
    ) -> Result<(), EngineError> {
        let _alone = self.0.archiving.lock().await;
        let podman = &self.machine().podman;
        podman.create_volume(volume).await.map_err(EngineError::internal)?;
        let place = podman.volume_place(&volume.name).await.map_err(EngineError::internal)?;
        let path = archive.display().to_string();
        let how = ["--extract", "--numeric-owner", "--same-owner", "--same-permissions"];
        let commands = vec![self.tar(&[&how[..], &["--directory", &place, "--file", &path]].concat())];
        let description = format!("Data of the volume {}", volume.name);
        let filled = self.run_archiving("fill", &description, commands, Vec::new(), log).await;
        if filled.is_err() {
            podman.remove_volume(&volume.name).await.map_err(EngineError::internal)?;
        }
        filled
    }

    /// Ends what an earlier run of rivetr left, which lets containers that are held go on.
    pub(super) async fn end_archiving(&self) -> Result<(), EngineError> {
        let pattern = format!("{UNITS}*.service");
        for unit in self.machine().systemd.list(&[&pattern]).await.map_err(EngineError::internal)? {
            self.machine().systemd.forget(&unit.unit).await.map_err(EngineError::internal)?;
        }
        self.machine().spool.sweep().map_err(EngineError::internal)
    }

    /// `tar` as it sees the files of containers. Podman's own export leaves out whose the volume itself is.
    fn tar(&self, rest: &[&str]) -> Vec<String> {
        let seen = match self.machine().layout.manager {
            Manager::User => &["podman", "unshare", "tar"][..],
            Manager::System => &["tar"],
        };
        words(seen.iter().chain(rest).copied())
    }

    async fn run_archiving(
        &self,
        what: &str,
        description: &str,
        commands: Vec<Vec<String>>,
        finally: Vec<Vec<String>>,
        log: &Path,
    ) -> Result<(), EngineError> {
        let unit = Sequence {
            name: format!("{UNITS}{what}-{}.service", self.now().0),
            description: description.to_owned(),
            commands,
            finally,
            output_file: log.to_owned(),
            limit: LIMIT,
        };
        let Err(error) = self.machine().systemd.run_sequence(&unit).await else { return Ok(()) };
        let said = self.machine().workspace.tail(log, TAIL).unwrap_or_default();
        let said = said.trim();
        let said = if said.is_empty() { error.to_string() } else { said.to_owned() };
        Err(EngineError::Unavailable(format!("{description}: {said}")))
    }
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    words.into_iter().map(str::to_owned).collect()
}
