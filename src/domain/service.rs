//! Services: the containers of a compose file, and the revisions of it that were applied.
//!
//! A revision becomes the live one when all of its containers have come up. One that fails gives way to the one
//! that was live before. What a service that follows a repository is made of is in `followed.rs`.

mod followed;

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use thiserror::Error;

use super::domain::Domain;
use super::name::{InvalidName, Slug};
use super::project::Project;
use super::runtime::PublishedPort;
use super::secret::Sealed;
use super::source::CommitId;
use super::time::Timestamp;

pub use self::followed::{COMPOSE_NAMES, Followed};

/// A service's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub i64);

/// A revision's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RevisionId(pub i64);

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its number in the store.
    pub id: ServiceId,
    /// Its name.
    pub slug: Slug,
    /// The project whose network and slice its containers are in.
    pub project: Project,
    /// What the names of its secrets are made with, so that they tell nothing of what is in them.
    pub salt: String,
    /// The revision that runs.
    pub live: Option<RevisionId>,
    /// Its units may be between two revisions.
    pub unsettled: bool,
    /// Somebody stopped it: it stays so over reboots.
    pub stopped: bool,
    /// It is on its way out.
    pub deleting: bool,
    /// When it was created.
    pub created: Timestamp,
    /// Where its containers answer.
    pub domains: Vec<Domain>,
    /// The repository that its files come from; none: they are handed in.
    pub followed: Option<Followed>,
}

/// The files of a service as somebody handed them in, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// Its number in the store.
    pub id: RevisionId,
    /// The service.
    pub service: ServiceId,
    /// Its number in the service, from 1.
    pub number: u32,
    /// How far it is.
    pub state: RevisionState,
    /// The revision whose files it brings back.
    pub back_to: Option<u32>,
    /// Why it failed, or was never live.
    pub failure: Option<String>,
    /// Its containers.
    pub parts: Vec<Part>,
    /// Its files, units and secrets; none: it was not read yet.
    pub content: Option<Sealed>,
    /// What of the repository it is.
    pub commit: Option<CommitId>,
    /// What is not quite as its files say.
    pub warnings: Vec<String>,
    /// Who asked for it may give what only administrators may.
    pub administrator: bool,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it was live or had failed.
    pub ended: Option<Timestamp>,
}

/// How far a revision is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RevisionState {
    /// It waits for its turn.
    Queued,
    /// Its repository is fetched and read; what runs is not touched.
    Fetching,
    /// Its images are fetched; what runs is not touched.
    Pulling,
    /// What is built of its repository is built; what runs is not touched.
    Building,
    /// What is other than before is started anew.
    Starting,
    /// It runs.
    Live,
    /// It did not come up, and the one before is back.
    Failed,
    /// Another one took its place.
    Superseded,
}

/// A move that a revision cannot make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a revision that is {from} cannot become {to}")]
pub struct IllegalStep {
    from: RevisionState,
    to: RevisionState,
}

/// A container of a revision, as far as it is no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name in the compose file.
    pub name: String,
    /// Its image.
    pub image: String,
    /// The units of its replicas, without `.service`, which are the names of their containers too.
    pub units: Vec<String>,
    /// Their addresses in the project's network; none for one that is not on it.
    pub addresses: Vec<Ipv4Addr>,
    /// The ports of the host that lead to it.
    pub published: Vec<PublishedPort>,
    /// Ports that it is known to listen on.
    pub ports: Vec<u16>,
    /// Whether its health is checked.
    pub checked: bool,
    /// What each of its containers may use of memory, in bytes; none: as much as there is.
    pub memory: Option<u64>,
    /// Likewise of processors, in percent of one.
    pub cpus: Option<u64>,
}

/// The name of a file of a service, relative to the folder of its compose file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

/// The files of a service, by name. The compose file is among them.
pub type Files = BTreeMap<FileName, String>;

/// The most files that a service may have.
pub const FILES_MAX: usize = 50;
/// The most bytes that they may have together.
pub const BYTES_MAX: usize = 1 << 20;

/// What the names of the units and containers of a service begin with.
#[must_use]
pub fn unit_prefix(slug: &Slug) -> String {
    format!("rivetr-svc-{slug}-")
}

impl RevisionState {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Fetching,
        Self::Pulling,
        Self::Building,
        Self::Starting,
        Self::Live,
        Self::Failed,
        Self::Superseded,
    ];
    /// Those of one that is on its way. After a crash it begins again.
    const UNDER_WAY: [Self; 5] =
        [Self::Queued, Self::Fetching, Self::Pulling, Self::Building, Self::Starting];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Fetching => "fetching",
            Self::Pulling => "pulling",
            Self::Building => "building",
            Self::Starting => "starting",
            Self::Live => "live",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
        }
    }

    /// The state of a word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether nothing more is done for it.
    #[must_use]
    pub fn is_end(self) -> bool {
        matches!(self, Self::Live | Self::Failed | Self::Superseded)
    }

    /// Its repository is fetched. Again after a crash.
    pub fn fetch(self) -> Result<Self, IllegalStep> {
        self.step(Self::Fetching, &[Self::Queued, Self::Fetching])
    }

    /// Its images are fetched. Again after a crash.
    pub fn pull(self) -> Result<Self, IllegalStep> {
        self.step(Self::Pulling, &Self::UNDER_WAY)
    }

    /// What it has built is built.
    pub fn build(self) -> Result<Self, IllegalStep> {
        self.step(Self::Building, &[Self::Pulling])
    }

    /// Its containers are started.
    pub fn start(self) -> Result<Self, IllegalStep> {
        self.step(Self::Starting, &[Self::Pulling, Self::Building])
    }

    /// All of them have come up.
    pub fn go_live(self) -> Result<Self, IllegalStep> {
        self.step(Self::Live, &[Self::Starting])
    }

    /// It does not come up.
    pub fn fail(self) -> Result<Self, IllegalStep> {
        self.step(Self::Failed, &Self::UNDER_WAY)
    }

    /// Another one takes its place: as the live one, or before anything of it is started.
    pub fn supersede(self) -> Result<Self, IllegalStep> {
        let from = [Self::Queued, Self::Fetching, Self::Pulling, Self::Building, Self::Live];
        self.step(Self::Superseded, &from)
    }

    fn step(self, to: Self, from: &[Self]) -> Result<Self, IllegalStep> {
        if from.contains(&self) { Ok(to) } else { Err(IllegalStep { from: self, to }) }
    }
}

impl Revision {
    /// Whether it was the live one until another took its place. One whose place was taken before says why it was not.
    #[must_use]
    pub fn has_lived(&self) -> bool {
        self.state == RevisionState::Superseded && self.failure.is_none()
    }
}

impl fmt::Display for RevisionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FileName {
    /// Takes a path below the folder: `compose.yaml`, `config/nginx.conf`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let text = text.strip_prefix("./").unwrap_or(text);
        let fine = |c: char| !c.is_control() && !"\\:,\"'".contains(c);
        let normal = text.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if normal && text.len() <= 200 && text.chars().all(fine) && text.trim() == text {
            return Ok(Self(text.to_owned()));
        }
        let rule = "use a path below the folder of the compose file, such as config/nginx.conf";
        Err(InvalidName::new("file", text, rule))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The compose file among files, by the names that Docker Compose looks for.
#[must_use]
pub fn compose_file(files: &Files) -> Option<&FileName> {
    COMPOSE_NAMES.into_iter().find_map(|name| files.keys().find(|file| file.as_str() == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_of_a_revision() {
        let queued = RevisionState::Queued;
        let starting = queued.pull().and_then(RevisionState::start).unwrap();
        assert_eq!(starting.pull(), Ok(RevisionState::Pulling), "after a crash it begins again");
        let built = queued.fetch().and_then(RevisionState::pull).and_then(RevisionState::build);
        assert_eq!(built.and_then(RevisionState::start), Ok(starting));
        assert!(starting.fetch().is_err() && queued.build().is_err());
        assert_eq!(queued.pull().and_then(RevisionState::supersede), Ok(RevisionState::Superseded));
        let live = starting.go_live().unwrap();
        assert_eq!(live.supersede(), Ok(RevisionState::Superseded));
        assert!(live.fail().is_err() && starting.supersede().is_err() && queued.go_live().is_err());
        for state in RevisionState::ALL {
            assert_eq!(RevisionState::of(state.as_str()), Some(state));
        }
    }

    #[test]
    fn a_file_lies_below_its_folder() {
        assert_eq!(FileName::parse("./a/b.conf").unwrap().as_str(), "a/b.conf");
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a\nb", " a"] {
            assert!(FileName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
