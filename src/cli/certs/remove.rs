//! `rivetr certs remove`: one is ordered again for each host that it was good for.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use crate::domain::certificate::CertName;

/// The arguments of `rivetr certs remove`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr certs remove '*.example.org'")]
pub struct Remove {
    /// The first of its names, as `rivetr certs list` has it
    #[arg(value_parser = CertName::parse)]
    name: CertName,
}

impl Remove {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.delete(&format!("/api/certificates/{}", self.name)).await?;
        session.done(&answer, &format!("Your certificate for {} is shown no more.", self.name))
    }
}
