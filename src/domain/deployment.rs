//! A deployment and the moves it may make: the heart of rivetr.
//!
//! `Queued → Fetching → Building → Starting → Checking → Switching → Retiring → Live`, and the ends
//! `Failed`, `Cancelled` and `Superseded`. Each legal move is one method; any other is an [`IllegalMove`].
//! `Switching` is the commit: before it the old release serves, from it on the new one does.

use std::fmt;
use std::net::Ipv4Addr;

use thiserror::Error;

use super::app::{AppId, Settings};
use super::image::Digest;
use super::name::{InvalidName, Slug};
use super::source::CommitId;
use super::time::Timestamp;

/// A deployment's number in the store, over all apps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeploymentId(pub i64);

/// One attempt to bring a version of an app to life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its number in the store, over all apps.
    pub id: DeploymentId,
    /// The app it belongs to.
    pub app: AppId,
    /// The name of that app.
    pub app_slug: Slug,
    /// Its number among the app's deployments, from 1: `rivetr-app-blog-7`.
    pub number: u32,
    /// What asked for it.
    pub trigger: Trigger,
    /// The number of the deployment whose image and settings it brings back; none: it builds its own.
    pub back_to: Option<u32>,
    /// Why it was asked for, where rivetr itself did.
    pub reason: Option<String>,
    /// What it runs with: a copy of the app's settings when it was asked for.
    pub settings: Settings,
    /// The commit; known from the push, or once it was fetched.
    pub commit: Option<CommitId>,
    /// What it is made of where there is no commit: the archive, the instructions, the image in its registry.
    pub digest: Option<Digest>,
    /// The image; known once it was built.
    pub image: Option<ImageId>,
    /// The addresses of its containers, by number from 1; known once it is being started.
    pub addresses: Vec<Ipv4Addr>,
    /// Where it stands.
    pub state: State,
    /// Why it failed, in words.
    pub failure: Option<Failure>,
    /// When it was asked for.
    pub created: Timestamp,
    /// When it reached its end.
    pub ended: Option<Timestamp>,
}

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Waits for its turn.
    Queued,
    /// The commit is being fetched into this deployment's own directory.
    Fetching,
    /// The image is being built.
    Building,
    /// The units of the new release are written and started beside the old.
    Starting,
    /// The new release is asked until it answers.
    Checking,
    /// The new release is the live one; the proxy is being told.
    Switching,
    /// Requests to the old release end, then it is stopped and removed.
    Retiring,
    /// Done: it was switched to, and what it replaced is gone.
    Live,
    /// It could not be done; what served before still serves.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// A newer one took its place before it was past building.
    Superseded,
}

/// What asked for a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// `git push` to rivetr.
    Push,
    /// A request to the API or from the command line.
    Request,
    /// A webhook, or a branch that had moved while rivetr did not run.
    Webhook,
    /// Somebody wants an earlier release back.
    Rollback,
    /// A release did badly after it went live.
    AutoRollback,
    /// Somebody wants new containers of the same release.
    Restart,
}

/// Why a deployment failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The state in which it failed.
    pub during: State,
    /// What went wrong and what to try, in words.
    pub reason: String,
}

/// The identity of a built image: `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageId(String);

impl ImageId {
    /// Takes 64 hexadecimal digits, with or without `sha256:` before them.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if digits.len() == 64 && digits.chars().all(hex) {
            return Ok(Self(format!("sha256:{digits}")));
        }
        Err(InvalidName::new("image", text, "use sha256: and 64 hexadecimal digits"))
    }

    /// Its digits alone: behind `sha256:` Podman may look for a digest of a registry.
    #[must_use]
    pub fn digits(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or(&self.0)
    }

    /// The identity as text, with `sha256:`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A move that the deployment's state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a deployment that is {from} cannot become {to}")]
pub struct IllegalMove {
    /// Where it stands.
    pub from: State,
    /// Where it was to go.
    pub to: State,
}

impl Deployment {
    /// `Queued → Fetching`: its turn has come.
    pub fn fetch(&mut self) -> Result<(), IllegalMove> {
        self.step(State::Queued, State::Fetching)
    }

    /// `Fetching → Building`: the commit lies in this deployment's directory.
    pub fn build(&mut self, commit: CommitId) -> Result<(), IllegalMove> {
        self.step(State::Fetching, State::Building)?;
        self.commit = Some(commit);
        Ok(())
    }

    /// `Fetching → Building`: what was handed in lies in this deployment's directory.
    pub fn build_content(&mut self, content: Digest) -> Result<(), IllegalMove> {
        self.step(State::Fetching, State::Building)?;
        self.digest = Some(content);
        Ok(())
    }

    /// `Fetching → Starting`: the image came from a registry, and its containers have addresses.
    pub fn adopt(
        &mut self,
        image: ImageId,
        content: Digest,
        addresses: Vec<Ipv4Addr>,
    ) -> Result<(), IllegalMove> {
        self.step(State::Fetching, State::Starting)?;
        self.digest = Some(content);
        self.image = Some(image);
        self.addresses = addresses;
        Ok(())
    }

    /// `Building → Starting`: the image is there, and its containers have addresses.
    pub fn start(&mut self, image: ImageId, addresses: Vec<Ipv4Addr>) -> Result<(), IllegalMove> {
        self.step(State::Building, State::Starting)?;
        self.image = Some(image);
        self.addresses = addresses;
        Ok(())
    }

    /// `Queued → Starting`: its turn has come, and what it brings back needs no build.
    pub fn restore(&mut self, addresses: Vec<Ipv4Addr>) -> Result<(), IllegalMove> {
        if self.back_to.is_none() || self.image.is_none() {
            return Err(IllegalMove { from: self.state, to: State::Starting });
        }
        self.step(State::Queued, State::Starting)?;
        self.addresses = addresses;
        Ok(())
    }

    /// `Starting → Checking`: systemd says that the new release's units run.
    pub fn check(&mut self) -> Result<(), IllegalMove> {
        self.step(State::Starting, State::Checking)
    }

    /// `Checking → Switching`: it answered. Storing this makes it the live release.
    pub fn switch(&mut self) -> Result<(), IllegalMove> {
        self.step(State::Checking, State::Switching)
    }

    /// `Switching → Retiring`: the proxy serves the new release.
    pub fn retire(&mut self) -> Result<(), IllegalMove> {
        self.step(State::Switching, State::Retiring)
    }

    /// `Retiring → Live`: what it replaced is gone.
    pub fn finish(&mut self, now: Timestamp) -> Result<(), IllegalMove> {
        self.step(State::Retiring, State::Live)?;
        self.ended = Some(now);
        Ok(())
    }

    /// To `Failed`, from any state before the commit.
    pub fn fail(&mut self, reason: String, now: Timestamp) -> Result<(), IllegalMove> {
        let during = self.state;
        self.leave(State::Failed, State::Checking, now)?;
        self.failure = Some(Failure { during, reason });
        Ok(())
    }

    /// To `Cancelled`, from any state before the commit.
    pub fn cancel(&mut self, now: Timestamp) -> Result<(), IllegalMove> {
        self.leave(State::Cancelled, State::Checking, now)
    }

    /// To `Superseded`, from any state not past building.
    pub fn supersede(&mut self, now: Timestamp) -> Result<(), IllegalMove> {
        self.leave(State::Superseded, State::Building, now)
    }

    /// The number of the deployment that made its image: its own, unless it brings another back.
    #[must_use]
    pub fn origin(&self) -> u32 {
        self.back_to.unwrap_or(self.number)
    }

    /// The name of its first unit and container: `rivetr-app-blog-7`.
    #[must_use]
    pub fn unit_name(&self) -> String {
        replica_name(&self.app_slug, self.number, 1)
    }

    /// The name of one of its units and containers: `rivetr-app-blog-7`, `rivetr-app-blog-7_2` and so on.
    #[must_use]
    pub fn replica_name(&self, replica: u8) -> String {
        replica_name(&self.app_slug, self.number, replica)
    }

    /// The unit of that name, as systemd shows it.
    #[must_use]
    pub fn replica_service(&self, replica: u8) -> String {
        format!("{}.service", self.replica_name(replica))
    }

    /// Its containers that have an address: number and address.
    pub fn replicas(&self) -> impl Iterator<Item = (u8, Ipv4Addr)> + '_ {
        (1..=u8::MAX).zip(self.addresses.iter().copied())
    }

    /// The tag its image is built as: `localhost/rivetr/blog:7`.
    #[must_use]
    pub fn image_tag(&self) -> String {
        format!("localhost/rivetr/{}:{}", self.app_slug, self.number)
    }

    fn step(&mut self, from: State, to: State) -> Result<(), IllegalMove> {
        if self.state != from {
            return Err(IllegalMove { from: self.state, to });
        }
        self.state = to;
        Ok(())
    }

    fn leave(&mut self, to: State, last: State, now: Timestamp) -> Result<(), IllegalMove> {
        if self.state > last {
            return Err(IllegalMove { from: self.state, to });
        }
        self.state = to;
        self.ended = Some(now);
        Ok(())
    }
}

/// The states that a deployment came through, when, and how long each took in milliseconds; the last one has no time
/// yet, or is its end.
pub fn steps(events: &[(State, Timestamp)]) -> impl Iterator<Item = (State, Timestamp, Option<u64>)> + '_ {
    let next = events.iter().skip(1).map(|(_, at)| Some(*at)).chain([None]);
    events.iter().zip(next).map(|((state, at), next)| (*state, *at, next.map(|next| next.millis_since(*at))))
}

/// The name of a container of a release. The first has the name of its release. An underscore sets the others
/// apart, for no slug has one: with a dash, the second container of `blog`'s release 7 would be `blog-7`'s release 2.
#[must_use]
pub fn replica_name(app: &Slug, number: u32, replica: u8) -> String {
    let prefix = replica_prefix(app);
    match replica {
        0 | 1 => format!("{prefix}{number}"),
        _ => format!("{prefix}{number}_{replica}"),
    }
}

/// What the names of the units and containers of an app's releases begin with.
#[must_use]
pub fn replica_prefix(app: &Slug) -> String {
    format!("rivetr-app-{app}-")
}

impl State {
    /// Every state, in the order in which they come.
    pub const ALL: [Self; 11] = [
        Self::Queued,
        Self::Fetching,
        Self::Building,
        Self::Starting,
        Self::Checking,
        Self::Switching,
        Self::Retiring,
        Self::Live,
        Self::Failed,
        Self::Cancelled,
        Self::Superseded,
    ];

    /// Nothing more will happen to it.
    #[must_use]
    pub fn is_end(self) -> bool {
        self >= Self::Live
    }

    /// It has been made the live release, whatever came after.
    #[must_use]
    pub fn is_past_commit(self) -> bool {
        matches!(self, Self::Switching | Self::Retiring | Self::Live)
    }

    /// The word people read: `checking`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Fetching => "fetching",
            Self::Building => "building",
            Self::Starting => "starting",
            Self::Checking => "checking",
            Self::Switching => "switching",
            Self::Retiring => "retiring",
            Self::Live => "live",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
        }
    }

    /// The state of a word, if it is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Trigger {
    /// Every trigger.
    pub const ALL: [Self; 6] =
        [Self::Push, Self::Request, Self::Webhook, Self::Rollback, Self::AutoRollback, Self::Restart];

    /// The word people read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Request => "request",
            Self::Webhook => "webhook",
            Self::Rollback => "rollback",
            Self::AutoRollback => "auto-rollback",
            Self::Restart => "restart",
        }
    }

    /// The trigger of a word, if it is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|trigger| trigger.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn deployment(state: State) -> Deployment {
        Deployment {
            id: DeploymentId(1),
            app: AppId(1),
            app_slug: Slug::parse("blog").unwrap(),
            number: 7,
            trigger: Trigger::Push,
            back_to: None,
            reason: None,
            settings: Settings::new(NonZeroU16::new(8080).unwrap()),
            commit: None,
            digest: None,
            image: None,
            addresses: Vec::new(),
            state,
            failure: None,
            created: NOW,
            ended: None,
        }
    }

    fn commit() -> CommitId {
        CommitId::parse(&"a".repeat(40)).unwrap()
    }

    fn image() -> ImageId {
        ImageId::parse(&"b".repeat(64)).unwrap()
    }

    fn content() -> Digest {
        Digest::of_sum([7; 32])
    }

    type Move = fn(&mut Deployment) -> Result<(), IllegalMove>;

    /// Each move, where it leads, and the states it is legal from.
    const MOVES: [(Move, State, &[State]); 13] = [
        (|d| d.fetch(), State::Fetching, &[State::Queued]),
        (|d| d.build(commit()), State::Building, &[State::Fetching]),
        (|d| d.build_content(content()), State::Building, &[State::Fetching]),
        (|d| d.adopt(image(), content(), vec![Ipv4Addr::LOCALHOST]), State::Starting, &[State::Fetching]),
        (|d| d.start(image(), vec![Ipv4Addr::LOCALHOST]), State::Starting, &[State::Building]),
        (restore, State::Starting, &[State::Queued]),
        (|d| d.check(), State::Checking, &[State::Starting]),
        (|d| d.switch(), State::Switching, &[State::Checking]),
        (|d| d.retire(), State::Retiring, &[State::Switching]),
        (|d| d.finish(NOW), State::Live, &[State::Retiring]),
        (|d| d.fail("no".to_owned(), NOW), State::Failed, State::ALL.split_at(5).0),
        (|d| d.cancel(NOW), State::Cancelled, State::ALL.split_at(5).0),
        (|d| d.supersede(NOW), State::Superseded, State::ALL.split_at(3).0),
    ];

    fn restore(deployment: &mut Deployment) -> Result<(), IllegalMove> {
        (deployment.back_to, deployment.image) = (Some(5), Some(image()));
        deployment.restore(vec![Ipv4Addr::LOCALHOST])
    }

    #[test]
    fn what_brings_nothing_back_must_be_built() {
        let mut deployment = deployment(State::Queued);
        let illegal = IllegalMove { from: State::Queued, to: State::Starting };
        assert_eq!(deployment.restore(vec![Ipv4Addr::LOCALHOST]), Err(illegal));
        assert_eq!((deployment.state, deployment.origin()), (State::Queued, 7));
        restore(&mut deployment).unwrap();
        assert_eq!((deployment.state, deployment.origin()), (State::Starting, 5));
    }

    #[test]
    fn only_legal_moves_are_made() {
        for (make, to, legal) in MOVES {
            for from in State::ALL {
                let mut deployment = deployment(from);
                let outcome = make(&mut deployment);
                if legal.contains(&from) {
                    assert_eq!((outcome, deployment.state), (Ok(()), to));
                } else {
                    assert_eq!((outcome, deployment.state), (Err(IllegalMove { from, to }), from));
                }
            }
        }
    }

    #[test]
    fn an_end_says_when_and_a_failure_says_where() {
        let mut deployment = deployment(State::Checking);
        deployment.fail("nothing listens on port 8080".to_owned(), NOW).unwrap();
        assert_eq!(deployment.ended, Some(NOW));
        assert_eq!(deployment.failure.map(|failure| failure.during), Some(State::Checking));
    }

    #[test]
    fn names_are_those_a_person_meets() {
        let deployment = deployment(State::Queued);
        assert_eq!(deployment.unit_name(), "rivetr-app-blog-7");
        assert_eq!(deployment.replica_name(1), "rivetr-app-blog-7");
        assert_eq!(deployment.replica_service(2), "rivetr-app-blog-7_2.service");
        assert_eq!(deployment.image_tag(), "localhost/rivetr/blog:7");
    }

    #[test]
    fn each_step_took_until_the_next() {
        let events = [(State::Queued, Timestamp(5)), (State::Fetching, Timestamp(7)), (State::Failed, NOW)];
        let took: Vec<_> = steps(&events).map(|(state, _, took)| (state, took)).collect();
        let expect = [(State::Queued, Some(2)), (State::Fetching, Some(993)), (State::Failed, None)];
        assert_eq!(took, expect);
    }

    #[test]
    fn a_clock_that_is_set_back_takes_no_time() {
        let events =
            [(State::Queued, Timestamp(9_000)), (State::Fetching, NOW), (State::Failed, Timestamp(1_250))];
        let took: Vec<_> = steps(&events).map(|(_, _, took)| took).collect();
        assert_eq!(took, [Some(0), Some(250), None]);
        let mut failed = Deployment { created: Timestamp(9_000), ..deployment(State::Checking) };
        failed.fail("no answer".to_owned(), NOW).unwrap();
        assert_eq!((failed.state, failed.ended), (State::Failed, Some(NOW)));
    }

    #[test]
    fn words_and_states_agree() {
        for state in State::ALL {
            assert_eq!(State::parse(state.as_str()), Some(state));
        }
        assert_eq!(State::parse("running"), None);
        for trigger in Trigger::ALL {
            assert_eq!(Trigger::parse(trigger.as_str()), Some(trigger));
        }
    }
}
