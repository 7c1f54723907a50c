//! `rivetr webhooks disable`: nothing of a provider is taken any more, at once.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::{Whose, parse_provider};
use crate::domain::webhook::Provider;

/// The arguments of `rivetr webhooks disable`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr webhooks disable blog github")]
pub struct Disable {
    #[command(flatten)]
    whose: Whose,
    /// Who sends
    #[arg(value_parser = parse_provider)]
    provider: Provider,
}

impl Disable {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let path = format!("{}/{}", self.whose.path(), self.provider);
        let answer = session.client.delete(&path).await?;
        if session.json {
            return if answer.text().is_empty() { Ok(()) } else { session.line(answer.text()) };
        }
        session.line(&format!("{} takes no webhooks of {} any more.", self.whose.name, self.provider))
    }
}
