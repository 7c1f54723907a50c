//! An image built of a checkout, by one capped transient unit that outlives the daemon: for a deployment of an app or a
//! revision of a service, which is not known here.
//!
//! Its output goes straight into a log. Whoever finds the unit there, picks it up.

mod arguments;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::arguments::{Place, arguments};
use super::context::{Halt, Stop};
use super::{BuildLimits, Engine, log};
use crate::domain::build::BuildOptions;
use crate::domain::deployment::ImageId;
use crate::domain::time::Timestamp;
use crate::host::systemd::{ActiveState, Ended, Limits, ServiceResult, Transient};

/// Where builds run: below `rivetr.slice`, beside the projects. No project has this slice: slugs have no `_`.
const SLICE: &str = "rivetr-_build.slice";

/// How long a build may take to end once it was asked to: a cancelled deployment ends within 2 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Processes and threads of one build; a fork bomb ends here, a parallel compiler does not.
const TASKS_MAX: u64 = 4096;

/// A build yields the disk to what serves; the weight of others is 100.
const IO_WEIGHT: u64 = 20;

/// How much of the log is read to see why a build failed, in bytes.
const TAIL: u64 = 8 * 1024;

/// What Podman listens by.
const PODMAN_SOCKET: &str = "podman.socket";

/// What is built, and where what comes of it lies.
pub(super) struct Build<'a> {
    /// The name that the image gets.
    pub tag: String,
    /// Its labels: `io.rivetr.app=blog`.
    pub labels: Vec<String>,
    /// How it is built.
    pub options: &'a BuildOptions,
    /// The checkout.
    pub source: PathBuf,
    /// The folder of the checkout and of what goes with it.
    pub folder: PathBuf,
    /// Where Podman writes which image it made.
    pub image_file: PathBuf,
    /// Where Podman writes what it does.
    pub log: PathBuf,
    /// The name of the unit.
    pub unit: String,
    /// When it was asked for.
    pub created: Timestamp,
    /// An earlier run of rivetr may have begun it.
    pub resumed: bool,
}

impl Engine {
    /// Builds an image, or waits for the end of the build that an earlier run of rivetr began. `inputs` are the options
    /// that bring in more than the files, asked for once it begins; `say` is told that it does, and `watch` that it is
    /// under way, until what it is given is cancelled.
    pub(super) async fn build_image(
        &self,
        build: &Build<'_>,
        inputs: impl Fn() -> Result<Vec<String>, Halt>,
        mut say: impl FnMut(String),
        watch: impl Fn(CancellationToken),
    ) -> Result<ImageId, Halt> {
        let turn = self.0.builds.clone().acquire_owned().await;
        let _turn = turn.map_err(|error| Halt::because("waiting for other builds", error))?;
        let systemd = &self.machine().systemd;
        let Build { unit, tag, .. } = build;
        let known =
            systemd.unit(unit).await.map_err(|error| Halt::because("asking systemd for the build", error))?;
        if known.is_none() {
            self.podman_listens().await?;
            if build.resumed
                && let Some(image) = self.built(tag).await?
            {
                return Ok(image);
            }
            if build.resumed {
                // Its checkout went while it was being ended, and rivetr ended before that was stored.
                if self.machine().workspace.within(&build.source, Path::new("")).is_none() {
                    return Err(Halt::Stopped(Stop::Cancel));
                }
                // One that was begun before was ended and is forgotten: what it left goes when this one has ended.
                self.note_killed_build(build.created);
            }
            let transient = self.describe_build(build, &inputs()?).await?;
            say(format!("-----> Building {tag}"));
            let started = systemd.start_transient(&transient).await;
            started.map_err(|error| Halt::because("starting the build", error))?;
        }
        let ended = {
            let over = CancellationToken::new();
            let _watch = over.clone().drop_guard();
            watch(over);
            systemd.ended(unit).await.map_err(|error| Halt::because("waiting for the build", error))?
        };
        let forgotten = match &ended {
            Some(ended) if ended.result == ServiceResult::Success => systemd.forget(unit).await,
            _ => self.kill_build(unit, build.created).await,
        };
        if let Err(error) = forgotten {
            tracing::warn!(unit, %error, "build unit not forgotten");
        }
        self.outcome_of(build, ended.as_ref()).await
    }

    async fn outcome_of(&self, build: &Build<'_>, ended: Option<&Ended>) -> Result<ImageId, Halt> {
        match ended {
            Some(ended) if ended.result == ServiceResult::Success => return self.made(build),
            Some(_) => {}
            // systemd has forgotten how it ended.
            None => {
                if let Some(image) = self.built(&build.tag).await? {
                    return Ok(image);
                }
            }
        }
        if log::is_too_long(self, &build.log) {
            return Err(Halt::because("the build was ended", log::too_long(self)));
        }
        let bounds = bounds(&self.0.settings.build, build.options);
        let tail = self.machine().workspace.tail(&build.log, TAIL);
        let tail = tail.map_err(|error| Halt::because("the build failed, and its log", error))?;
        Err(Halt::Failed(explain(&bounds, ended, &tail)))
    }

    /// A build is not begun where nobody could start its container. That Podman listens is systemd's doing, and to ask
    /// systemd does not start it.
    async fn podman_listens(&self) -> Result<(), Halt> {
        let socket = self.machine().systemd.unit(PODMAN_SOCKET).await;
        let socket = socket.map_err(|error| Halt::because("asking systemd for Podman's socket", error))?;
        // Where there is no such unit, somebody else may have Podman listen.
        if socket.is_none_or(|socket| socket.active_state == ActiveState::Active) {
            return Ok(());
        }
        Err(Halt::because("Podman is needed", self.machine().podman.away("its socket is stopped")))
    }

    async fn built(&self, tag: &str) -> Result<Option<ImageId>, Halt> {
        let image = self.machine().podman.image(tag).await;
        image.map_err(|error| Halt::because("asking Podman for the image", error))
    }

    /// The image that a build has made, as it says itself: to ask Podman takes a while where its service sleeps.
    fn made(&self, build: &Build<'_>) -> Result<ImageId, Halt> {
        let unsaid =
            |why: &dyn std::fmt::Display| Halt::because("the build did not say which image it made", why);
        let said = self.machine().workspace.said(&build.image_file).map_err(|error| unsaid(&error))?;
        ImageId::parse(said.unwrap_or_default().trim()).map_err(|error| unsaid(&error))
    }

    async fn describe_build(&self, build: &Build<'_>, inputs: &[String]) -> Result<Transient, Halt> {
        let place = Place::find(&self.machine().workspace, build)?;
        let cgroup = self.machine().systemd.cgroup(SLICE, &build.unit).await;
        let cgroup = cgroup.map_err(|error| Halt::because("asking systemd for its cgroup", error))?;
        let bounds = bounds(&self.0.settings.build, build.options);
        let argv = arguments(build, &place, &cgroup, inputs);
        // Its images may lie at any registry.
        let argv = self.with_sign_ins(&build.folder, None, "build", argv).await;
        let argv = argv.map_err(|error| Halt::because("signing in at registries", error))?;
        Ok(Transient {
            name: build.unit.clone(),
            description: format!("Build of {}", build.tag),
            argv,
            dir: place.context,
            env: BTreeMap::new(),
            output_file: build.log.clone(),
            slice: Some(SLICE.to_owned()),
            stop_timeout: STOP_TIMEOUT,
            limits: Limits {
                cpu_percent: Some(bounds.cpu_percent),
                memory_max: Some(bounds.memory),
                tasks_max: Some(TASKS_MAX),
                runtime_max: Some(bounds.timeout),
                io_weight: Some(IO_WEIGHT),
            },
        })
    }
}

/// What a build may use: what its options say, and never more than the instance allows.
fn bounds(instance: &BuildLimits, own: &BuildOptions) -> BuildLimits {
    BuildLimits {
        memory: own.memory.map_or(instance.memory, |memory| memory.bytes().min(instance.memory)),
        cpu_percent: own.cpus.map_or(instance.cpu_percent, |cpus| cpus.percent().min(instance.cpu_percent)),
        timeout: own.timeout.map_or(instance.timeout, |timeout| timeout.min(instance.timeout)),
        concurrency: instance.concurrency,
    }
}

fn explain(limits: &BuildLimits, ended: Option<&Ended>, said: &str) -> String {
    let Some(ended) = ended else {
        return "systemd has forgotten how the build ended; deploy again".to_owned();
    };
    let mib = limits.memory / (1024 * 1024);
    let seconds = limits.timeout.as_secs();
    match &ended.result {
        ServiceResult::OomKill => format!(
            "the build ran out of memory: it may use {mib} MiB. Raise the app's build memory or memory_mb under [build], or build with less"
        ),
        ServiceResult::Timeout => {
            format!(
                "the build took longer than {seconds} s. Raise the app's build time or timeout_s under [build]"
            )
        }
        ServiceResult::Success => "the build ended well but left no image".to_owned(),
        ServiceResult::ExitCode if said.to_lowercase().contains("no space left on device") => {
            "the disk was full: free some space (podman image prune removes images that nobody uses), then deploy \
             again"
                .to_owned()
        }
        ServiceResult::ExitCode => {
            format!("the build ended with exit status {}; its last lines above say why", ended.exit_status)
        }
        other @ (ServiceResult::Signal
        | ServiceResult::CoreDump
        | ServiceResult::Watchdog
        | ServiceResult::StartLimit
        | ServiceResult::Resources
        | ServiceResult::Protocol
        | ServiceResult::Other(_)) => format!("the build did not end well: {other}"),
    }
}
