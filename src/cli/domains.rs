//! `rivetr domains …`: which hosts lead to an app, or which part of one.

mod add;
mod list;
mod remove;
mod set;

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
    List(list::List),
    /// Change what happens at a domain
    Set(set::Set),
    /// Take a domain from its app
    Remove(remove::Remove),
    /// Look up where the domains of an app point
    Check(list::Check),
}

impl Domains {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(session).await,
            Self::List(list) => list.run(session).await,
            Self::Set(set) => set.run(session).await,
            Self::Remove(remove) => remove.run(session).await,
            Self::Check(check) => check.run(session).await,
        }
    }
}

/// A domain as it is named on the command line: `blog.example.org`, `example.org/api`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
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

    /// The domain of an app that is here.
    async fn find(&self, app: &Slug, session: &Session) -> Result<wire::Domain, Failure> {
        let answer = session.client.get(&format!("/api/apps/{app}/domains")).await?;
        let domains: wire::List<wire::Domain> = answer.decode()?;
        let here =
            |domain: &wire::Domain| domain.host == self.host.to_string() && domain.path == self.path.as_str();
        let missing = || {
            Failure::new(Exit::NotFound, format!("{app} has no domain {self}"))
                .cure(format!("`rivetr domains list {app}` shows those it has"))
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
fn named(host: &str, path: &str) -> String {
    format!("{host}{}", path.strip_suffix('/').unwrap_or(path))
}

/// What happens at a domain: `blog.example.org leads to blog.`
fn sentence(domain: &wire::Domain) -> String {
    let wire::Domain { app, host, path, strip, redirect_to, url, dns, .. } = domain;
    let name = named(host, path);
    let what = match redirect_to {
        Some(to) => format!("redirects to {to}"),
        None if *strip => format!("leads to {app}, which does not see {path}"),
        None => format!("leads to {app}"),
    };
    let place = url.as_ref().map(|url| format!(": {url}")).unwrap_or_default();
    let dns = dns.as_ref().map(|dns| format!("{}.\n", dns.detail)).unwrap_or_default();
    format!("{name} {what}{place}\n{dns}")
}
