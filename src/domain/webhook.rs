//! Webhooks: what a provider tells of a push or an image, and what an app, or a service that follows a repository, makes
//! of it.
//!
//! [`judge`] is the whole rule. Nothing that a sender says is deployed: it decides whether the head of the branch that is
//! followed is fetched anew, and no more. Who may send is decided elsewhere, before anything is read.

use std::fmt;

use super::app::AppId;
use super::deployment::DeploymentId;
use super::name::Slug;
use super::secret::Sealed;
use super::service::ServiceId;
use super::source::{CommitId, GitSource, GitUrl, Reference, Source};
use super::time::Timestamp;
use super::watch::Watch;

/// What the name of a service begins with in the address that a provider sends to.
pub const SERVICE_ADDRESS: &str = "service.";
/// The longest reason, in characters.
const REASON_MAX: usize = 400;

/// Who sends, and with that the form of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// GitHub and GitHub Enterprise.
    Github,
    /// GitLab.
    Gitlab,
    /// Gitea and Forgejo.
    Gitea,
    /// Bitbucket Cloud.
    Bitbucket,
    /// Docker Hub.
    Dockerhub,
    /// The container registry of GitHub.
    Ghcr,
    /// Anything else that can sign what it sends.
    Generic,
}

/// Who takes deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// An app.
    App(AppId),
    /// A service that follows a repository.
    Service(ServiceId),
}

/// What lets one app or service take deliveries of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Who takes them.
    pub target: Target,
    /// Who may send.
    pub provider: Provider,
    /// What tells the sender from others.
    pub key: Key,
    /// The files that matter.
    pub watch: Watch,
    /// When its secret was made.
    pub created: Timestamp,
}

/// How the secret of a webhook is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Sealed, for it is needed to compute signatures.
    Sealed(Sealed),
    /// As SHA-256, where the provider signs nothing and the secret is part of the address.
    Hash([u8; 32]),
}

/// What a delivery says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// References of a repository have moved.
    Push {
        /// Each address the repository is known by; empty: the sender does not say.
        repository: Vec<String>,
        /// What has moved.
        changes: Vec<Change>,
    },
    /// An image was published.
    Image {
        /// Registry and path, such as `docker.io/library/nginx`.
        repository: String,
        /// Its tag, if it has one.
        tag: Option<String>,
    },
    /// The provider tries whether anybody answers.
    Ping,
    /// Something that rivetr does not act on.
    Other,
}

/// One reference that has moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its full name: `refs/heads/main`.
    pub reference: String,
    /// It is gone.
    pub deleted: bool,
    /// Where it points to now, as the sender says.
    pub head: Option<CommitId>,
    /// The message of that commit.
    pub message: Option<String>,
    /// What the push changes.
    pub files: Files,
}

/// The files that a push changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// All of them, over all its commits.
    Known(Vec<String>),
    /// They cannot be told from the delivery, and why.
    Unknown(&'static str),
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It asked for a deployment.
    Deployed,
    /// It was a test of the connection.
    Ping,
    /// It does not concern who takes it.
    Ignored,
    /// It concerns who takes it and was not wanted.
    Skipped,
    /// Its signature was missing or wrong.
    Refused,
    /// It could not be read, or nothing could be deployed.
    Failed,
}

/// A verdict and its reason, and the commit it speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in words.
    pub reason: String,
    /// The head of the branch that is followed, as the sender says: what was judged once is not news after a restart.
    pub head: Option<CommitId>,
}

/// A delivery's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(pub i64);

/// A delivery as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its number in the store.
    pub id: DeliveryId,
    /// Whom it was for.
    pub target: Target,
    /// The name of that app or service.
    pub slug: Slug,
    /// Who sent it.
    pub provider: Provider,
    /// The number the provider gave it.
    pub name: Option<String>,
    /// The provider's word for what happened.
    pub event: String,
    /// When it came.
    pub received: Timestamp,
    /// What became of it.
    pub verdict: Verdict,
    /// Why.
    pub reason: String,
    /// The deployment of the app that it asked for.
    pub deployment: Option<DeploymentId>,
    /// The revision of the service that it asked for, by its number there.
    pub revision: Option<u32>,
    /// It is another one, looked at once more.
    pub replay_of: Option<DeliveryId>,
}

impl Target {
    /// What people call it.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::App(_) => "app",
            Self::Service(_) => "service",
        }
    }

    /// Its name in the address that a provider sends to: that of a service has what no name of an app has.
    #[must_use]
    pub fn address(self, slug: &Slug) -> String {
        match self {
            Self::App(_) => slug.to_string(),
            Self::Service(_) => format!("{SERVICE_ADDRESS}{slug}"),
        }
    }

    /// What the secret of its webhook of a provider is sealed for.
    #[must_use]
    pub fn place(self, provider: Provider) -> String {
        match self {
            Self::App(AppId(app)) => format!("webhook/{app}/{provider}"),
            Self::Service(ServiceId(service)) => format!("webhook/service-{service}/{provider}"),
        }
    }
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 7] = [
        Self::Github,
        Self::Gitlab,
        Self::Gitea,
        Self::Bitbucket,
        Self::Dockerhub,
        Self::Ghcr,
        Self::Generic,
    ];

    /// The word in addresses and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Gitea => "gitea",
            Self::Bitbucket => "bitbucket",
            Self::Dockerhub => "dockerhub",
            Self::Ghcr => "ghcr",
            Self::Generic => "generic",
        }
    }

    /// The provider of a word, if it is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == word)
    }

    /// The one that a repository lies at, where its host says so.
    #[must_use]
    pub fn of(source: &Source) -> Option<Self> {
        let Source::Git(GitSource { url, .. }) = source else { return None };
        match place(url.as_str())?.0.as_str() {
            "github.com" => Some(Self::Github),
            "gitlab.com" => Some(Self::Gitlab),
            "codeberg.org" | "gitea.com" => Some(Self::Gitea),
            "bitbucket.org" => Some(Self::Bitbucket),
            _ => None,
        }
    }

    /// Whether it signs what it sends. Docker Hub does not: there the address itself is the secret.
    #[must_use]
    pub fn signs(self) -> bool {
        self != Self::Dockerhub
    }

    /// Whether what has this source can use it; otherwise why not.
    pub fn fits(self, source: &Source) -> Result<(), String> {
        match (source, self) {
            (Source::Push { .. }, _) => Err("this app is deployed by `git push` to rivetr, which needs no \
                                             webhook; a webhook is for apps that rivetr fetches"
                .to_owned()),
            (Source::Upload, _) => {
                Err("this app is deployed from uploads: there is nothing that rivetr could fetch \
                                        when a webhook comes"
                    .to_owned())
            }
            (Source::Inline { .. }, _) => {
                Err("this app is built from a Containerfile that is kept with it: \
                                               there is nothing that a webhook could tell of"
                    .to_owned())
            }
            (Source::Image { .. }, Self::Github | Self::Gitlab | Self::Gitea | Self::Bitbucket) => {
                Err(format!("{self} tells of pushes to repositories, and this app is an image"))
            }
            (Source::Image { .. }, Self::Dockerhub | Self::Ghcr | Self::Generic) => Ok(()),
            (Source::Git(_), Self::Dockerhub | Self::Ghcr) => {
                Err(format!("{self} tells of images, and this comes from a repository"))
            }
            (Source::Git(_), Self::Github | Self::Gitlab | Self::Gitea | Self::Bitbucket | Self::Generic) => {
                Ok(())
            }
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 6] =
        [Self::Deployed, Self::Ping, Self::Ignored, Self::Skipped, Self::Refused, Self::Failed];

    /// The word people read.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Ping => "ping",
            Self::Ignored => "ignored",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    /// The verdict of a word, if it is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }

    /// With its reason. That may quote the sender: it is cut short, and nothing in it drives a terminal.
    #[must_use]
    pub fn because(self, reason: impl AsRef<str>) -> Judgement {
        let harmless = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let reason = reason.as_ref().chars().take(REASON_MAX).map(harmless).collect();
        Judgement { verdict: self, reason, head: None }
    }
}

/// What follows of an event for what has this source.
#[must_use]
pub fn judge(source: &Source, watch: &Watch, event: &Event) -> Judgement {
    match event {
        Event::Ping => Verdict::Ping.because("the provider tries the connection: it works"),
        Event::Other => Verdict::Ignored.because("rivetr does not act on this event"),
        Event::Push { repository, changes } => judge_push(source, watch, repository, changes),
        Event::Image { repository, tag } => judge_image(source, repository, tag.as_deref()),
    }
}

fn judge_image(source: &Source, repository: &str, tag: Option<&str>) -> Judgement {
    let Source::Image { image } = source else {
        return Verdict::Ignored.because("this app is not an image of a registry");
    };
    let told = tag.map_or_else(|| repository.to_owned(), |tag| format!("{repository}:{tag}"));
    if !matches_image(&image.to_string(), repository, tag) {
        return Verdict::Ignored.because(format!("another image: {told}, not {image}"));
    }
    Verdict::Deployed.because(format!("{told} was published"))
}

fn judge_push(source: &Source, watch: &Watch, repository: &[String], changes: &[Change]) -> Judgement {
    let Source::Git(GitSource { url, reference, .. }) = source else {
        return Verdict::Ignored.because("this app is not fetched from a repository");
    };
    if !repository.is_empty() && !repository.iter().any(|address| is_same_repository(url, address)) {
        let first = repository.first().map_or("", String::as_str);
        return Verdict::Ignored.because(format!("another repository: {first}, not {url}"));
    }
    let (wanted, followed) = match reference {
        Reference::Branch(branch) => (format!("refs/heads/{branch}"), format!("the branch {branch}")),
        Reference::Tag(tag) => (format!("refs/tags/{tag}"), format!("the tag {tag}")),
        Reference::Commit(commit) => {
            let reason = format!("only the one commit {} is deployed", commit.short());
            return Verdict::Ignored.because(reason);
        }
    };
    let Some(change) = changes.iter().find(|change| change.reference == wanted) else {
        return Verdict::Ignored.because(match changes.first().map(|change| change.reference.as_str()) {
            None => "the push moves nothing".to_owned(),
            Some(other) => match (other.strip_prefix("refs/heads/"), other.strip_prefix("refs/tags/")) {
                (Some(other), _) => format!("the branch {other}, and {followed} is followed"),
                (_, Some(tag)) => format!("the tag {tag}, and {followed} is followed"),
                _ => format!("{other} is not {followed}"),
            },
        });
    };
    if change.deleted {
        return Verdict::Ignored.because(format!("{followed} was deleted; what runs goes on"));
    }
    Judgement { head: change.head.clone(), ..judge_change(watch, change) }
}

fn judge_change(watch: &Watch, change: &Change) -> Judgement {
    if let Some(marker) = change.message.as_deref().and_then(skip_marker) {
        return Verdict::Skipped.because(format!("the message of the head commit has {marker}"));
    }
    if watch.is_everything() {
        return Verdict::Deployed.because("a push of what is followed");
    }
    match &change.files {
        Files::Unknown(why) => {
            Verdict::Deployed.because(format!("which files have changed cannot be told: {why}"))
        }
        Files::Known(files) => match files.iter().find(|file| watch.covers(file)) {
            Some(file) => Verdict::Deployed.because(format!("{file} is watched")),
            None => Verdict::Skipped.because(format!(
                "none of the {} changed files is watched ({})",
                files.len(),
                watch.patterns().join(" ")
            )),
        },
    }
}

/// The marker in a commit's message that asks for no deployment.
fn skip_marker(message: &str) -> Option<&'static str> {
    let message = message.to_ascii_lowercase();
    ["[skip ci]", "[ci skip]", "[skip rivetr]"].into_iter().find(|marker| message.contains(marker))
}

/// Whether an address names this repository, however it is reached: over HTTPS or SSH, with or without `.git`.
#[must_use]
pub fn is_same_repository(url: &GitUrl, address: &str) -> bool {
    place(url.as_str()).is_some_and(|one| place(address) == Some(one))
}

/// The host and the path of an address. Ports are left out: those of HTTPS and SSH differ.
fn place(address: &str) -> Option<(String, String)> {
    let (authority, path) = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        None => address.split_once(':')?, // git@github.com:owner/name.git
    };
    let host = authority.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => host.split(':').next()?,
    };
    let path = path.trim_matches('/').to_ascii_lowercase();
    let path = path.strip_suffix(".git").unwrap_or(&path);
    (!host.is_empty() && !path.is_empty()).then(|| (host.to_ascii_lowercase(), path.to_owned()))
}

/// Whether an image that was published is the one that an app runs: same repository, and the tag it follows. One
/// that is pinned by digest follows nothing.
#[must_use]
pub fn matches_image(runs: &str, repository: &str, tag: Option<&str>) -> bool {
    let (name, follows) = match runs.rsplit_once(':') {
        _ if runs.contains('@') => return false,
        // The colon of a port stands before a slash.
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        Some(_) | None => (runs, "latest"),
    };
    full_name(name) == full_name(repository) && tag == Some(follows)
}

/// `nginx` is `docker.io/library/nginx`.
fn full_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let name = name.strip_prefix("index.").filter(|rest| rest.starts_with("docker.io/")).unwrap_or(&name);
    let registry = |first: &str| first.contains(['.', ':']) || first == "localhost";
    let (registry, path) = match name.split_once('/') {
        Some((first, path)) if registry(first) => (first, path),
        Some(_) | None => ("docker.io", name),
    };
    match registry {
        "docker.io" if !path.contains('/') => format!("docker.io/library/{path}"),
        registry => format!("{registry}/{path}"),
    }
}

#[cfg(test)]
mod tests;
