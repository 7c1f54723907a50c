//! `rivetr domains list` and `rivetr domains check`: what there is, and where it points.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::table;
use super::{Kind, led_to, named};
use crate::api::wire::{self, Domain};
use crate::domain::name::Slug;

/// The arguments of `rivetr domains list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct List {
    /// The app or service
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

/// The arguments of `rivetr domains check`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Check {
    /// The app or service
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

impl List {
    pub(in crate::cli) async fn run(&self, session: &mut Session, kind: Kind) -> Result<(), Failure> {
        let answer = session.client.get(&kind.path(&self.name)).await?;
        session.show(&answer, |domains: wire::List<Domain>| words(kind, &self.name, &domains.items))
    }
}

impl Check {
    pub(in crate::cli) async fn run(&self, session: &mut Session, kind: Kind) -> Result<(), Failure> {
        let answer = session.client.get(&format!("{}?dns=true", kind.path(&self.name))).await?;
        session.show(&answer, |domains: wire::List<Domain>| looks(kind, &self.name, &domains.items))
    }
}

fn none(kind: Kind, name: &Slug) -> String {
    format!("{name} has no domains. `{} add {name} HOST` gives it one.\n", kind.command())
}

fn words(kind: Kind, name: &Slug, domains: &[Domain]) -> String {
    if domains.is_empty() { none(kind, name) } else { table_of(kind, domains) }
}

/// Domains, one a line.
pub(in crate::cli) fn table_of(kind: Kind, domains: &[Domain]) -> String {
    let row = |domain: &Domain| [named(&domain.host, &domain.path), does(domain), https(domain)];
    let of_service = |domain: &Domain| {
        let [name, does, https] = row(domain);
        [name, led_to(domain), does, https]
    };
    match kind {
        Kind::App => table(["DOMAIN", "DOES", "HTTPS"], &domains.iter().map(row).collect::<Vec<_>>()),
        Kind::Service => {
            let heading = ["DOMAIN", "LEADS TO", "DOES", "HTTPS"];
            table(heading, &domains.iter().map(of_service).collect::<Vec<_>>())
        }
    }
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

fn looks(kind: Kind, name: &Slug, domains: &[Domain]) -> String {
    if domains.is_empty() {
        return none(kind, name);
    }
    let look = |domain: &Domain| {
        let dns = domain.dns.as_ref();
        [named(&domain.host, &domain.path), dns.map_or_else(String::new, |dns| dns.detail.clone())]
    };
    table(["DOMAIN", "DNS"], &domains.iter().map(look).collect::<Vec<_>>())
}
