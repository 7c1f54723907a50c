//! Two volumes change their files while nothing uses them: one rename takes the old ones aside, the next puts the new ones in
//! their place. Where the old ones lie says how far it came, so that whoever finds them later can tell.
//!
//! Podman gives no volume another name; that of its files is a folder, which can be moved.

use std::path::Path;

use super::super::{Engine, EngineError};
use super::Work;
use super::hold::Halting;
use crate::domain::volume::{VolumeId, VolumeOf};

/// The folder beside the files of the other volume where the old ones wait until all is well.
const OLD: &str = "old";

/// Where the files of two volumes lie.
struct Places {
    /// Those that are used.
    live: String,
    /// Those of the volume aside.
    aside: String,
    /// The old ones, until it has worked.
    old: String,
}

/// What moves folders, and starts what uses them again.
struct Moving {
    description: String,
    commands: Vec<Vec<String>>,
    finally: Vec<Vec<String>>,
}

impl Moving {
    fn work(&self) -> Work<'_> {
        let Self { description, commands, finally } = self;
        let (commands, finally) = (commands.clone(), finally.clone());
        Work { what: "files", description, commands, finally, file_max: None }
    }
}

impl Engine {
    /// Gives a volume the files of the one aside. What uses it is stopped and started again, whatever happens; if it does not
    /// start with them, it has its old ones again.
    pub(in super::super) async fn swap_volumes(
        &self,
        volume: &VolumeId,
        aside: &VolumeId,
        log: &Path,
    ) -> Result<(), EngineError> {
        let _alone = self.0.archiving.lock().await;
        let places = self.places(volume, aside).await?;
        let (live, new, old) = (places.live.as_str(), places.aside.as_str(), places.old.as_str());
        // Those that do not start with the new files are started again with the old ones.
        let halting = self.halting(&volume.to_string()).await?;
        let forth = self.moving(volume, &halting, [(live, old), (new, live)]);
        let Err(error) = self.run_archiving(forth.work(), log).await else { return Ok(()) };
        if exists(old)? {
            tracing::warn!(%volume, %error, "it gets its old files again");
            let back = self.moving(volume, &halting, [(live, new), (old, live)]);
            self.run_archiving(back.work(), log).await?;
        }
        Err(error)
    }

    /// Whether a volume has the files of the one aside, once a change that was cut off is brought to its end.
    pub(in super::super) async fn has_swapped(
        &self,
        volume: &VolumeId,
        aside: &VolumeId,
        log: &Path,
    ) -> Result<bool, EngineError> {
        let _alone = self.0.archiving.lock().await;
        let places = self.places(volume, aside).await?;
        let swapped = exists(&places.old)?;
        if swapped && !exists(&places.live)? {
            let description = format!("Files of the volume {volume}");
            let commands = vec![self.moved(&places.aside, &places.live)];
            self.run_archiving(Work::plain("files", &description, commands), log).await?;
        }
        Ok(swapped)
    }

    /// Makes the old files those of the volume aside, once nobody has to tell any more how far it came. Can be done twice.
    pub(in super::super) async fn keep_aside(
        &self,
        volume: &VolumeId,
        aside: &VolumeId,
        log: &Path,
    ) -> Result<(), EngineError> {
        let _alone = self.0.archiving.lock().await;
        let Places { live: _, aside: place, old } = self.places(volume, aside).await?;
        if !exists(&old)? {
            return Ok(());
        }
        let description = format!("Old data of the volume {volume}");
        let commands = vec![self.moved(&old, &place)];
        self.run_archiving(Work::plain("aside", &description, commands), log).await
    }

    /// Waits until nothing else of rivetr's starts or stops what uses a volume, or is about to see whether it answers.
    pub(in super::super) async fn alone_with(
        &self,
        volume: &VolumeId,
    ) -> Result<Vec<tokio::sync::OwnedMutexGuard<()>>, EngineError> {
        Ok(match volume.of() {
            VolumeOf::App(app) => match self.reader().app(app).await? {
                Some(app) => vec![self.steady(volume.of()).await, self.0.applying.take(app.id).await],
                None => Vec::new(),
            },
            // Who brings it up has this lock all the time.
            VolumeOf::Service(service) => match self.reader().service(service).await? {
                Some(service) => vec![self.0.serving.take(service.id).await],
                None => Vec::new(),
            },
        })
    }

    /// Moves two folders while nothing uses the volume; the second move is tried once more in the end, where it has not come
    /// to it.
    fn moving(&self, volume: &VolumeId, halting: &Halting, moves: [(&str, &str); 2]) -> Moving {
        let [(first, aside), (second, live)] = moves;
        let mut commands = halting.stop();
        commands.extend([self.moved(first, aside), self.moved(second, live)]);
        commands.extend(halting.start(true));
        let mut finally = vec![self.moved(second, live)];
        finally.extend(halting.start(false));
        Moving { description: format!("Files of the volume {volume}"), commands, finally }
    }

    /// The command that gives a folder another name; one that is there already is not touched.
    fn moved(&self, from: &str, to: &str) -> Vec<String> {
        self.inside(["mv", "--no-target-directory", "--no-clobber", from, to])
    }

    async fn places(&self, volume: &VolumeId, aside: &VolumeId) -> Result<Places, EngineError> {
        let podman = &self.machine().podman;
        let live = podman.volume_place(&volume.to_string()).await.map_err(EngineError::internal)?;
        let aside = podman.volume_place(&aside.to_string()).await.map_err(EngineError::internal)?;
        let folder = Path::new(&aside).parent().unwrap_or_else(|| Path::new(&aside));
        let old = folder.join(OLD).display().to_string();
        Ok(Places { live, aside, old })
    }
}

fn exists(path: &str) -> Result<bool, EngineError> {
    Path::new(path).try_exists().map_err(EngineError::internal)
}
