//! `rivetr services domains …`: which hosts lead to which containers, with what happens there as with the domains of apps.

use clap::{Args, Subcommand};

use super::super::domains::list::{Check, List};
use super::super::domains::remove::Remove;
use super::super::domains::set::Set;
use super::super::domains::{Kind, sentence};
use super::super::failure::Failure;
use super::super::session::Session;
use super::{Named, parse_container};
use crate::api::wire::{CreateServiceDomain, Domain};
use crate::domain::domain::{PathPrefix, Pattern};
use crate::domain::name::HostName;

/// What can be done with the domains of a service.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Domains {
    /// List the domains of a service
    #[command(after_help = "Example: rivetr services domains list shop")]
    List(List),
    /// Have a host, or a path of one, lead to a port of a container
    #[command(
        after_help = "Examples: rivetr services domains add shop shop.example.org --container web --port 8080\n          \
                            rivetr services domains add shop shop.example.org --path /api --strip --container api --port 80\n          \
                            rivetr services domains add shop www.shop.example.org --redirect-to shop.example.org"
    )]
    Add(Add),
    /// Change what happens at a domain
    #[command(
        after_help = "Example: rivetr services domains set shop www.example.org --redirect-to example.org"
    )]
    Set(Set),
    /// Take a domain from a service
    #[command(after_help = "Example: rivetr services domains remove shop shop.example.org/api")]
    Remove(Remove),
    /// Look up where the domains of a service point
    #[command(after_help = "Example: rivetr services domains check shop")]
    Check(Check),
}

/// The arguments of `rivetr services domains add`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Add {
    #[command(flatten)]
    service: Named,
    /// The host, or *.example.org for all with one label more
    #[arg(value_name = "HOST", value_parser = Pattern::parse)]
    host: Pattern,
    /// The container, by its name in the compose file
    #[arg(long, value_parser = parse_container, required_unless_present = "redirect_to", requires = "port")]
    container: Option<String>,
    /// The port that it listens on
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..), requires = "container")]
    port: Option<u16>,
    /// Only for paths that are this one or below it
    #[arg(long, value_name = "PATH", value_parser = PathPrefix::parse)]
    path: Option<PathPrefix>,
    /// The container sees the path without that part
    #[arg(long)]
    strip: bool,
    /// Send requests on to this host of the same service
    #[arg(long, value_name = "HOST", value_parser = HostName::parse)]
    redirect_to: Option<HostName>,
    /// Serve plain HTTP too once there is a certificate, in place of redirecting to HTTPS
    #[arg(long)]
    no_https_redirect: bool,
}

impl Domains {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(session, Kind::Service).await,
            Self::Add(add) => add.run(session).await,
            Self::Set(set) => set.run(session, Kind::Service).await,
            Self::Remove(remove) => remove.run(session, Kind::Service).await,
            Self::Check(check) => check.run(session, Kind::Service).await,
        }
    }
}

impl Add {
    async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { service, host, container, port, path, strip, redirect_to, no_https_redirect } = self;
        let request = CreateServiceDomain {
            host: host.to_string(),
            container,
            port,
            path: path.map(|path| path.to_string()),
            strip,
            redirect_to: redirect_to.map(|host| host.to_string()),
            https_redirect: no_https_redirect.then_some(false),
        };
        let answer = session.client.post(&Kind::Service.path(&service.name), &request).await?;
        session.show(&answer, |domain: Domain| sentence(&domain))
    }
}
