//! `rivetr keys delete`: takes a key away that no app uses.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use crate::domain::name::Slug;

/// The arguments of `rivetr keys delete`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr keys delete deploy")]
pub struct Delete {
    /// The key
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

impl Delete {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.delete(&format!("/api/keys/{}", self.name)).await?;
        if session.json {
            return if answer.text().is_empty() { Ok(()) } else { session.line(answer.text()) };
        }
        session.line(&format!(
            "The key {} is deleted here. Where it was added, it can be removed too.",
            self.name
        ))
    }
}
