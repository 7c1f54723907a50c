//! Carries out a plan: the one way in which units come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::sync::OwnedMutexGuard;

use super::Engine;
use super::variables::Ungiven;
use crate::domain::app::{App, AppId};
use crate::domain::deployment::{Deployment, DeploymentId, State};
use crate::host::podman::PodmanError;
use crate::host::systemd::{ActiveState, BusError, StartError};
use crate::host::units::UnitsError;
use crate::plan::{self, Observed, Step, UnitState, Wanted};
use crate::quadlet::features::{PodmanFeatures, UnsupportedPodman};
use crate::quadlet::path::{Owner, Place, UnitPath};
use crate::quadlet::{self, QuadletError, UnitFiles};
use crate::store::StoreError;

/// Why the units are not what they should be.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// systemd could not start one.
    #[error(transparent)]
    Start(#[from] StartError),
    /// systemd could not be asked.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The unit files could not be read, written or understood.
    #[error(transparent)]
    Units(#[from] UnitsError),
    /// A value cannot be said in a unit file.
    #[error(transparent)]
    Text(#[from] QuadletError),
    /// What a release is to get cannot be opened.
    #[error(transparent)]
    Ungiven(#[from] Ungiven),
    /// Podman did not answer.
    #[error(transparent)]
    Podman(#[from] PodmanError),
    /// Podman is too old.
    #[error(transparent)]
    OldPodman(#[from] UnsupportedPodman),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One lock an app: whoever looks and then acts, does so alone.
pub(super) struct Locks<K = AppId>(Mutex<BTreeMap<K, Arc<tokio::sync::Mutex<()>>>>);

impl<K> Default for Locks<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord> Locks<K> {
    /// Waits until nobody else holds the lock of this key.
    pub async fn take(&self, key: K) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            locks.entry(key).or_default().clone()
        };
        lock.lock_owned().await
    }
}

impl Engine {
    /// Makes the units of an app what the store says.
    ///
    /// Starts what is on its way to be checked and what was gone altogether; a release that somebody stopped by
    /// hand stays stopped.
    pub(super) async fn converge(&self, app: &App) -> Result<(), ApplyError> {
        let _alone = self.0.applying.take(app.id).await;
        self.converge_without(app, &[]).await
    }

    /// Stops and removes releases, and gives their addresses back: from then on nothing wants them.
    pub(super) async fn remove_releases(&self, app: &App, gone: &[DeploymentId]) -> Result<(), ApplyError> {
        let _alone = self.0.applying.take(app.id).await;
        self.converge_without(app, gone).await?;
        // The address of a live release goes with its app.
        let live = self.reader().app_by_id(app.id).await?.and_then(|app| app.live);
        for id in gone.iter().filter(|id| live != Some(**id)) {
            self.0.writer.free_address(*id).await?;
        }
        self.sweep_secrets(app, &self.wanted_releases(app, gone).await?).await
    }

    async fn converge_without(&self, app: &App, without: &[DeploymentId]) -> Result<(), ApplyError> {
        let releases = self.wanted_releases(app, without).await?;
        if !releases.is_empty() {
            self.apply_network(app).await?;
        }
        let owner = Owner::App(app.slug.clone());
        let observed = self.observe(&owner).await?;
        let mut wanted = Wanted { files: UnitFiles::new(), running: BTreeSet::new() };
        let mut must = BTreeSet::new();
        for deployment in &releases {
            let service = deployment.service_name();
            let on_its_way = matches!(deployment.state, State::Starting | State::Checking);
            let files = match self.prepare_release(app, deployment).await {
                // It runs with what it has been given; to the next release it is no hindrance.
                Err(ApplyError::Ungiven(error)) if !on_its_way => {
                    tracing::error!(app = %app.slug, unit = service, %error, "left as it is");
                    kept_files(app, deployment, &observed)?
                }
                other => other?,
            };
            if on_its_way {
                must.insert(service.clone());
            }
            // Made when a container first needs them; to stop one would stop the containers.
            let others = files.keys().filter(|path| path.place() == Place::Quadlet).map(UnitPath::unit);
            wanted.running.extend(others.filter(|unit| *unit != service));
            let was_gone = !files.keys().all(|path| observed.files.contains_key(path));
            if on_its_way || was_gone || observed.units.get(&service) != Some(&UnitState::Inactive) {
                wanted.running.insert(service);
            }
            wanted.files.extend(files);
        }
        self.carry_out(&wanted, &observed, &owner, &must).await
    }

    /// The unit files of one release, with the target that stands for its app; its secrets are made with them.
    async fn prepare_release(&self, app: &App, deployment: &Deployment) -> Result<UnitFiles, ApplyError> {
        let (Some(image), Some(address)) = (&deployment.image, deployment.address) else {
            return Ok(UnitFiles::new());
        };
        let given = self.given(deployment)?;
        let release = quadlet::app::Release {
            project: &app.project,
            deployment,
            image,
            address,
            features: self.podman_features().await?,
            variables: &given.variables,
            files: &given.files,
        };
        let mut files = quadlet::app::release(&release)?;
        files.extend(quadlet::app::handle(&app.slug)?);
        self.make_secrets(deployment, &given).await?;
        Ok(files)
    }

    /// Removes what is left of releases that are gone, at start.
    pub(super) async fn sweep_releases(&self, app: &App) -> Result<(), ApplyError> {
        let _alone = self.0.applying.take(app.id).await;
        self.sweep_secrets(app, &self.wanted_releases(app, &[]).await?).await
    }

    /// The releases whose units belong on this machine: the live one, those on their way, and while a switch is
    /// under way the one that it replaces.
    async fn wanted_releases(
        &self,
        app: &App,
        without: &[DeploymentId],
    ) -> Result<Vec<Deployment>, ApplyError> {
        let live = self.reader().app_by_id(app.id).await?.and_then(|app| app.live);
        // Read after the live one: a switch in between can only keep one more.
        let holders = self.reader().releases(app.id).await?;
        let switching =
            holders.iter().any(|holder| matches!(holder.state, State::Switching | State::Retiring));
        let belongs = |holder: &Deployment| {
            !without.contains(&holder.id)
                && (live == Some(holder.id)
                    || !holder.state.is_end() && holder.state >= State::Starting
                    || switching && holder.state == State::Live)
        };
        Ok(holders.into_iter().filter(belongs).collect())
    }

    /// Gives a new release the drop-ins that a person has put beside the live one.
    pub(super) fn carry_dropins(&self, from: &Deployment, to: &Deployment) -> Result<(), ApplyError> {
        let carried = self.machine().units.carry_dropins(&container_file(from)?, &container_file(to)?)?;
        if !carried.is_empty() {
            tracing::info!(app = %to.app_slug, deployment = to.number, ?carried, "drop-ins carried");
        }
        Ok(())
    }

    /// Removes the drop-ins of a release that is gone, as far as the one that stays has them too.
    pub(super) fn drop_carried(&self, gone: &Deployment, kept: &Deployment) -> Result<(), ApplyError> {
        Ok(self.machine().units.drop_carried(&container_file(gone)?, &container_file(kept)?)?)
    }

    /// What the installed Podman can be told; asked once, for an update of Podman only adds to it.
    async fn podman_features(&self) -> Result<PodmanFeatures, ApplyError> {
        let ask = async {
            let version = self.machine().podman.version().await?;
            Ok(PodmanFeatures::of(&version.to_string())?)
        };
        self.0.features.get_or_try_init(|| ask).await.copied()
    }

    async fn apply_network(&self, app: &App) -> Result<(), ApplyError> {
        let owner = Owner::Project(app.project.slug.clone());
        let files = quadlet::project::network(&app.project)?;
        // Started by the first container that needs it; it is never stopped, which would stop all of them.
        let running = files.keys().map(UnitPath::unit).collect();
        let wanted = Wanted { files, running };
        let observed = self.observe(&owner).await?;
        self.carry_out(&wanted, &observed, &owner, &wanted.running).await
    }

    /// Stops and removes every unit of an owner.
    pub(super) async fn remove_units(&self, owner: &Owner) -> Result<(), ApplyError> {
        let nothing = Wanted { files: UnitFiles::new(), running: BTreeSet::new() };
        let observed = self.observe(owner).await?;
        self.carry_out(&nothing, &observed, owner, &nothing.running).await
    }

    async fn observe(&self, owner: &Owner) -> Result<Observed, ApplyError> {
        let files = self.machine().units.read(owner)?;
        let mut units = BTreeMap::new();
        let mut needs_reload = false;
        for name in files.keys().map(UnitPath::unit) {
            if let Some(status) = self.machine().systemd.unit(&name).await? {
                needs_reload |= status.need_reload;
                units.insert(name, observed(status.active_state));
            }
        }
        Ok(Observed { files, units, needs_reload })
    }

    /// Goes through with a plan. Only a unit in `must` breaks it off by not starting.
    async fn carry_out(
        &self,
        wanted: &Wanted,
        observed: &Observed,
        owner: &Owner,
        must: &BTreeSet<String>,
    ) -> Result<(), ApplyError> {
        let plan = plan::plan(wanted, observed);
        for path in &plan.drift {
            tracing::warn!(%owner, file = %path, "edited by hand; left as it is");
        }
        if plan.steps.iter().any(|step| matches!(step, Step::Write { .. })) {
            self.machine().units.check(&wanted.files).await?;
        }
        for step in plan.steps {
            if let Step::Start { unit } = &step
                && observed.units.get(unit) == Some(&UnitState::Changing)
                && !must.contains(unit)
            {
                // systemd is at it, and waits longer from try to try.
                continue;
            }
            tracing::debug!(%owner, %step, "apply");
            match self.act(step).await {
                // What else there is to do does not wait for a unit that does not start.
                Err(ApplyError::Start(StartError::Failed(failure))) if !must.contains(&failure.unit) => {
                    tracing::warn!(%owner, unit = failure.unit, %failure, "not started");
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn act(&self, step: Step) -> Result<(), ApplyError> {
        let machine = self.machine();
        match step {
            Step::Write { path, text } => machine.units.write(&path, &text)?,
            Step::Remove { path } => machine.units.remove(&path)?,
            Step::Reload => machine.systemd.reload().await?,
            Step::Stop { unit } => {
                machine.systemd.stop(&unit).await?;
                machine.systemd.reset_failed(&unit).await?;
                if let Some(container) = unit.strip_suffix(".service") {
                    machine.podman.remove_container(container).await?;
                }
            }
            Step::Start { unit } => {
                machine.systemd.reset_failed(&unit).await?;
                machine.systemd.start(&unit).await?;
            }
        }
        Ok(())
    }
}

/// The unit files that a release has, with the target that stands for its app.
fn kept_files(app: &App, deployment: &Deployment, observed: &Observed) -> Result<UnitFiles, ApplyError> {
    let path = container_file(deployment)?;
    let mut files = quadlet::app::handle(&app.slug)?;
    files.extend(observed.files.get_key_value(&path).map(|(path, text)| (path.clone(), text.clone())));
    Ok(files)
}

fn container_file(deployment: &Deployment) -> Result<UnitPath, ApplyError> {
    let owner = Owner::App(deployment.app_slug.clone());
    let path = UnitPath::quadlet(&owner, &format!("{}.container", deployment.unit_name()));
    Ok(path.map_err(QuadletError::from)?)
}

fn observed(state: ActiveState) -> UnitState {
    match state {
        ActiveState::Active | ActiveState::Reloading => UnitState::Active,
        ActiveState::Activating | ActiveState::Deactivating | ActiveState::Other => UnitState::Changing,
        ActiveState::Failed => UnitState::Failed,
        ActiveState::Inactive => UnitState::Inactive,
    }
}
