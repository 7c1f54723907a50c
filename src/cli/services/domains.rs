//! `rivetr services domains …`: which hosts lead to which containers.

use clap::{Args, Subcommand};

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::table;
use super::{Named, parse_container};
use crate::api::wire::{CreateServiceDomain, List, ServiceDomain};
use crate::domain::name::HostName;

/// What can be done with the domains of a service.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Domains {
    /// List the domains of a service
    #[command(after_help = "Example: rivetr services domains list shop")]
    List(Named),
    /// Have a host lead to a port of a container
    #[command(
        after_help = "Example: rivetr services domains add shop shop.example.org --container web --port 8080"
    )]
    Add(Add),
    /// Take a domain from a service
    #[command(after_help = "Example: rivetr services domains remove shop shop.example.org")]
    Remove(Remove),
}

/// The arguments of `rivetr services domains add`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Add {
    #[command(flatten)]
    service: Named,
    /// The host
    #[arg(value_parser = HostName::parse)]
    host: HostName,
    /// The container, by its name in the compose file
    #[arg(long, value_parser = parse_container)]
    container: String,
    /// The port that it listens on
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Serve plain HTTP too once there is a certificate, in place of redirecting to HTTPS
    #[arg(long)]
    no_https_redirect: bool,
}

/// The arguments of `rivetr services domains remove`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Remove {
    #[command(flatten)]
    service: Named,
    /// The host
    #[arg(value_parser = HostName::parse)]
    host: HostName,
}

impl Domains {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List(Named { name }) => {
                let answer = session.client.get(&format!("/api/services/{name}/domains")).await?;
                session.show(&answer, |domains: List<ServiceDomain>| {
                    let row = |domain: &ServiceDomain| {
                        [domain.host.clone(), domain.container.clone(), domain.port.to_string()]
                    };
                    table(["HOST", "CONTAINER", "PORT"], &domains.items.iter().map(row).collect::<Vec<_>>())
                })
            }
            Self::Add(Add { service: Named { name }, host, container, port, no_https_redirect }) => {
                let request = CreateServiceDomain {
                    host: host.to_string(),
                    container,
                    port,
                    https_redirect: no_https_redirect.then_some(false),
                };
                let answer = session.client.post(&format!("/api/services/{name}/domains"), &request).await?;
                session.show(&answer, |domain: ServiceDomain| {
                    format!("{} leads to port {} of {}.\n", domain.host, domain.port, domain.container)
                })
            }
            Self::Remove(Remove { service: Named { name }, host }) => {
                let answer = session.client.delete(&format!("/api/services/{name}/domains/{host}")).await?;
                session.done(&answer, &format!("{host} leads to {name} no more."))
            }
        }
    }
}
