//! An image from a registry: pulled by a capped transient unit that outlives the daemon, as builds are, a few times where
//! the registry does not answer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Engine, EngineError};
use crate::domain::image::ImageRef;
use crate::host::podman::Pulled;
use crate::host::systemd::{Limits, ServiceResult, Transient};
use crate::quadlet::path::Owner;

/// Pulls run beside the builds, below `rivetr.slice`.
const SLICE: &str = "rivetr-_build.slice";
/// How long a pull may take to end once it was asked to: a cancelled deployment ends within 2 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// Processes and threads of one pull.
const TASKS_MAX: u64 = 512;
/// The pauses before each further try at a registry that does not answer. Podman itself tries three times each.
const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(15)];
/// How much of the log is read to see why a pull ended, in bytes.
const TAIL: u64 = 8 * 1024;
/// The line that each try begins with in the log.
const BEGIN: &str = "-----> Pulling";

/// What is pulled, and where what comes of it lies.
pub(super) struct Pull<'a> {
    /// The image.
    pub image: &'a ImageRef,
    /// The name of its unit.
    pub unit: String,
    /// Where it works; what arrives lies there first.
    pub dir: PathBuf,
    /// Where its sign-in is put, and goes with.
    pub folder: PathBuf,
    /// Where what Podman says is added to.
    pub log: PathBuf,
}

/// The unit that pulls for an owner that has no deployments.
fn unit_of(owner: &Owner) -> String {
    format!("rivetr-pull-{owner}.service")
}

impl Engine {
    /// Pulls an image for an owner that has no deployments, or says in words for people why it is not there. One that an
    /// earlier run of rivetr began goes on.
    pub(super) async fn pull_for(&self, owner: &Owner, image: &ImageRef) -> Result<Pulled, String> {
        let (name, unit, workspace) = (image.to_string(), unit_of(owner), &self.machine().workspace);
        // Nobody else gives or takes this name meanwhile.
        let _alone = self.0.pulling.take(name.clone()).await;
        let known = self.machine().systemd.unit(&unit).await.map_err(|error| error.to_string())?;
        let folder = if known.is_some() {
            self.machine().layout.pull(&owner.folder())
        } else {
            workspace.make_pull(&owner.folder()).map_err(|error| error.to_string())?
        };
        let pull = Pull { image, unit, dir: folder.clone(), folder: folder.clone(), log: folder.join("log") };
        let say = |line: String| tracing::info!(%owner, "{}", line.trim());
        let pulled = self.pull(&pull, say, |_| ()).await;
        if let Err(error) = workspace.remove_pull(&owner.folder()) {
            tracing::warn!(%owner, %error, "what a pull left is not removed");
        }
        pulled?;
        let found = self.machine().podman.pulled(&name).await.map_err(|error| error.to_string())?;
        found.ok_or_else(|| format!("the pull ended well but left no {image}; try again"))
    }

    /// Ends a pull of an owner that has no deployments, and removes what it left. Can be done twice.
    pub(super) async fn end_pull_for(&self, owner: &Owner) -> Result<(), EngineError> {
        self.machine().systemd.forget(&unit_of(owner)).await.map_err(EngineError::internal)?;
        self.machine().workspace.remove_pull(&owner.folder()).map_err(EngineError::internal)
    }

    /// Pulls until the image is there, or says in words for people why it is not. `say` is told what happens, and
    /// `watch` that a try is under way, until what it is given is cancelled.
    pub(super) async fn pull(
        &self,
        pull: &Pull<'_>,
        mut say: impl FnMut(String),
        watch: impl Fn(CancellationToken),
    ) -> Result<(), String> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let Some(failure) = self.try_pull(pull, &mut say, &watch).await? else { return Ok(()) };
            let words = failure.explain(pull.image);
            let Some(pause) = pauses.next().filter(|_| failure.passes()) else { return Err(words) };
            say(format!("       {words}; trying again in {} s", pause.as_secs()));
            self.pause(pause).await;
        }
    }

    /// One pull from begin to end, or to the end of one that an earlier run of rivetr began; what went wrong, if it
    /// did.
    async fn try_pull(
        &self,
        pull: &Pull<'_>,
        say: &mut impl FnMut(String),
        watch: &impl Fn(CancellationToken),
    ) -> Result<Option<Failure>, String> {
        let turn = self.0.builds.clone().acquire_owned().await;
        let _turn = turn.map_err(|error| format!("waiting for builds: {error}"))?;
        let systemd = &self.machine().systemd;
        let unit = &pull.unit;
        let known = systemd.unit(unit).await;
        if known.map_err(|error| format!("asking systemd for the pull: {error}"))?.is_none() {
            let transient = self.describe_pull(pull).await?;
            say(format!("{BEGIN} {}", pull.image));
            let started = systemd.start_transient(&transient).await;
            started.map_err(|error| format!("starting the pull: {error}"))?;
        }
        let ended = {
            let over = CancellationToken::new();
            let _watched = over.clone().drop_guard();
            watch(over);
            systemd.ended(unit).await.map_err(|error| format!("waiting for the pull: {error}"))?
        };
        if let Err(error) = systemd.forget(unit).await {
            tracing::warn!(unit, %error, "pull unit not forgotten");
        }
        let Some(ended) = ended else {
            return Err("systemd has forgotten how the pull ended; try again".to_owned());
        };
        let limits = &self.0.settings.build;
        Ok(match ended.result {
            ServiceResult::Success => None,
            ServiceResult::Timeout => Some(Failure::Slow(limits.timeout)),
            ServiceResult::OomKill => Some(Failure::Memory(limits.memory)),
            ServiceResult::ExitCode
            | ServiceResult::Signal
            | ServiceResult::CoreDump
            | ServiceResult::Watchdog
            | ServiceResult::StartLimit
            | ServiceResult::Resources
            | ServiceResult::Protocol
            | ServiceResult::Other(_) => {
                let tail = self.machine().workspace.tail(&pull.log, TAIL);
                let tail = tail.map_err(|error| format!("the pull failed, and its log: {error}"))?;
                Some(Failure::said(tail.rsplit(BEGIN).next().unwrap_or(&tail)))
            }
        })
    }

    async fn describe_pull(&self, pull: &Pull<'_>) -> Result<Transient, String> {
        let Pull { image, unit, dir, folder, log } = pull;
        // The name is complete and begins with a host: it is never looked up as a short one.
        let argv = ["podman", "pull", "--", &image.to_string()].map(str::to_owned).to_vec();
        let argv = self.with_sign_ins(folder, Some(image.registry()), "pull", argv).await;
        let limits = &self.0.settings.build;
        Ok(Transient {
            name: unit.clone(),
            description: format!("Pull of {image}"),
            argv: argv.map_err(|error| format!("signing in at the registry: {error}"))?,
            // Where the pull is killed, what had arrived goes with the folder.
            env: BTreeMap::from([("TMPDIR".to_owned(), dir.to_string_lossy().into_owned())]),
            dir: dir.clone(),
            output_file: log.clone(),
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
}

/// Why there is no image, as far as Podman's own words tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Slow(Duration),
    Memory(u64),
    DiskFull,
    NotAllowed,
    TooMany,
    NotThere,
    NotForThisMachine,
    NotTrusted,
    Down,
    Other,
}

impl Failure {
    /// The first of these words that stands in what Podman printed decides. What is refused is named before what is
    /// missing, for many registries say both of an image that is private.
    const WORDS: [(&'static str, Self); 24] = [
        ("no space left on device", Self::DiskFull),
        ("disk quota exceeded", Self::DiskFull),
        ("toomanyrequests", Self::TooMany),
        ("too many requests", Self::TooMany),
        ("unauthorized", Self::NotAllowed),
        ("authentication required", Self::NotAllowed),
        ("is denied", Self::NotAllowed),
        (": denied", Self::NotAllowed),
        ("403 (forbidden)", Self::NotAllowed),
        ("403 forbidden", Self::NotAllowed),
        ("invalid username/password", Self::NotAllowed),
        ("manifest unknown", Self::NotThere),
        ("name unknown", Self::NotThere),
        ("404 (not found)", Self::NotThere),
        ("404 not found", Self::NotThere),
        ("no image found in manifest list", Self::NotForThisMachine),
        ("no image found in image index", Self::NotForThisMachine),
        ("x509:", Self::NotTrusted),
        ("server gave http response to https client", Self::NotTrusted),
        ("dial tcp", Self::Down),
        ("timeout", Self::Down),
        ("eof", Self::Down),
        ("connection reset", Self::Down),
        ("received unexpected http status: 5", Self::Down),
    ];

    fn said(words: &str) -> Self {
        let words = words.to_lowercase();
        let found = Self::WORDS.into_iter().find(|(part, _)| words.contains(part));
        found.map_or(Self::Other, |(_, failure)| failure)
    }

    /// Whether it may be over in a moment.
    fn passes(self) -> bool {
        matches!(self, Self::Down)
    }

    fn explain(self, image: &ImageRef) -> String {
        let host = image.registry();
        match self {
            Self::Slow(limit) => format!(
                "{image} did not arrive within {} s: {host} is slow or hangs. Deploy again later, or raise timeout_s \
                 under [build]",
                limit.as_secs()
            ),
            Self::Memory(bytes) => format!(
                "the pull of {image} ran out of memory: it may use {} MiB. Raise memory_mb under [build]",
                bytes / (1024 * 1024)
            ),
            Self::DiskFull => {
                format!("there is no room for {image}: free some disk space, then deploy again")
            }
            Self::NotAllowed => format!(
                "{host} does not give {image} to us: the image is private or does not exist. Check its name; if it \
                 is right, sign in: rivetr registries add {host} --user NAME --password-stdin"
            ),
            Self::TooMany => format!(
                "{host} has given enough for now (it limits pulls): try later, or sign in: rivetr registries add {host} \
                 --user NAME --password-stdin"
            ),
            Self::NotThere => format!("{host} has no {image}: check the name and the tag"),
            Self::NotForThisMachine => {
                format!("{image} is not made for this machine's processor: choose another image or tag")
            }
            Self::NotTrusted => format!(
                "{host} cannot be trusted: it shows no certificate that this machine knows. Put its authority's into \
                 /etc/containers/certs.d/{host}/ca.crt"
            ),
            Self::Down => format!("{host} does not answer, or broke off"),
            Self::Other => format!("{image} could not be pulled; the last lines above say why"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_read_from_podmans_words() {
        for (said, expect) in [
            (
                "Error: initializing source docker://docker.io/library/nope:latest: reading manifest latest in \
              docker.io/library/nope: requested access to the resource is denied",
                Failure::NotAllowed,
            ),
            ("reading manifest nope in 127.0.0.1:5000/library/busybox: manifest unknown", Failure::NotThere),
            (
                "reading manifest latest in h:5000/x: name unknown: repository name not known to registry",
                Failure::NotThere,
            ),
            (
                "unable to retrieve auth token: invalid username/password: unauthorized: incorrect username",
                Failure::NotAllowed,
            ),
            (
                "pinging container registry h:5000: Get \"https://h:5000/v2/\": dial tcp 10.0.0.1:5000: connect: \
              connection refused",
                Failure::Down,
            ),
            ("reading blob sha256:ab: unexpected EOF", Failure::Down),
            (
                "Get \"https://h:5000/v2/\": http: server gave HTTP response to HTTPS client",
                Failure::NotTrusted,
            ),
            (
                "writing blob: storing blob to file: write /var/tmp/x: no space left on device",
                Failure::DiskFull,
            ),
            (
                "reading manifest latest: toomanyrequests: You have reached your pull rate limit",
                Failure::TooMany,
            ),
            (
                "choosing an image from manifest list docker://h/x: no image found in manifest list for \
              architecture \"arm64\"",
                Failure::NotForThisMachine,
            ),
            ("something else", Failure::Other),
        ] {
            assert_eq!(Failure::said(said), expect, "{said}");
        }
    }

    #[test]
    fn each_failure_names_the_image_or_its_registry() {
        let image = ImageRef::parse("ghcr.io/owner/app:v1").unwrap();
        let others = [Failure::Slow(Duration::from_secs(9)), Failure::Memory(1 << 30), Failure::Other];
        for failure in Failure::WORDS.into_iter().map(|(_, failure)| failure).chain(others) {
            let words = failure.explain(&image);
            assert!(words.contains("ghcr.io"), "{words}");
        }
        assert!(Failure::NotAllowed.explain(&image).contains("rivetr registries add ghcr.io --user"));
    }
}
