//! `rivetr webhooks disable`: nothing of a provider is taken any more, at once.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::parse_provider;
use crate::domain::name::Slug;
use crate::domain::webhook::Provider;

/// The arguments of `rivetr webhooks disable`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr webhooks disable blog github")]
pub struct Disable {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// Who sends
    #[arg(value_parser = parse_provider)]
    provider: Provider,
}

impl Disable {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let path = format!("/api/apps/{}/webhooks/{}", self.name, self.provider);
        let answer = session.client.delete(&path).await?;
        if session.json {
            return if answer.text().is_empty() { Ok(()) } else { session.line(answer.text()) };
        }
        session.line(&format!("{} takes no webhooks of {} any more.", self.name, self.provider))
    }
}
