//! Bringing a revision up: its repository, its images, then what is other than before, then the wait until all of it runs. What does not
//! come up gives way to the revision before. Each step can be run twice: after a crash it begins again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::super::apply::ApplyError;
use super::super::{Engine, EngineError};
use super::content::Content;
use super::follow::Unread;
use crate::domain::service::{Revision, RevisionState, Service, ServiceId};
use crate::domain::time::Timestamp;
use crate::domain::volume::VolumeOf;
use crate::host::systemd::{ActiveState, InvocationId, StartError, UnitStatus};
use crate::host::units::UnitsError;
use crate::quadlet::path::Owner;

/// How long everything has to stay up before a revision counts as live.
const SETTLE: Duration = Duration::from_secs(3);
/// The pause before a service that could not be put in order is tried again.
const AGAIN: Duration = Duration::from_secs(5);
/// How many of the last lines of a container that failed are told.
const LINES: usize = 5;

impl Engine {
    /// Does what there is to do for a service, in the background.
    pub(in super::super) fn work_on(&self, id: ServiceId) {
        let engine = self.clone();
        self.0.tasks.spawn(async move {
            // What is broken off here begins again at the next start.
            engine.until_shutdown(Box::pin(engine.work(id))).await;
        });
    }

    async fn work(&self, id: ServiceId) {
        let _alone = self.0.serving.take(id).await;
        loop {
            match self.next_step(id).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::error!(service = id.0, %error, "a service could not be put in order yet");
                    self.pause(AGAIN).await;
                }
            }
        }
    }

    /// Does the next thing, and says whether there may be more.
    async fn next_step(&self, id: ServiceId) -> Result<bool, EngineError> {
        let Some(service) = self.reader().service_by_id(id).await? else { return Ok(false) };
        if service.deleting {
            return Ok(false);
        }
        let revisions = self.reader().revisions(id).await?;
        let unfinished: Vec<&Revision> = revisions.iter().filter(|one| !one.state.is_end()).collect();
        if let Some((newest, older)) = unfinished.split_first() {
            for revision in older {
                let why = "another revision was asked for before this one was up".to_owned();
                self.0.writer.fail_revision(revision.id, why, self.now()).await?;
            }
            self.bring_revision_up(&service, newest).await?;
            return Ok(true);
        }
        self.restore(&service).await?;
        Ok(false)
    }

    /// Brings a revision to its end.
    async fn bring_revision_up(&self, service: &Service, revision: &Revision) -> Result<(), EngineError> {
        let (content, state) = match self.content_of(service, revision).await {
            Ok(read) => read,
            Err(Unread::Because(why)) => return self.give_up(service, revision, why).await,
            Err(Unread::Lost(error)) => return Err(error),
        };
        let mut state = state.pull().map_err(EngineError::internal)?;
        self.0.writer.move_revision(revision.id, state).await?;
        self.stir();
        self.failpoint("service-pulling");
        if let Some(why) = self.pull_images(service, &content.images).await? {
            return self.give_up(service, revision, why).await;
        }
        if !content.builds()?.is_empty() {
            state = state.build().map_err(EngineError::internal)?;
            self.0.writer.move_revision(revision.id, state).await?;
            self.failpoint("service-building");
            if let Some(why) = self.build_for(service, revision, &content).await? {
                return self.give_up(service, revision, why).await;
            }
        }
        let state = state.start().map_err(EngineError::internal)?;
        match self.refuse_drift(&[Owner::Service(service.slug.clone())]).await {
            Err(EngineError::Conflict { message, .. }) => {
                return self.give_up(service, revision, message).await;
            }
            other => other?,
        }
        self.0.writer.set_service_unsettled(service.id, true).await?;
        self.0.writer.move_revision(revision.id, state).await?;
        self.stir();
        self.failpoint("service-starting");
        let started = {
            let _steady = self.steady(&VolumeOf::Service(service.slug.clone())).await;
            self.start_all(service, revision, &content).await?
        };
        if let Some(why) = started {
            return self.give_up(service, revision, why).await;
        }
        self.failpoint("service-live");
        self.0.writer.make_revision_live(revision, self.now()).await?;
        tracing::info!(service = %service.slug, revision = revision.number, "live");
        self.stir();
        self.publish_routes().await?;
        self.tidy_service(service, revision, &content).await
    }

    /// What a revision is made of, read now where it was not, and how far it has come.
    async fn content_of(
        &self,
        service: &Service,
        revision: &Revision,
    ) -> Result<(Content, RevisionState), Unread> {
        if revision.content.is_some() {
            return match self.open_revision(revision) {
                Ok(content) => Ok((content, revision.state)),
                Err(error) => Err(Unread::Because(error.to_string())),
            };
        }
        let content = self.read_revision(service, revision).await?;
        Ok((content, RevisionState::Fetching))
    }

    /// Starts what is to run and waits until it does; why not, if it does not.
    async fn start_all(
        &self,
        service: &Service,
        revision: &Revision,
        content: &Content,
    ) -> Result<Option<String>, EngineError> {
        let restarts = self.restarts(revision).await?;
        match self.converge_service(service, Some(content), true).await {
            Ok(()) => {}
            Err(EngineError::Internal(error)) => match error.downcast::<ApplyError>() {
                Ok(error) => return self.not_started(*error, revision.created).await.map(Some),
                Err(error) => return Err(EngineError::Internal(error)),
            },
            Err(error) => return Err(error),
        }
        self.failpoint("service-started");
        if service.stopped { Ok(None) } else { self.stay_up(revision, &restarts).await }
    }

    /// Why a revision did not start, where that is its own fault.
    async fn not_started(&self, error: ApplyError, since: Timestamp) -> Result<String, EngineError> {
        match error {
            ApplyError::Start(StartError::Failed(failure)) => {
                let run = failure.invocation.as_ref();
                Ok(format!("{failure}{}", self.last_words_of(&failure.unit, since, run).await))
            }
            ApplyError::Start(error @ (StartError::NoSuchUnit { .. } | StartError::Endless { .. })) => {
                Ok(error.to_string())
            }
            ApplyError::Units(UnitsError::Problems(problems)) => Ok(problems.to_string()),
            error @ (ApplyError::Start(_)
            | ApplyError::Bus(_)
            | ApplyError::Units(_)
            | ApplyError::Text(_)
            | ApplyError::Ungiven(_)
            | ApplyError::Podman(_)
            | ApplyError::OldPodman(_)
            | ApplyError::Address(_)
            | ApplyError::Store(_)) => Err(EngineError::internal(error)),
        }
    }

    /// What a container last printed, as the end of a sentence.
    async fn last_words_of(&self, unit: &str, since: Timestamp, run: Option<&InvocationId>) -> String {
        let containers = vec![unit.trim_end_matches(".service").to_owned()];
        match self.machine().journal.last_printed(containers, since, run, LINES).await {
            Ok(lines) if !lines.is_empty() => format!(". Its last lines:\n{}", lines.join("\n")),
            Ok(_) => String::new(),
            Err(error) => {
                tracing::warn!(%error, "the last lines of a container are not known");
                String::new()
            }
        }
    }

    /// How often each container has been restarted so far.
    async fn restarts(&self, revision: &Revision) -> Result<BTreeMap<String, u32>, EngineError> {
        let mut restarts = BTreeMap::new();
        for unit in revision.parts.iter().flat_map(|part| &part.units) {
            if let Some(status) = self.unit_status(unit).await? {
                restarts.insert(unit.clone(), status.n_restarts);
            }
        }
        Ok(restarts)
    }

    /// Watches everything for a moment: a container without a check has started as soon as its process has.
    async fn stay_up(
        &self,
        revision: &Revision,
        before: &BTreeMap<String, u32>,
    ) -> Result<Option<String>, EngineError> {
        let mut changes = self.machine().systemd.changes();
        let end = Instant::now() + SETTLE;
        loop {
            for unit in revision.parts.iter().flat_map(|part| &part.units) {
                let Some(status) = self.unit_status(unit).await? else { continue };
                // A count that went down was set back by a start.
                let before =
                    before.get(unit).copied().filter(|count| *count <= status.n_restarts).unwrap_or(0);
                if let Some(why) = fallen(&status, before) {
                    let words =
                        self.last_words_of(unit, revision.created, status.invocation_id.as_ref()).await;
                    return Ok(Some(format!("{unit} {why}{words}")));
                }
            }
            if tokio::time::timeout_at(end, changes.recv()).await.is_err() {
                return Ok(None);
            }
        }
    }

    async fn unit_status(&self, unit: &str) -> Result<Option<UnitStatus>, EngineError> {
        self.machine().systemd.unit(&format!("{unit}.service")).await.map_err(EngineError::internal)
    }

    /// Stores that a revision failed; what was before is put back by the next step.
    async fn give_up(&self, service: &Service, revision: &Revision, why: String) -> Result<(), EngineError> {
        tracing::warn!(service = %service.slug, revision = revision.number, why, "a revision did not come up");
        self.0.writer.fail_revision(revision.id, why, self.now()).await?;
        self.stir();
        if let Err(error) = self.machine().workspace.remove_revision(&service.slug, revision.number) {
            tracing::warn!(service = %service.slug, %error, "the checkout of a revision is not removed");
        }
        self.failpoint("service-failed");
        Ok(())
    }

    async fn live_content(&self, service: &Service) -> Result<Option<Content>, EngineError> {
        match service.live {
            Some(live) => Ok(Some(self.open_revision(&self.revision(live).await?)?)),
            None => Ok(None),
        }
    }

    /// Makes the units what the live revision says: after one that failed, at each start, and when somebody says so.
    async fn restore(&self, service: &Service) -> Result<(), EngineError> {
        let content = self.live_content(service).await?;
        if let (Some(content), Some(live), false) = (&content, service.live, service.stopped) {
            self.build_again(service, &self.revision(live).await?, content).await?;
        }
        match self.converge_service(service, content.as_ref(), service.unsettled).await {
            // It was live and does not come up now: systemd goes on trying, and the status says so.
            Err(EngineError::Internal(error)) => match error.downcast::<ApplyError>() {
                Ok(error) => {
                    let why = self.not_started(*error, service.created).await?;
                    tracing::error!(service = %service.slug, why, "a container of the live revision does not start");
                }
                Err(error) => return Err(EngineError::Internal(error)),
            },
            other => other?,
        }
        if service.unsettled {
            self.0.writer.set_service_unsettled(service.id, false).await?;
            self.stir();
        }
        if let (Some(content), Some(live)) = (&content, service.live) {
            self.tidy_service(service, &self.revision(live).await?, content).await?;
        }
        Ok(())
    }

    /// Builds what the live revision has built where its images are gone: they are on no registry.
    async fn build_again(
        &self,
        service: &Service,
        live: &Revision,
        content: &Content,
    ) -> Result<(), EngineError> {
        if content.builds()?.is_empty() {
            return Ok(());
        }
        if let Some(why) = self.build_for(service, live, content).await? {
            tracing::error!(service = %service.slug, why, "an image of the live revision is gone and cannot be built");
        }
        Ok(())
    }

    /// Removes what no revision that runs needs any more: names of units, addresses, secrets, networks.
    async fn tidy_service(
        &self,
        service: &Service,
        live: &Revision,
        content: &Content,
    ) -> Result<(), EngineError> {
        // What a revision that is being read has claimed is not taken from it.
        let alone = self.0.changing.lock().await;
        let unfinished = self.reader().revisions(service.id).await?;
        if unfinished.iter().any(|one| one.id != live.id && !one.state.is_end()) {
            return Ok(()); // it may need them
        }
        let files = content.units(&service.slug)?;
        let kept: BTreeSet<String> =
            files.keys().map(|path| path.unit().trim_end_matches(".service").to_owned()).collect();
        let units = self.reader().service_units(service.id).await?.into_iter();
        let gone: Vec<String> = units.filter(|unit| !kept.contains(unit)).collect();
        for network in gone.iter().filter(|unit| unit.ends_with("-network")) {
            self.machine().podman.remove_network(network).await.map_err(EngineError::internal)?;
        }
        self.0.writer.release_units(service.id, gone).await?;
        self.sweep_service_secrets(service, &content.secrets.keys().cloned().collect()).await?;
        drop(alone);
        self.tidy_builds(service).await
    }

    /// Goes on with all services, at start.
    pub(in super::super) async fn recover_services(&self) -> Result<(), EngineError> {
        for service in self.reader().services().await? {
            if service.deleting {
                self.go_on_deleting_service(&service);
            } else {
                self.work_on(service.id);
            }
        }
        Ok(())
    }

    /// A revision as it is once it has reached its end.
    pub async fn revision_ended(
        &self,
        service: &Service,
        revision: &Revision,
    ) -> Result<Revision, EngineError> {
        let mut stirs = self.0.stirred.subscribe();
        loop {
            stirs.borrow_and_update();
            let found = self.revision(revision.id).await?;
            let service = self.reader().service_by_id(service.id).await?;
            // Whoever is told that it failed finds what was before back.
            let restored = service.is_none_or(|service| !service.unsettled);
            if found.state.is_end() && (found.state != RevisionState::Failed || restored) {
                return Ok(found);
            }
            match self.until_shutdown(stirs.changed()).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => return Err(EngineError::Unavailable("rivetr is stopping".to_owned())),
            }
        }
    }
}

/// Why a container counts as fallen, if it does.
fn fallen(status: &UnitStatus, restarts: u32) -> Option<&'static str> {
    let again = status.sub_state == "auto-restart" || status.n_restarts > restarts;
    if status.active_state == ActiveState::Failed {
        return Some("failed");
    }
    again.then_some("ended, and is started again and again")
}
