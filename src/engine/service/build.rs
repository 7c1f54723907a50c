//! The images that a revision has built of its repository, one after the other, as those of apps are; and what goes with
//! revisions that are gone.

use std::collections::BTreeSet;

use super::super::build::Build;
use super::super::{Engine, EngineError, log};
use super::builds::{IMAGES, ServiceBuild, number_of, tag};
use super::content::Content;
use super::follow::{RevisionLog, Unread};
use crate::domain::service::{Revision, RevisionState, Service};
use crate::domain::source::CommitId;
use crate::domain::webhook::Target;
use crate::host::podman::PodmanError;

/// How many bytes of what a build wrote are told where it fails.
const TAIL: u64 = 2 * 1024;
/// How many lines.
const LINES: usize = 15;

impl Engine {
    /// Builds what is not there yet; why not, if one does not come about. Can be done twice.
    pub(super) async fn build_for(
        &self,
        service: &Service,
        revision: &Revision,
        content: &Content,
    ) -> Result<Option<String>, EngineError> {
        let mut log = self.log_of_revision(service, revision);
        let built = self.build_all(service, revision, &content.builds()?, &mut log).await;
        if let Err(error) = self.sweep_after_builds().await {
            tracing::warn!(service = %service.slug, %error, "what builds left not removed");
        }
        match built {
            Ok(()) => Ok(None),
            Err(Unread::Because(why)) => Ok(Some(why)),
            Err(Unread::Lost(error)) => Err(error),
        }
    }

    async fn build_all(
        &self,
        service: &Service,
        revision: &Revision,
        builds: &[ServiceBuild],
        log: &mut RevisionLog,
    ) -> Result<(), Unread> {
        for build in builds {
            let unit = unit_name(service, revision.number, &build.container);
            let known = self.machine().systemd.unit(&unit).await.map_err(EngineError::internal)?;
            if known.is_none() {
                if self.is_built(service, revision, &build.container).await? {
                    continue;
                }
                if !self.machine().workspace.has_revision_source(&service.slug, revision.number) {
                    // It may have been stored since the revision was looked up.
                    let commit = match &revision.commit {
                        Some(commit) => Some(commit.clone()),
                        None => self.revision(revision.id).await?.commit,
                    };
                    let commit = commit.ok_or_else(|| Unread::Because("it has no commit".to_owned()))?;
                    self.check_out_again(service, revision.number, &commit, log).await?;
                }
            }
            self.build_one(service, revision, build, unit, log).await?;
        }
        Ok(())
    }

    /// Whether an image is there, or was for the revision whose files this one brings back: then it gets one more name.
    async fn is_built(
        &self,
        service: &Service,
        revision: &Revision,
        container: &str,
    ) -> Result<bool, EngineError> {
        let podman = &self.machine().podman;
        let own = tag(&service.slug, revision.number, container);
        if podman.image(&own).await.map_err(EngineError::internal)?.is_some() {
            return Ok(true);
        }
        let Some(before) = revision.back_to else { return Ok(false) };
        let before = podman.image(&tag(&service.slug, before, container)).await;
        let Some(image) = before.map_err(EngineError::internal)? else { return Ok(false) };
        podman.tag(&image, &own).await.map_err(EngineError::internal)?;
        Ok(true)
    }

    async fn build_one(
        &self,
        service: &Service,
        revision: &Revision,
        ServiceBuild { container, options }: &ServiceBuild,
        unit: String,
        log: &mut RevisionLog,
    ) -> Result<(), Unread> {
        let (workspace, slug, number) = (&self.machine().workspace, &service.slug, revision.number);
        let folder = workspace.revision(slug, number);
        let file = workspace.revision_log(slug, number);
        let build = Build {
            tag: tag(slug, number, container),
            labels: vec![
                format!("io.rivetr.service={slug}"),
                format!("io.rivetr.container={container}"),
                format!("io.rivetr.revision={number}"),
            ],
            options,
            source: workspace.revision_source(slug, number),
            image_file: folder.join(format!("image-{container}")),
            folder,
            log: file.clone(),
            unit: unit.clone(),
            created: revision.created,
            resumed: revision.state == RevisionState::Building,
        };
        let watch = |over| {
            let (hub, of) = (self.clone(), revision.id);
            let grown = move || hub.0.logs.bump(of.into());
            self.0.tasks.spawn(log::watch_file(self.clone(), file.clone(), unit.clone(), over, grown));
        };
        let made = self.build_image(&build, || Ok(Vec::new()), |line| log.say(&line), watch).await;
        let Err(halt) = made else { return Ok(()) };
        match Unread::from(halt) {
            Unread::Because(why) => {
                let said = workspace.tail(&build.log, TAIL).unwrap_or_default();
                let lines: Vec<&str> = said.lines().collect();
                let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n");
                Err(Unread::Because(format!("building {container}: {why}\n{last}")))
            }
            lost @ Unread::Lost(_) => Err(lost),
        }
    }

    /// Removes what was built for a revision that is none any more.
    pub(super) async fn remove_images_of(&self, service: &Service, number: u32) -> Result<(), EngineError> {
        let images = self.service_images(service).await?.into_iter();
        let own = images.filter(|(of, _)| *of == number).map(|(_, name)| name);
        self.remove_service_images(service, own.collect()).await
    }

    /// Ends the builds of a service that run. Can be done twice.
    pub(super) async fn end_builds_of_service(&self, service: &Service) -> Result<(), EngineError> {
        let pattern = format!("{}*.service", unit_prefix(service));
        for unit in self.machine().systemd.list(&[&pattern]).await.map_err(EngineError::internal)? {
            self.kill_build(&unit.unit, service.created).await.map_err(EngineError::internal)?;
        }
        self.sweep_after_builds().await
    }

    /// Removes what revisions left that are gone: images, logs, checkouts and commits. What cannot be removed now is tried
    /// again after the next revision.
    pub(super) async fn tidy_builds(&self, service: &Service) -> Result<(), EngineError> {
        let revisions = self.reader().revisions(service.id).await?;
        let images = self.service_images(service).await?;
        let is_there = |one: &&Revision| images.iter().any(|(number, _)| *number == one.number);
        let lived = revisions.iter().filter(|one| one.has_lived()).filter(is_there);
        // The live one counts too.
        let before = self.0.settings.keep_images.saturating_sub(1);
        let mut kept: BTreeSet<u32> = lived.take(before).map(|one| one.number).collect();
        let stays = |one: &&Revision| one.state == RevisionState::Live || !one.state.is_end();
        kept.extend(revisions.iter().filter(stays).map(|one| one.number));
        let gone = images.into_iter().filter(|(number, _)| !kept.contains(number));
        self.remove_service_images(service, gone.map(|(_, name)| name).collect()).await?;
        let workspace = &self.machine().workspace;
        for number in workspace.revisions(&service.slug).map_err(EngineError::internal)? {
            let found = revisions.iter().find(|one| one.number == number);
            if found.is_none_or(|found| found.state.is_end()) {
                workspace.remove_revision(&service.slug, number).map_err(EngineError::internal)?;
            }
            if found.is_none() {
                workspace.remove_revision_log(&service.slug, number).map_err(EngineError::internal)?;
            }
        }
        if service.followed.is_none() {
            return Ok(());
        }
        let repo = workspace.service_repo(&service.slug);
        let commits: Vec<CommitId> = revisions.into_iter().filter_map(|one| one.commit).collect();
        let tidied = async {
            let _alone = self.0.repositories.take(Target::Service(service.id)).await;
            if let Err(error) = workspace.remove_preview(&service.slug) {
                tracing::warn!(service = %service.slug, %error, "a checkout to look at is not removed");
            }
            if self.git().forget_fetched(&repo, &commits).await? {
                self.git().free(&repo).await?;
            }
            Ok::<_, crate::host::git::GitError>(())
        };
        if let Err(error) = tidied.await {
            tracing::warn!(service = %service.slug, %error, "old commits not freed");
        }
        Ok(())
    }

    /// The images that a service has built, each with the number of its revision.
    async fn service_images(&self, service: &Service) -> Result<Vec<(u32, String)>, EngineError> {
        let found = self.machine().podman.images_named(&format!("{IMAGES}{}", service.slug)).await;
        let names = found.map_err(EngineError::internal)?.into_iter().flat_map(|image| image.names);
        Ok(names.filter_map(|name| Some((number_of(&service.slug, &name)?, name))).collect())
    }

    /// Removes all images that a service has built.
    pub(super) async fn remove_all_service_images(&self, service: &Service) -> Result<(), EngineError> {
        let images = self.service_images(service).await?;
        self.remove_service_images(service, images.into_iter().map(|(_, name)| name).collect()).await
    }

    /// Removes images of a service; later, where a build runs that may just be taking from them.
    async fn remove_service_images(&self, service: &Service, gone: Vec<String>) -> Result<(), EngineError> {
        if gone.is_empty() {
            return Ok(());
        }
        let podman = &self.machine().podman;
        let Some(_alone) = self.no_build_runs().await else { return Ok(()) };
        for name in gone {
            match podman.untag_or_remove(&name).await {
                Err(error @ PodmanError::InUse { .. }) => {
                    tracing::warn!(service = %service.slug, %error, "image kept");
                }
                other => other.map_err(EngineError::internal)?,
            }
        }
        Ok(())
    }
}

/// What the names of all build units of a service begin with. No name of an app has a dot.
fn unit_prefix(service: &Service) -> String {
    format!("rivetr-build-service.{}-", service.slug)
}

/// The name of the transient unit: `rivetr-build-service.shop-7-web.service`.
fn unit_name(service: &Service, number: u32, container: &str) -> String {
    format!("{}{number}-{container}.service", unit_prefix(service))
}
