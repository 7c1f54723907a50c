//! Back to a release that was live before, or to the same one in new containers: a deployment without a build.
//!
//! It has the image, the commit and the settings of the earlier one, and as many containers as the app has now.

use super::{Engine, EngineError};
use crate::domain::app::{App, Settings};
use crate::domain::deployment::{Deployment, ImageId, State, Trigger};
use crate::domain::name::Slug;
use crate::domain::runtime::policy;
use crate::store::Return;

/// How many of the newest deployments are looked through for one to go back to.
const SEARCHED: u32 = 1000;
/// How many releases a refusal names.
const NAMED: usize = 10;

/// What became of a wish to go back.
pub(super) enum Back {
    /// The release of this number comes back.
    To(u32),
    /// None can, and why.
    Nothing(String),
    /// Something newer is under way.
    Busy,
}

impl Engine {
    /// Asks for a deployment that brings an earlier release back: the one of this number, or the one that was live
    /// before. What the app may not have any more does not come back, unless an administrator asks.
    pub async fn roll_back(
        &self,
        app: &Slug,
        to: Option<u32>,
        administrator: bool,
    ) -> Result<Deployment, EngineError> {
        let app = self.reader().app(app).await?.ok_or_else(|| EngineError::no_app(app))?;
        let target = match to {
            Some(number) => self.numbered(&app, number).await?,
            None => self.one_before(&app).await?.ok_or_else(|| EngineError::Conflict {
                field: "number",
                message: format!("no other release of {} was live before this one", app.slug),
            })?,
        };
        self.check_return(&app, &target).await?;
        // It comes back with as many containers as there are now.
        let settings = Settings { replicas: app.settings.replicas, ..target.settings.clone() };
        self.check_runtime(&app.slug, &settings, Some(&app.settings.runtime), administrator).await?;
        if let Some(over) = self.reader().over_quota(&app, &settings).await? {
            let message = format!("release {} cannot come back: {}", target.origin(), over.message);
            return Err(EngineError::Invalid { field: "number", message });
        }
        self.bring_back(&app, &target, Trigger::Rollback).await
    }

    /// Asks for new containers of the release that is live, beside the old ones until they answer.
    pub async fn restart_app(&self, app: &Slug) -> Result<Deployment, EngineError> {
        let app = self.reader().app(app).await?.ok_or_else(|| EngineError::no_app(app))?;
        let Some(live) = app.live else { return Err(never_live(&app.slug)) };
        let live = self.deployment(live).await?;
        if !self.has_image(&live).await? {
            return Err(self.image_gone(&app, &live).await?);
        }
        self.bring_back(&app, &live, Trigger::Restart).await
    }

    /// Brings back what was live before a release that does badly.
    pub(super) async fn roll_back_from(&self, bad: &Deployment, reason: String) -> Result<Back, EngineError> {
        let Some(app) = self.reader().app_by_id(bad.app).await? else { return Ok(Back::Busy) };
        let Some(target) = self.one_before(&app).await? else {
            return Ok(Back::Nothing("there is none to go back to".to_owned()));
        };
        if let Err(refusal) = policy::replicas(&target.settings.runtime, app.settings.replicas) {
            let why = format!("release {} cannot come back: {}", target.origin(), refusal.message);
            return Ok(Back::Nothing(why));
        }
        let wish = Return {
            to: target.id,
            trigger: Trigger::AutoRollback,
            reason: Some(reason),
            instead_of: Some(bad.id),
            told: Vec::new(),
        };
        Ok(match Box::pin(self.enqueue_return(&app, wish)).await? {
            Some(deployment) => Back::To(deployment.origin()),
            None => Back::Busy,
        })
    }

    /// Stores a wish for a return, with how the app reaches its databases now, and sees to it.
    pub(super) async fn enqueue_return(
        &self,
        app: &App,
        wish: Return,
    ) -> Result<Option<Deployment>, EngineError> {
        let sealing = self.0.sealing.read().await;
        let wish = Return { told: self.told_of_databases(app).await?, ..wish };
        let enqueued = self.0.writer.enqueue_return(app.id, wish, self.now()).await?;
        drop(sealing);
        let Some(enqueued) = enqueued else { return Ok(None) };
        self.take_up(&enqueued).await?;
        Ok(Some(enqueued.deployment))
    }

    /// Whether the image of a deployment is still on this machine.
    pub(super) async fn has_image(&self, deployment: &Deployment) -> Result<bool, EngineError> {
        match &deployment.image {
            Some(image) => self.image_is_here(image).await,
            None => Ok(false),
        }
    }

    /// Whether an image is still on this machine.
    pub(super) async fn image_is_here(&self, image: &ImageId) -> Result<bool, EngineError> {
        let found = self.machine().podman.image(image.digits()).await.map_err(EngineError::internal)?;
        Ok(found.is_some())
    }

    /// The release that was live before the one that is, if its image is kept.
    async fn one_before(&self, app: &App) -> Result<Option<Deployment>, EngineError> {
        let Some(live) = app.live else { return Ok(None) };
        let live = self.deployment(live).await?;
        let recent = self.reader().deployments(Some(app.id), Some(live.id), SEARCHED).await?;
        for one in recent {
            if one.state == State::Live && one.origin() != live.origin() && self.has_image(&one).await? {
                return Ok(Some(one));
            }
        }
        Ok(None)
    }

    async fn numbered(&self, app: &App, number: u32) -> Result<Deployment, EngineError> {
        let found = self.reader().deployment_numbered(app.id, number).await?;
        found.ok_or_else(|| EngineError::NotFound {
            what: "deployment",
            name: format!("{} {number}", app.slug),
        })
    }

    async fn check_return(&self, app: &App, target: &Deployment) -> Result<(), EngineError> {
        let refuse = |message| Err(EngineError::Conflict { field: "number", message });
        if target.state != State::Live {
            let message = format!(
                "{} {} cannot come back: it never was live, it is {}",
                app.slug, target.number, target.state
            );
            return refuse(message);
        }
        if app.live == Some(target.id) {
            let message = format!(
                "{} {} is live already; `rivetr restart {}` gives it new containers",
                app.slug, target.number, app.slug
            );
            return refuse(message);
        }
        if !self.has_image(target).await? {
            return Err(self.image_gone(app, target).await?);
        }
        Ok(())
    }

    async fn image_gone(&self, app: &App, target: &Deployment) -> Result<EngineError, EngineError> {
        let recent = self.reader().deployments(Some(app.id), None, SEARCHED).await?;
        let mut kept = Vec::new();
        for one in recent.iter().filter(|one| one.state == State::Live && app.live != Some(one.id)) {
            if kept.len() < NAMED && self.has_image(one).await? {
                kept.insert(0, one.number.to_string());
            }
        }
        let kept =
            if kept.is_empty() { "none is kept".to_owned() } else { format!("kept are {}", kept.join(", ")) };
        Ok(EngineError::Conflict {
            field: "number",
            message: format!("the image of {} {} is gone; {kept}", app.slug, target.number),
        })
    }

    async fn bring_back(
        &self,
        app: &App,
        target: &Deployment,
        trigger: Trigger,
    ) -> Result<Deployment, EngineError> {
        self.refuse_when_full(app.id).await?;
        let wish = Return { to: target.id, trigger, reason: None, instead_of: None, told: Vec::new() };
        let asked = self.enqueue_return(app, wish).await?;
        asked.ok_or_else(|| EngineError::Unavailable("try once more".to_owned()))
    }
}

/// What cannot be done with an app of which nothing was ever live.
pub(super) fn never_live(app: &Slug) -> EngineError {
    let message = format!("no release of {app} was ever live: deploy it first");
    EngineError::Conflict { field: "app", message }
}
