//! `rivetr registries remove`: what was pulled stays.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use crate::domain::image::RegistryHost;

/// The arguments of `rivetr registries remove`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr registries remove ghcr.io")]
pub struct Remove {
    /// The registry
    #[arg(value_name = "HOST", value_parser = RegistryHost::parse)]
    host: RegistryHost,
}

impl Remove {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        session.client.delete(&format!("/api/registries/{}", self.host)).await?;
        if session.json {
            Ok(())
        } else {
            session.line(&format!("rivetr signs in at {} no more.", self.host))
        }
    }
}
