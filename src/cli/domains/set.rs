//! `rivetr domains set`: changes what happens at a domain; where it is stays.

use clap::Args;

use super::super::failure::{Exit, Failure};
use super::super::session::Session;
use super::{Kind, Place, sentence};
use crate::api::wire::{ChangeDomain, Domain, Patch};
use crate::domain::name::{HostName, Slug};

/// The arguments of `rivetr domains set`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Set {
    /// The app or service
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// The domain, with its path if it has one
    #[arg(value_name = "HOST[/PATH]", value_parser = Place::parse)]
    domain: Place,
    /// The app or container sees the path without the domain's own part
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    strip: Option<bool>,
    /// Send requests on to this host of the same app or service
    #[arg(long, value_name = "HOST", value_parser = HostName::parse, conflicts_with = "serve")]
    redirect_to: Option<HostName>,
    /// Have it answer, in place of a redirect
    #[arg(long)]
    serve: bool,
    /// Redirect plain HTTP to HTTPS, once there is a certificate
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    https_redirect: Option<bool>,
}

impl Set {
    pub(in crate::cli) async fn run(self, session: &mut Session, kind: Kind) -> Result<(), Failure> {
        let Self { name, domain, strip, redirect_to, serve, https_redirect } = self;
        let redirect_to = match redirect_to {
            Some(host) => Patch::Set(host.to_string()),
            None if serve => Patch::Reset,
            None => Patch::Keep,
        };
        let change = ChangeDomain { strip: strip.into(), redirect_to, https_redirect: https_redirect.into() };
        if change == ChangeDomain::default() {
            return Err(Failure::new(Exit::Usage, "nothing is to change: name an option; --help lists them"));
        }
        let id = domain.find(kind, &name, session).await?.id;
        let answer = session.client.patch(&format!("/api/domains/{id}"), &change).await?;
        session.show(&answer, |domain: Domain| sentence(&domain))
    }
}
