//! `rivetr domains …`: which hosts lead to an app, or which part of one; `rivetr services domains …` likewise.

mod add;
pub(super) mod list;
pub(super) mod remove;
pub(super) mod set;

use std::fmt;

use clap::Subcommand;

use super::failure::{Exit, Failure};
use super::session::Session;
use crate::api::wire;
use crate::domain::domain::{PathPrefix, Pattern};
use crate::domain::name::{InvalidName, Slug};

/// What can be done with domains.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Domains {
    /// Give an app one more domain, which leads to it at once
    Add(add::Add),
    /// List the domains of an app
    #[command(after_help = "Example: rivetr domains list blog")]
    List(list::List),
    /// Change what happens at a domain
    #[command(after_help = "Example: rivetr domains set blog www.example.org --redirect-to example.org")]
    Set(set::Set),
    /// Take a domain from its app
    #[command(after_help = "Example: rivetr domains remove blog www.example.org")]
    Remove(remove::Remove),
    /// Look up where the domains of an app point
    #[command(after_help = "Example: rivetr domains check blog")]
    Check(list::Check),
}

impl Domains {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(session).await,
            Self::List(list) => list.run(session, Kind::App).await,
            Self::Set(set) => set.run(session, Kind::App).await,
            Self::Remove(remove) => remove.run(session, Kind::App).await,
            Self::Check(check) => check.run(session, Kind::App).await,
        }
    }
}

/// What the domains belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    App,
    Service,
}

impl Kind {
    /// Where the API has the domains of one.
    pub(super) fn path(self, name: &Slug) -> String {
        match self {
            Self::App => format!("/api/apps/{name}/domains"),
            Self::Service => format!("/api/services/{name}/domains"),
        }
    }

    /// The command that is about them.
    fn command(self) -> &'static str {
        match self {
            Self::App => "rivetr domains",
            Self::Service => "rivetr services domains",
        }
    }
}

/// A domain as it is named on the command line: `blog.example.org`, `example.org/api`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    host: Pattern,
    path: PathPrefix,
}

impl Place {
    fn parse(text: &str) -> Result<Self, InvalidName> {
        let at = text.find('/').unwrap_or(text.len());
        let (host, path) = text.split_at(at);
        let path = if path.is_empty() { Ok(PathPrefix::root()) } else { PathPrefix::parse(path) };
        Ok(Self { host: Pattern::parse(host)?, path: path? })
    }

    /// The domain of an app or a service that is here.
    async fn find(&self, kind: Kind, name: &Slug, session: &Session) -> Result<wire::Domain, Failure> {
        let answer = session.client.get(&kind.path(name)).await?;
        let domains: wire::List<wire::Domain> = answer.decode()?;
        let here =
            |domain: &wire::Domain| domain.host == self.host.to_string() && domain.path == self.path.as_str();
        let missing = || {
            Failure::new(Exit::NotFound, format!("{name} has no domain {self}"))
                .cure(format!("`{} list {name}` shows those it has", kind.command()))
        };
        domains.items.into_iter().find(here).ok_or_else(missing)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&named(&self.host.to_string(), self.path.as_str()))
    }
}

/// A domain in one word.
pub(super) fn named(host: &str, path: &str) -> String {
    format!("{host}{}", path.strip_suffix('/').unwrap_or(path))
}

/// Where a domain leads: an app, or a port of a container.
fn led_to(domain: &wire::Domain) -> String {
    match (&domain.container, domain.port) {
        (Some(container), Some(port)) => format!("port {port} of {container}"),
        _ => domain.app.clone().unwrap_or_default(),
    }
}

/// What happens at a domain: `blog.example.org leads to blog.`
pub(super) fn sentence(domain: &wire::Domain) -> String {
    let wire::Domain { host, path, strip, redirect_to, url, dns, .. } = domain;
    let (name, to) = (named(host, path), led_to(domain));
    let what = match redirect_to {
        Some(to) => format!("redirects to {to}"),
        None if *strip => format!("leads to {to}, which does not see {path}"),
        None => format!("leads to {to}"),
    };
    let place = url.as_ref().map(|url| format!(": {url}")).unwrap_or_default();
    let dns = dns.as_ref().map(|dns| format!("{}.\n", dns.detail)).unwrap_or_default();
    format!("{name} {what}{place}\n{dns}")
}
