//! The images of a revision: each is pulled by a capped transient unit, one after the other, before anything stops.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::steps::PullFailure;
use super::super::{Engine, EngineError};
use crate::domain::image::ImageRef;
use crate::domain::service::Service;
use crate::host::systemd::{Limits, ServiceResult, Transient};

/// Pulls run beside the builds, below `rivetr.slice`.
const SLICE: &str = "rivetr-_build.slice";
/// How long a pull may take to end once it was asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// Processes and threads of one pull.
const TASKS_MAX: u64 = 512;
/// The pauses before each further try at a registry that does not answer. Podman itself tries three times each.
const PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];
/// How much of what it prints is read to see why a pull ended, in bytes.
const TAIL: u64 = 8 * 1024;
/// The file that Podman reads sign-ins from.
const AUTH_FILE: &str = "auth.json";

impl Engine {
    /// Fetches images that are not there, and those that are to be fetched anyway; why not, if one does not come.
    pub(super) async fn pull_images(
        &self,
        service: &Service,
        images: &BTreeMap<String, bool>,
    ) -> Result<Option<String>, EngineError> {
        for (name, always) in images {
            let there = self.machine().podman.pulled(name).await.map_err(EngineError::internal)?;
            if there.is_some() && !always {
                continue;
            }
            let image = match ImageRef::parse(name) {
                Ok(image) => image,
                Err(error) => return Ok(Some(error.to_string())),
            };
            // Nobody else gives or takes this name meanwhile.
            let _alone = self.0.pulling.take(name.clone()).await;
            if let Some(why) = self.pull_image(service, &image).await? {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    async fn pull_image(&self, service: &Service, image: &ImageRef) -> Result<Option<String>, EngineError> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let Some(failure) = self.pull_once(service, image).await? else { return Ok(None) };
            match pauses.next().filter(|_| failure.passes()) {
                Some(pause) => self.pause(pause).await,
                None => return Ok(Some(failure.explain(image))),
            }
        }
    }

    async fn pull_once(
        &self,
        service: &Service,
        image: &ImageRef,
    ) -> Result<Option<PullFailure>, EngineError> {
        let turn = self.0.builds.clone().acquire_owned().await;
        let _turn = turn.map_err(EngineError::internal)?;
        let (systemd, workspace) = (&self.machine().systemd, &self.machine().workspace);
        let unit = unit_name(service);
        // One that an earlier run of rivetr began may be another image's.
        systemd.forget(&unit).await.map_err(EngineError::internal)?;
        let transient = self.describe_pull(service, image).await?;
        systemd.start_transient(&transient).await.map_err(EngineError::internal)?;
        let ended = systemd.ended(&unit).await.map_err(EngineError::internal)?;
        systemd.forget(&unit).await.map_err(EngineError::internal)?;
        let said = workspace.pull_said(&service.slug, TAIL).map_err(EngineError::internal)?;
        workspace.remove_pull(&service.slug).map_err(EngineError::internal)?;
        let limits = &self.0.settings.build;
        Ok(match ended.map(|ended| ended.result) {
            Some(ServiceResult::Success) => None,
            Some(ServiceResult::Timeout) => Some(PullFailure::Slow(limits.timeout)),
            Some(ServiceResult::OomKill) => Some(PullFailure::Memory(limits.memory)),
            Some(_) | None => Some(PullFailure::said(&said)),
        })
    }

    async fn describe_pull(&self, service: &Service, image: &ImageRef) -> Result<Transient, EngineError> {
        let workspace = &self.machine().workspace;
        let dir = workspace.make_pull(&service.slug).map_err(EngineError::internal)?;
        let mut argv = vec!["podman".to_owned(), "pull".to_owned()];
        if let Some(text) = self.sign_ins(Some(image.registry())).await? {
            let written = workspace.write_for_pull(&service.slug, AUTH_FILE, text.as_bytes());
            argv.push(format!("--authfile={}", written.map_err(EngineError::internal)?.display()));
        }
        // The name is complete and begins with a host: it is never looked up as a short one.
        argv.extend(["--".to_owned(), image.to_string()]);
        let limits = &self.0.settings.build;
        Ok(Transient {
            name: unit_name(service),
            description: format!("Pull of {image} for the service {}", service.slug),
            argv,
            env: BTreeMap::from([("TMPDIR".to_owned(), dir.to_string_lossy().into_owned())]),
            output_file: workspace.pull_log(&service.slug),
            dir,
            slice: Some(SLICE.to_owned()),
            stop_timeout: STOP_TIMEOUT,
            limits: Limits {
                cpu_percent: Some(limits.cpu_percent),
                memory_max: Some(limits.memory),
                tasks_max: Some(TASKS_MAX),
                runtime_max: Some(limits.timeout),
                io_weight: None,
            },
        })
    }

    /// Ends a pull of a service that goes, and removes what it left.
    pub(super) async fn end_pull(&self, service: &Service) -> Result<(), EngineError> {
        self.machine().systemd.forget(&unit_name(service)).await.map_err(EngineError::internal)?;
        self.machine().workspace.remove_pull(&service.slug).map_err(EngineError::internal)
    }
}

fn unit_name(service: &Service) -> String {
    format!("rivetr-pull-svc-{}.service", service.slug)
}
