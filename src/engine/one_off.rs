//! Commands in a container of their own, made like an app's live release and gone with the command.
//!
//! The container is a unit that waits, and the command runs in it as in any other ([`super::exec`]). A row says
//! from the beginning that it may be there. Nobody listens to what an earlier run of rivetr has left: it goes.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::apply::ApplyError;
use super::exec::{Ending, Session, Window, not_begun};
use super::recover::StartError;
use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::deployment::{Deployment, ImageId};
use crate::domain::one_off::OneOff;
use crate::host::systemd;
use crate::plan::{Observed, Wanted};
use crate::quadlet::app::Release;
use crate::quadlet::path::{Owner, UnitPath};
use crate::quadlet::{self, UnitFiles};

/// How long to wait before the removal of a container that did not go through is tried again.
const REMOVE_AGAIN: Duration = Duration::from_secs(5);
/// How many of the unit's last log lines may say why it could not be started.
const LAST_LINES: usize = 20;

impl Engine {
    /// Runs a command in a new container of the app's live release.
    pub async fn run(
        &self,
        app: &App,
        command: &[String],
        terminal: Option<Window>,
    ) -> Result<Session, EngineError> {
        let (engine, app, command) = (self.clone(), app.clone(), command.to_vec());
        // Goes on when who asked has left, and then ends in order what it has begun.
        let begun = self.0.tasks.spawn(async move { engine.run_apart(&app, &command, terminal).await });
        begun.await.unwrap_or_else(|error| Err(EngineError::internal(error)))
    }

    async fn run_apart(
        &self,
        app: &App,
        command: &[String],
        terminal: Option<Window>,
    ) -> Result<Session, EngineError> {
        let alone = self.0.running_apart.take(app.id).await;
        let app = &self.current(app).await?;
        let live = self.live_release(app).await?;
        let Some(image) = &live.image else { return Err(refused("its image is not known")) };
        let may = self.check_host_paths(&live.settings.runtime);
        may.map_err(|refusal| refused(refusal.message))?;
        // As with the commands of a deployment: the words take the place of the image's own command.
        let mut words = match &live.settings.runtime.entrypoint {
            Some(own) => own.as_slice().to_vec(),
            None => self.machine().podman.entrypoint(image).await.map_err(EngineError::internal)?,
        };
        words.extend_from_slice(command);

        let (one_off, address) = self.0.writer.begin_one_off(app.id).await?;
        let container = one_off.unit_name();
        let ending = Ending::of(self.clone(), Some(one_off.clone()));
        if let Err(error) = self.bring_up(app, &live, image, &one_off, address).await {
            return Err(self.not_brought_up(error).await);
        }
        drop(alone);
        self.begin(&container, &words, terminal, ending).await.map_err(not_begun)
    }

    async fn bring_up(
        &self,
        app: &App,
        live: &Deployment,
        image: &ImageId,
        one_off: &OneOff,
        address: Ipv4Addr,
    ) -> Result<(), ApplyError> {
        let given = self.given(live)?;
        let release = Release {
            project: &app.project,
            deployment: live,
            image,
            addresses: &[],
            enabled: false,
            features: self.podman_features().await?,
            variables: &given.variables,
            files: &given.files,
        };
        // Its secrets, its volumes and its network are those of the live release, which has them.
        let files: UnitFiles = quadlet::app::one_off(&release, one_off, address)?;
        let running = files.keys().map(UnitPath::unit).collect();
        let wanted = Wanted { files, running };
        let owner = Owner::OneOff(one_off.clone());
        self.carry_out(&wanted, &Observed::default(), &owner, &wanted.running).await
    }

    async fn not_brought_up(&self, error: ApplyError) -> EngineError {
        if let ApplyError::Ungiven(error) = error {
            return refused(error);
        }
        let ApplyError::Start(systemd::StartError::Failed(failure)) = error else { return error.into() };
        let lines = match &failure.invocation {
            Some(run) => self.machine().journal.last_lines(run, LAST_LINES).await,
            None => Ok(Vec::new()),
        };
        let said = match &lines {
            Ok(lines) => lines.iter().rev().find_map(|line| line.strip_prefix("Error: ")),
            Err(error) => {
                tracing::warn!(%error, "journal not read");
                None
            }
        };
        refused(said.map_or_else(|| failure.to_string(), |said| format!("Podman says: {said}")))
    }

    /// What earlier runs of rivetr have left. Asked before anything new begins.
    pub(super) async fn left_one_offs(&self) -> Result<BTreeSet<OneOff>, StartError> {
        let mut left = BTreeSet::from_iter(self.reader().one_offs().await?);
        left.extend(self.machine().units.owners()?.into_iter().filter_map(|owner| match owner {
            Owner::OneOff(one_off) => Some(one_off),
            Owner::App(_)
            | Owner::Commands(_)
            | Owner::Project(_)
            | Owner::Database(_)
            | Owner::Service(_)
            | Owner::Jobs(_)
            | Owner::Volume(_) => None,
        }));
        Ok(left)
    }

    /// Ends every command of an app that is being deleted: none begins any more.
    pub(super) async fn end_one_offs_of(&self, app: &App) -> Result<(), ApplyError> {
        let _alone = self.0.running_apart.take(app.id).await;
        for one_off in self.reader().one_offs().await?.iter().filter(|one_off| one_off.app == app.slug) {
            self.remove_one_off(one_off).await?;
        }
        Ok(())
    }

    /// Removes a container and all that belongs to it, trying until it has worked or rivetr stops.
    pub(super) async fn end_one_off(self, one_off: OneOff) {
        while let Err(error) = self.remove_one_off(&one_off).await {
            tracing::warn!(unit = one_off.unit_name(), %error, "not removed yet");
            if self.0.shutdown.is_cancelled() {
                return;
            }
            self.pause(REMOVE_AGAIN).await;
        }
    }

    /// Each part can be done twice.
    async fn remove_one_off(&self, one_off: &OneOff) -> Result<(), ApplyError> {
        let owner = Owner::OneOff(one_off.clone());
        self.remove_units(&owner).await?;
        // Also where a file was never whole, or its folder was not gone before rivetr was.
        self.machine().units.remove_owner(&owner)?;
        self.machine().podman.remove_container(&one_off.unit_name()).await?;
        Ok(self.0.writer.end_one_off(one_off).await?)
    }
}

fn refused(why: impl std::fmt::Display) -> EngineError {
    EngineError::Conflict { field: "app", message: format!("the container could not be started: {why}") }
}
