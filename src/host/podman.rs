//! Podman over its socket: which images there are, and away with images and containers no longer wanted.
//!
//! Starts nothing and builds nothing: units do. podman-api where it does what is meant; a small client of our own,
//! `raw`, where it does not (it removes images by force, and with them the containers that use them).

mod exec;
mod pull;
mod raw;
mod secret;
mod stream;
mod transfer;
mod usage;
mod volume;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Method, StatusCode};
use podman_api::models::LibpodImageSummary;
use podman_api::opts::{ContainerDeleteOpts, ImageListFilter, ImageListOpts};
use serde::Deserialize;
use thiserror::Error;
use tokio::time::timeout;

pub use self::exec::{Executed, Piece, Pieces, Running};
pub use self::pull::Pulled;
use self::raw::Socket;
pub use self::secret::SecretOf;
pub use self::stream::Streamed;
pub use self::transfer::{ImageFacts, Mounting, NamedVolume};
pub use self::usage::DiskUse;
pub use self::volume::Volume;
use crate::domain::deployment::ImageId;
use crate::domain::time::Timestamp;

/// How long Podman may take to answer; removing a container waits for its process to end.
const LIMIT: Duration = Duration::from_mins(1);
/// How long a container that is being removed has to end by itself, in seconds.
const GRACE: usize = 10;

/// Podman's API. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Podman {
    api: podman_api::Podman,
    raw: Socket,
}

/// Why Podman did not do it.
#[derive(Debug, Error)]
pub enum PodmanError {
    /// Nobody answers on its socket.
    #[error("cannot reach Podman at {}: {why}; is podman.socket active? (systemctl enable --now podman.socket, for a user with --user)", socket.display())]
    Unreachable {
        /// The socket.
        socket: PathBuf,
        /// What the connection says.
        why: String,
    },
    /// It took too long.
    #[error("Podman did not {what} within {} s", LIMIT.as_secs())]
    Slow {
        /// What it was asked to do.
        what: String,
    },
    /// It said no.
    #[error("Podman did not {what}: {said} ({status})")]
    Refused {
        /// What it was asked to do.
        what: String,
        /// The status of its answer.
        status: u16,
        /// Its own words.
        said: String,
    },
    /// The image is used by a container.
    #[error("the image {image} is in use by a container: {said}")]
    InUse {
        /// The image.
        image: String,
        /// Podman's own words.
        said: String,
    },
    /// The volume is used by a container.
    #[error("the volume {volume} is in use by a container: {said}")]
    VolumeInUse {
        /// The volume.
        volume: String,
        /// Podman's own words.
        said: String,
    },
    /// Its answer cannot be understood.
    #[error("Podman's answer cannot be understood ({what}): {why}")]
    Answer {
        /// What it was asked to do.
        what: String,
        /// What is wrong with the answer.
        why: String,
    },
}

/// The version of the Podman that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number.
    pub patch: u32,
}

impl Version {
    /// Takes `5.4.2`, also with an addition such as `-dev`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let numbers = text.split(['-', '+']).next()?;
        let mut numbers = numbers.split('.').map(|number| number.parse().ok());
        Some(Self {
            major: numbers.next()??,
            minor: numbers.next().unwrap_or(Some(0))?,
            patch: numbers.next().unwrap_or(Some(0))?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// An image in Podman's storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its identity.
    pub id: ImageId,
    /// The names it goes by.
    pub names: Vec<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What it takes on disk, in bytes; layers may be shared.
    pub size: u64,
    /// When it was built.
    pub created: Timestamp,
}

impl Podman {
    /// The API behind a socket; nothing is connected yet.
    #[must_use]
    pub fn new(socket: &Path) -> Self {
        Self { api: podman_api::Podman::unix(socket), raw: Socket::new(socket) }
    }

    /// What is said where somebody else knows that nobody listens.
    #[must_use]
    pub fn away(&self, why: &str) -> PodmanError {
        self.raw.unreachable(&why)
    }

    /// Which Podman answers.
    pub async fn version(&self) -> Result<Version, PodmanError> {
        let what = "tell its version";
        let answer = self.ask(what, || self.api.version()).await?;
        let text = answer.version.unwrap_or_default();
        let why = || PodmanError::Answer { what: what.to_owned(), why: format!("{text:?} is no version") };
        Version::parse(&text).ok_or_else(why)
    }

    /// The image of this full name, such as `localhost/rivetr/blog:7`; none if there is no such image.
    ///
    /// Asked for by its name: to list images and filter them takes Podman more than twice as long.
    pub async fn image(&self, name: &str) -> Result<Option<ImageId>, PodmanError> {
        #[derive(Deserialize)]
        struct Inspected {
            #[serde(rename = "Id")]
            id: String,
        }
        let what = format!("look at the image {name}");
        let path = format!("/libpod/images/{}/json", raw::encode(name));
        let answer = self.raw.ask(&what, Method::GET, &path).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = answer.accepted(&what)?.body;
        let inspected: Inspected = serde_json::from_slice(&body)
            .map_err(|error| PodmanError::Answer { what, why: error.to_string() })?;
        image_id(&inspected.id).map(Some)
    }

    /// What an image puts before the words of a command; nothing, if it has no entry point.
    pub async fn entrypoint(&self, image: &ImageId) -> Result<Vec<String>, PodmanError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Inspected {
            config: Option<Config>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Config {
            #[serde(default)]
            entrypoint: Option<Vec<String>>,
        }
        let id = image.digits();
        let what = format!("look at the image {id}");
        let path = format!("/libpod/images/{id}/json");
        let answer = self.raw.ask(&what, Method::GET, &path).await?.accepted(&what)?;
        let Inspected { config } = answer.read(&what)?;
        Ok(config.and_then(|config| config.entrypoint).unwrap_or_default())
    }

    /// The images that go by this name, whatever the tag.
    pub async fn images_named(&self, name: &str) -> Result<Vec<Image>, PodmanError> {
        self.images(ImageListFilter::Reference(name.into(), None)).await
    }

    /// Takes a name off an image, and the image away with its last name; one that is not there is as good as gone.
    ///
    /// Not by untagging: without a name to take off, that takes all of them off (FACTS 11.7).
    pub async fn untag_or_remove(&self, name: &str) -> Result<(), PodmanError> {
        let what = format!("remove the image {name}");
        let path = format!("/libpod/images/{}?force=false", raw::encode(name));
        let answer = self.raw.ask(&what, Method::DELETE, &path).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(()),
            StatusCode::CONFLICT => {
                Err(PodmanError::InUse { image: name.to_owned(), said: answer.message() })
            }
            _ => answer.accepted(&what).map(drop),
        }
    }

    /// Removes a container with its anonymous volumes, also while it runs; one that is not there is as good as gone.
    pub async fn remove_container(&self, name: &str) -> Result<(), PodmanError> {
        let opts = ContainerDeleteOpts::builder().force(true).volumes(true).timeout(GRACE).build();
        let container = self.api.containers().get(name);
        let what = format!("remove the container {name}");
        let removed = match self.ask(&what, || container.delete(&opts)).await {
            // A container whose conmon died is removed at the second try only, before Podman 5.6 (FACTS 11.9).
            Err(PodmanError::Refused { status: 500.., .. }) => {
                self.ask(&what, || container.delete(&opts)).await
            }
            other => other,
        };
        match removed {
            Err(PodmanError::Refused { status: 404, .. }) => Ok(()),
            other => other,
        }
    }

    /// Removes a network that no container uses; one that is not there is as good as gone.
    pub async fn remove_network(&self, name: &str) -> Result<(), PodmanError> {
        let what = format!("remove the network {name}");
        let path = format!("/libpod/networks/{}", raw::encode(name));
        let answer = self.raw.ask(&what, Method::DELETE, &path).await?;
        if answer.status == StatusCode::NOT_FOUND { Ok(()) } else { answer.accepted(&what).map(drop) }
    }

    /// Removes the containers that killed builds left behind (FACTS 11.16), and says how many they were. They carry
    /// no label, so they are told by their time: hand in the span of the builds that were killed, and only while
    /// no other build is running.
    pub async fn remove_build_leftovers(&self, made: Range<Timestamp>) -> Result<usize, PodmanError> {
        let what = "list the containers of builds";
        let path = "/libpod/containers/json?all=true&external=true";
        let answer = self.raw.ask(what, Method::GET, path).await?.accepted(what)?;
        let found: Vec<External> = serde_json::from_slice(&answer.body)
            .map_err(|error| PodmanError::Answer { what: what.to_owned(), why: error.to_string() })?;
        let mut removed = 0;
        for left in found.iter().filter(|external| external.is_leftover(&made)) {
            let what = format!("remove the build container {}", left.id);
            let path = format!("/libpod/containers/{}?force=true", raw::encode(&left.id));
            let answer = self.raw.ask(&what, Method::DELETE, &path).await?;
            if answer.status != StatusCode::NOT_FOUND {
                answer.accepted(&what)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    async fn images(&self, filter: ImageListFilter) -> Result<Vec<Image>, PodmanError> {
        let opts = ImageListOpts::builder().filter([filter]).build();
        let images = self.api.images();
        let found = self.ask("list images", || images.list(&opts)).await?;
        found.into_iter().map(image).collect()
    }

    /// Asks through podman-api what may be asked twice.
    async fn ask<T, F>(&self, what: &str, answer: impl Fn() -> F) -> Result<T, PodmanError>
    where
        F: Future<Output = Result<T, podman_api::Error>>,
    {
        let mut tries = 1;
        loop {
            match Box::pin(self.ask_once(what, answer())).await {
                Err(PodmanError::Unreachable { .. }) if tries < raw::TRIES => tries += 1,
                answered => return answered,
            }
        }
    }

    async fn ask_once<T>(
        &self,
        what: &str,
        answer: impl Future<Output = Result<T, podman_api::Error>>,
    ) -> Result<T, PodmanError> {
        let what = || what.to_owned();
        let error = match timeout(LIMIT, answer).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => return Err(PodmanError::Slow { what: what() }),
        };
        #[expect(clippy::wildcard_enum_match_arm, reason = "all other errors are about the answer's text")]
        Err(match error {
            podman_api::Error::IO(error) => self.raw.unreachable(&error),
            podman_api::Error::Error(error) => self.raw.unreachable(&error),
            podman_api::Error::Fault { code, message } => {
                PodmanError::Refused { what: what(), status: code.as_u16(), said: message }
            }
            other => PodmanError::Answer { what: what(), why: other.to_string() },
        })
    }
}

/// What the list of external containers says of one; podman-api cannot ask for them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct External {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    command: Option<Vec<String>>,
    #[serde(default)]
    created: String,
}

impl External {
    fn is_leftover(&self, made: &Range<Timestamp>) -> bool {
        // A build that is killed before it wrote what it is about leaves one of which only the name tells.
        let by_buildah = match self.command.as_deref().unwrap_or_default() {
            [command] if command == "buildah" => true,
            [command] if command == "storage" => self.has_name_of_build(),
            _ => false,
        };
        let created = self.created.parse::<jiff::Timestamp>().map(|at| Timestamp(at.as_millisecond()));
        self.state == "storage" && by_buildah && created.is_ok_and(|at| made.contains(&at))
    }

    /// As buildah names them: `<image>-working-container`, and a number behind where there is one already.
    fn has_name_of_build(&self) -> bool {
        let of_build = |name: &String| {
            name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-')
                .ends_with("-working-container")
        };
        self.names.iter().flatten().any(of_build)
    }
}

fn image(found: LibpodImageSummary) -> Result<Image, PodmanError> {
    let LibpodImageSummary { id, names, labels, size, created, .. } = found;
    Ok(Image {
        id: image_id(&id.unwrap_or_default())?,
        names: names.unwrap_or_default(),
        labels: labels.unwrap_or_default().into_iter().collect(),
        size: u64::try_from(size.unwrap_or(0)).unwrap_or(0),
        created: Timestamp(created.unwrap_or(0).saturating_mul(1000)),
    })
}

fn image_id(text: &str) -> Result<ImageId, PodmanError> {
    let why = |error: crate::domain::name::InvalidName| error.to_string();
    ImageId::parse(text)
        .map_err(|error| PodmanError::Answer { what: "name an image".to_owned(), why: why(error) })
}

#[cfg(test)]
mod tests;
