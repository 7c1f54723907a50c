//! `rivetr domains list` and `rivetr domains check`: what there is, and where it points.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::table;
use super::named;
use crate::api::wire::{self, Domain};
use crate::domain::name::Slug;

/// The arguments of `rivetr domains list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr domains list blog")]
pub struct List {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

/// The arguments of `rivetr domains check`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr domains check blog")]
pub struct Check {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

impl List {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.get(&format!("/api/apps/{}/domains", self.name)).await?;
        session.show(&answer, |domains: wire::List<Domain>| words(&self.name, &domains.items))
    }
}

impl Check {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.get(&format!("/api/apps/{}/domains?dns=true", self.name)).await?;
        session.show(&answer, |domains: wire::List<Domain>| looks(&self.name, &domains.items))
    }
}

fn none(app: &Slug) -> String {
    format!("{app} has no domains. `rivetr domains add {app} HOST` gives it one.\n")
}

fn words(app: &Slug, domains: &[Domain]) -> String {
    if domains.is_empty() {
        return none(app);
    }
    let row = |domain: &Domain| [named(&domain.host, &domain.path), does(domain), https(domain)];
    table(["DOMAIN", "DOES", "HTTPS"], &domains.iter().map(row).collect::<Vec<_>>())
}

fn does(Domain { strip, path, redirect_to, automatic, .. }: &Domain) -> String {
    let what = match redirect_to {
        Some(to) => format!("redirects to {to}"),
        None if *strip => format!("serves, without {path}"),
        None => "serves".to_owned(),
    };
    if *automatic { format!("{what}; given by rivetr") } else { what }
}

fn https(Domain { certificate, https_redirect, .. }: &Domain) -> String {
    match (certificate, https_redirect) {
        (true, true) => "only",
        (true, false) => "and plain HTTP",
        (false, true) => "no certificate yet",
        (false, false) => "no certificate yet; and plain HTTP",
    }
    .to_owned()
}

fn looks(app: &Slug, domains: &[Domain]) -> String {
    if domains.is_empty() {
        return none(app);
    }
    let look = |domain: &Domain| {
        let dns = domain.dns.as_ref();
        [named(&domain.host, &domain.path), dns.map_or_else(String::new, |dns| dns.detail.clone())]
    };
    table(["DOMAIN", "DNS"], &domains.iter().map(look).collect::<Vec<_>>())
}
