//! Carries out a plan: the one way in which units come and go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::sync::OwnedMutexGuard;

use super::Engine;
use super::secrets::Given;
use super::variables::Ungiven;
use crate::domain::app::{App, AppId, Replicas, Wish};
use crate::domain::deployment::{Deployment, DeploymentId, State};
use crate::domain::project::Project;
use crate::host::podman::PodmanError;
use crate::host::systemd::{ActiveState, BusError, StartError};
use crate::host::units::UnitsError;
use crate::plan::{self, Observed, Plan, Step, UnitState, Wanted};
use crate::quadlet::app::Release;
use crate::quadlet::features::{PodmanFeatures, UnsupportedPodman};
use crate::quadlet::path::{Owner, UnitPath};
use crate::quadlet::{self, QuadletError, UnitFiles};
use crate::store::{AllocateError, StoreError};

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
    /// There is no address for a container.
    #[error(transparent)]
    Address(#[from] AllocateError),
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
    /// hand stays stopped, and what systemd is about to start again is left to it, as its count of restarts tells
    /// whether a new release comes up.
    pub(super) async fn converge(&self, app: &App) -> Result<(), ApplyError> {
        let alone = self.0.applying.take(app.id).await;
        self.converge_to(app, Aim::default()).await?;
        drop(alone);
        self.tend_jobs(app).await;
        Ok(())
    }

    /// The same, and starts what it would leave as it is.
    pub(super) async fn start_release(&self, app: &App, start: Start) -> Result<(), ApplyError> {
        let _alone = self.0.applying.take(app.id).await;
        self.converge_to(app, Aim { start: Some(start), ..Aim::default() }).await
    }

    /// Stops and removes releases, and gives their addresses back: from then on nothing wants them.
    pub(super) async fn remove_releases(&self, app: &App, gone: &[DeploymentId]) -> Result<(), ApplyError> {
        let _alone = self.0.applying.take(app.id).await;
        self.converge_to(app, Aim { without: gone, ..Aim::default() }).await?;
        // The addresses of a live release go with its app.
        let live = self.reader().app_by_id(app.id).await?.and_then(|app| app.live);
        for id in gone.iter().filter(|id| live != Some(**id)) {
            self.0.writer.free_addresses(*id).await?;
        }
        self.sweep_secrets(app, &self.wanted_releases(app, gone).await?).await
    }

    /// Stops and removes the containers of the live release above a number, and gives their addresses back.
    pub(super) async fn remove_replicas(
        &self,
        app: &App,
        release: DeploymentId,
        kept: Replicas,
    ) -> Result<(), ApplyError> {
        let _alone = self.0.applying.take(app.id).await;
        self.converge_to(app, Aim { above: Some((release, kept)), ..Aim::default() }).await?;
        Ok(self.0.writer.free_replicas(release, kept).await?)
    }

    async fn converge_to(&self, app: &App, aim: Aim<'_>) -> Result<(), ApplyError> {
        // As it is now: it may have been stopped, and another release may be live.
        let found = self.reader().app_by_id(app.id).await?;
        // Of what is on its way out is only taken away.
        let found = found.filter(|app| !app.deleting || !aim.without.is_empty());
        let Some(app) = &found else { return Ok(()) };
        let releases = self.wanted_releases(app, aim.without).await?;
        if !releases.is_empty() {
            self.apply_project_network(&app.project).await?;
        }
        let owner = Owner::App(app.slug.clone());
        let observed = self.observe(&owner).await?;
        let mut wanted = Wanted { files: UnitFiles::new(), running: BTreeSet::new() };
        let mut must = BTreeSet::new();
        for deployment in &releases {
            must.extend(self.want(app, deployment, &aim, &observed, &mut wanted).await?);
        }
        if !releases.is_empty() {
            wanted.files.extend(quadlet::app::handle(&app.slug)?);
        }
        self.carry_out(&wanted, &observed, &owner, &must).await
    }

    /// Adds what one release wants; the units that must start for it are given back.
    async fn want(
        &self,
        app: &App,
        deployment: &Deployment,
        aim: &Aim<'_>,
        observed: &Observed,
        wanted: &mut Wanted,
    ) -> Result<BTreeSet<String>, ApplyError> {
        let on_its_way = matches!(deployment.state, State::Starting | State::Checking);
        let start = app.wish == Wish::Start || aim.start == Some(Start::Everything);
        let enabled = app.wish != Wish::Stop || app.live != Some(deployment.id);
        let files = if aim.is_too_early(deployment, observed) {
            // A command that runs before it finds its volumes.
            quadlet::volume::volumes(&app.slug, &deployment.settings.runtime.mounts)?
        } else {
            match self.prepare_release(app, deployment, aim.kept(deployment), enabled).await {
                // It runs with what it has been given; to the next release it is no hindrance.
                Err(ApplyError::Ungiven(error)) if !on_its_way => {
                    tracing::error!(app = %app.slug, deployment = deployment.number, %error, "left as it is");
                    let mounts = &deployment.settings.runtime.mounts;
                    let mut files = quadlet::volume::volumes(&app.slug, mounts)?;
                    files.extend(kept_files(deployment, observed));
                    files
                }
                other => other?,
            }
        };
        let mut must = BTreeSet::new();
        for path in files.keys() {
            let unit = path.unit();
            if !path.is_container() {
                // Made when a container first needs them; to stop one would stop the containers.
                wanted.running.insert(unit);
                continue;
            }
            let was_gone = !observed.files.contains_key(path);
            let stopped_by_hand = observed.units.get(&unit) == Some(&UnitState::Inactive);
            if aim.start == Some(Start::New(deployment.id)) {
                must.insert(unit.clone());
            }
            if enabled && (on_its_way || was_gone || start || !stopped_by_hand) {
                wanted.running.insert(unit);
            }
        }
        wanted.files.extend(files);
        Ok(must)
    }

    /// The unit files of one release; its secrets are made with them.
    async fn prepare_release(
        &self,
        app: &App,
        deployment: &Deployment,
        addresses: &[Ipv4Addr],
        enabled: bool,
    ) -> Result<UnitFiles, ApplyError> {
        let (files, given) = self.release_files(app, deployment, addresses, enabled).await?;
        if let Some(given) = given {
            self.make_secrets(deployment, &given).await?;
        }
        Ok(files)
    }

    /// The unit files of one release, and what it is to be given; nothing of a release that has no image.
    pub(super) async fn release_files(
        &self,
        app: &App,
        deployment: &Deployment,
        addresses: &[Ipv4Addr],
        enabled: bool,
    ) -> Result<(UnitFiles, Option<Given>), ApplyError> {
        let Some(image) = &deployment.image else { return Ok((UnitFiles::new(), None)) };
        let given = self.given(deployment)?;
        let files = quadlet::app::release(&Release {
            project: &app.project,
            deployment,
            image,
            addresses,
            enabled,
            features: self.podman_features().await?,
            variables: &given.variables,
            files: &given.files,
        })?;
        Ok((files, Some(given)))
    }

    /// Removes what is left of releases that are gone, at start.
    pub(super) async fn sweep_releases(&self, app: &App) -> Result<(), ApplyError> {
        let _alone = self.0.applying.take(app.id).await;
        self.sweep_secrets(app, &self.wanted_releases(app, &[]).await?).await
    }

    /// The releases whose units belong on this machine: the live one, those on their way, and while a switch is
    /// under way the one that it replaces.
    pub(super) async fn wanted_releases(
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

    /// Gives the containers of a new release the drop-ins that a person has put beside those of the live one.
    pub(super) fn carry_dropins(&self, from: &Deployment, to: &Deployment) -> Result<(), ApplyError> {
        for number in to.replicas().map(|(number, _)| number) {
            let source = container_file(from, counterpart(number, from))?;
            let carried = self.machine().units.carry_dropins(&source, &container_file(to, number)?)?;
            if !carried.is_empty() {
                tracing::info!(app = %to.app_slug, deployment = to.number, ?carried, "drop-ins carried");
            }
        }
        Ok(())
    }

    /// Removes the drop-ins of containers that are gone, as far as those that stay have them too.
    pub(super) fn drop_carried(
        &self,
        gone: &Deployment,
        numbers: RangeInclusive<u8>,
        kept: &Deployment,
    ) -> Result<(), ApplyError> {
        for number in numbers {
            let same = container_file(kept, counterpart(number, kept))?;
            self.machine().units.drop_carried(&container_file(gone, number)?, &same)?;
        }
        Ok(())
    }

    /// What the installed Podman can be told; asked once, for an update of Podman only adds to it.
    pub(super) async fn podman_features(&self) -> Result<PodmanFeatures, ApplyError> {
        let ask = async {
            let version = self.machine().podman.version().await?;
            Ok(PodmanFeatures::of(&version.to_string())?)
        };
        self.0.features.get_or_try_init(|| ask).await.copied()
    }

    /// Makes the network of a project, if it is not there.
    pub(super) async fn apply_project_network(&self, project: &Project) -> Result<(), ApplyError> {
        let owner = Owner::Project(project.slug.clone());
        let files = quadlet::project::network(project)?;
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

    pub(super) async fn observe(&self, owner: &Owner) -> Result<Observed, ApplyError> {
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
    pub(super) async fn carry_out(
        &self,
        wanted: &Wanted,
        observed: &Observed,
        owner: &Owner,
        must: &BTreeSet<String>,
    ) -> Result<(), ApplyError> {
        let mut wanted = wanted.clone();
        self.leave_edits(owner, &mut wanted, observed).await?;
        self.carry_out_plan(plan::plan(&wanted, observed), &wanted, observed, owner, must).await
    }

    /// The same with a plan that is made already.
    pub(super) async fn carry_out_plan(
        &self,
        plan: Plan,
        wanted: &Wanted,
        observed: &Observed,
        owner: &Owner,
        must: &BTreeSet<String>,
    ) -> Result<(), ApplyError> {
        for path in &plan.drift {
            tracing::debug!(%owner, file = %path, "written once its unit is started anew");
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
            match self.act(owner, step).await {
                // What else there is to do does not wait for a unit that does not start.
                Err(ApplyError::Start(StartError::Failed(failure))) if !must.contains(&failure.unit) => {
                    tracing::warn!(%owner, unit = failure.unit, %failure, "not started");
                }
                other => other?,
            }
        }
        Ok(())
    }

    async fn act(&self, owner: &Owner, step: Step) -> Result<(), ApplyError> {
        let machine = self.machine();
        match step {
            Step::Write { path, text } => self.write_unit(owner, &path, &text).await?,
            Step::Remove { path } => {
                if path.is_timer() {
                    machine.systemd.forget_state(&path.unit()).await?;
                }
                self.remove_unit(owner, &path).await?;
            }
            Step::Reload => machine.systemd.reload().await?,
            Step::Stop { unit } => {
                machine.systemd.stop(&unit).await?;
                machine.systemd.reset_failed(&unit).await?;
                if unit.strip_suffix(".timer").is_some() {
                    // Another timer of this name would make up for what this one did not do.
                    machine.systemd.forget_state(&unit).await?;
                }
                if let Some(container) = unit.strip_suffix(".service") {
                    machine.podman.remove_container(container).await?;
                    // One that comes back otherwise is made anew.
                    if container.starts_with("rivetr-svc-") && container.ends_with("-network") {
                        machine.podman.remove_network(container).await?;
                    }
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

/// The unit files that a release has.
fn kept_files(deployment: &Deployment, observed: &Observed) -> UnitFiles {
    let own = |path: &UnitPath| {
        let name = path.unit();
        deployment.replicas().any(|(number, _)| deployment.replica_service(number) == name)
    };
    let kept = observed.files.iter().filter(|(path, _)| path.is_container() && own(path));
    kept.map(|(path, text)| (path.clone(), text.clone())).collect()
}

/// What is started that otherwise would not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// A release whose turn has come: what had to run before it has.
    New(DeploymentId),
    /// Also what a person stopped by hand.
    Everything,
}

/// In what the units are to differ from what the store says.
#[derive(Default, Clone, Copy)]
struct Aim<'a> {
    /// Releases that go.
    without: &'a [DeploymentId],
    /// A release, and how many of its containers stay.
    above: Option<(DeploymentId, Replicas)>,
    start: Option<Start>,
}

impl Aim<'_> {
    /// A new release is brought up by its own deployment alone; whoever looks after the app meanwhile leaves it.
    fn is_too_early(&self, deployment: &Deployment, observed: &Observed) -> bool {
        deployment.state == State::Starting
            && self.start != Some(Start::New(deployment.id))
            && kept_files(deployment, observed).is_empty()
    }

    /// The addresses of the containers of a release that stay.
    fn kept<'d>(&self, deployment: &'d Deployment) -> &'d [Ipv4Addr] {
        let all = deployment.addresses.as_slice();
        let kept = self.above.filter(|(id, _)| *id == deployment.id);
        kept.and_then(|(_, kept)| all.get(..kept.get().into())).unwrap_or(all)
    }
}

/// The container of a release that stands for one of another release: that of the same number, or the first.
fn counterpart(number: u8, release: &Deployment) -> u8 {
    if usize::from(number) <= release.addresses.len() { number } else { 1 }
}

fn container_file(deployment: &Deployment, number: u8) -> Result<UnitPath, ApplyError> {
    let owner = Owner::App(deployment.app_slug.clone());
    let path = UnitPath::quadlet(&owner, &format!("{}.container", deployment.replica_name(number)));
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
