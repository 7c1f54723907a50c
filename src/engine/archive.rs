//! Volumes as archives: written to this disk while all that mounts them is held still, then handed out at whatever pace.
//!
//! systemd itself lets the containers go on, so that they do whatever becomes of rivetr.

mod hold;
mod swap;

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};

use self::hold::Held;
use super::{Engine, EngineError, words};
use crate::domain::backup::Hold;
use crate::domain::volume::VolumeId;
use crate::host::layout::Manager;
use crate::host::podman::NamedVolume;
use crate::host::spool::Spooled;
use crate::host::survey;
use crate::host::systemd::Sequence;

/// How long the data of one volume may take to be written, and all that mounts it to be held.
const LIMIT: Duration = Duration::from_hours(1);
/// How much of the disk an archive leaves to others, in bytes.
const LEFT_TO_OTHERS: u64 = 512 << 20;
/// How much of what Podman said is told, in bytes.
const TAIL: u64 = 2 << 10;
/// The extended attributes that are kept, as records of the archive (`SCHILY.xattr.user.…`): what programs noted beside
/// their files, and what a program may do that is not root. Others say nothing elsewhere.
const ATTRIBUTES: [&str; 3] = ["--xattrs", "--xattrs-include=user.*", "--xattrs-include=security.capability"];
/// The form that has them. When a file was last read or moved about is nobody's.
const FORM: [&str; 2] = ["--format=posix", "--pax-option=delete=atime,delete=ctime"];
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
    pub(super) async fn archive_volume(&self, volume: &str, hold: Hold) -> Result<Archive, EngineError> {
        // Before the other lock: who has this one waits for no archive.
        let _steady = match VolumeId::parse(volume) {
            Ok(volume) => Some(self.steady(volume.of()).await),
            Err(_) => None,
        };
        let _alone = self.0.archiving.lock().await;
        let spooled = self.machine().spool.begin().map_err(EngineError::internal)?;
        let file_max = Some(room_for(&spooled, volume)?);
        let podman = &self.machine().podman;
        let place = podman.volume_place(volume).await.map_err(EngineError::internal)?;
        let (part, whole) = (spooled.part().display().to_string(), spooled.whole().display().to_string());
        let Held { hold: mut commands, release: finally } = self.held(volume, hold).await?;
        commands.extend([
            self.tar(&[
                &["--create", "--numeric-owner"],
                &FORM[..],
                &ATTRIBUTES[..],
                &["--directory", &place, "--file", &part, "."],
            ]),
            words(&["mv", "--no-target-directory", &part, &whole]),
        ]);
        let description = format!("Archive of the volume {volume}");
        let work = Work { what: "volume", description: &description, commands, finally, file_max };
        if let Err(error) = self.run_archiving(work, &spooled.log()).await {
            let written = std::fs::metadata(spooled.part()).map_or(0, |part| part.len());
            return Err(if file_max.is_some_and(|most| written >= most) { no_room(volume) } else { error });
        }
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
        let commands = vec![self.tar(&[&how, &ATTRIBUTES, &["--directory", &place, "--file", &path]])];
        let description = format!("Data of the volume {}", volume.name);
        let filled = self.run_archiving(Work::plain("fill", &description, commands), log).await;
        if filled.is_err() {
            podman.remove_volume(&volume.name).await.map_err(EngineError::internal)?;
        }
        filled
    }

    /// Whether a volume has what an archive has, and as it stands there.
    pub(super) async fn compare_volume(
        &self,
        volume: &str,
        archive: &Path,
        log: &Path,
    ) -> Result<(), EngineError> {
        let _alone = self.0.archiving.lock().await;
        let place = self.machine().podman.volume_place(volume).await.map_err(EngineError::internal)?;
        let path = archive.display().to_string();
        let compare =
            self.tar(&[&["--compare", "--numeric-owner"], &["--directory", &place, "--file", &path]]);
        let description = format!("Comparison of the volume {volume}");
        self.run_archiving(Work::plain("compare", &description, vec![compare]), log).await
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
    fn tar(&self, rest: &[&[&str]]) -> Vec<String> {
        self.inside(["tar"].into_iter().chain(rest.iter().copied().flatten().copied()))
    }

    /// A command among the users of containers, who own what is in volumes.
    fn inside<'a>(&self, command: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let seen = match self.machine().layout.manager {
            Manager::User => &["podman", "unshare"][..],
            Manager::System => &[],
        };
        seen.iter().copied().chain(command).map(str::to_owned).collect()
    }

    async fn run_archiving(&self, work: Work<'_>, log: &Path) -> Result<(), EngineError> {
        let Work { what, description, commands, finally, file_max } = work;
        let unit = Sequence {
            name: format!("{UNITS}{what}-{}.service", self.now().0),
            description: description.to_owned(),
            commands,
            finally,
            output_file: log.to_owned(),
            limit: LIMIT,
            file_max,
        };
        let Err(error) = self.machine().systemd.run_sequence(&unit).await else { return Ok(()) };
        let said = self.machine().workspace.tail(log, TAIL).unwrap_or_default();
        let said = said.trim();
        let said = if said.is_empty() { error.to_string() } else { said.to_owned() };
        Err(EngineError::Unavailable(format!("{description}: {said}")))
    }
}

/// What is done with volumes, as a unit that systemd sees through.
struct Work<'a> {
    /// A word in its name.
    what: &'a str,
    description: &'a str,
    commands: Vec<Vec<String>>,
    /// What comes in the end, whatever became of the rest.
    finally: Vec<Vec<String>>,
    /// The largest file that may come of it, in bytes.
    file_max: Option<u64>,
}

impl<'a> Work<'a> {
    /// Work for which nobody is held.
    fn plain(what: &'a str, description: &'a str, commands: Vec<Vec<String>>) -> Self {
        Self { what, description, commands, finally: Vec::new(), file_max: None }
    }
}

/// How large an archive may become, in bytes. The disk is everybody's.
fn room_for(spooled: &Spooled, volume: &str) -> Result<u64, EngineError> {
    let room = survey::room(spooled.folder()).map_err(EngineError::internal)?;
    room.free.checked_sub(LEFT_TO_OTHERS).filter(|room| *room > 0).ok_or_else(|| no_room(volume))
}

fn no_room(volume: &str) -> EngineError {
    EngineError::Unavailable(format!(
        "there is no room on this disk to put the volume {volume} together: an archive of it lies in rivetr's folder \
         spool/ while it is made; make room there"
    ))
}
