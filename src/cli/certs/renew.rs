//! `rivetr certs renew`: does not wait for what is due, nor for what has failed.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use crate::api::wire::{Certificate, RenewCertificate};
use crate::domain::name::HostName;

/// The arguments of `rivetr certs renew`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr certs renew blog.example.org")]
pub struct Renew {
    /// The host
    #[arg(value_parser = HostName::parse)]
    name: HostName,
    /// Have the old one revoked once the new one is served: its key may be known to others
    #[arg(long)]
    revoke: bool,
}

impl Renew {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let path = format!("/api/certificates/{}/renew", self.name);
        let answer = session.client.post(&path, &RenewCertificate { revoke: self.revoke }).await?;
        session.show(&answer, |Certificate { name, .. }| {
            format!("A new certificate for {name} is ordered. `rivetr certs show {name}` says how it goes.\n")
        })
    }
}
