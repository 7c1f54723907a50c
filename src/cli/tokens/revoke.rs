//! `rivetr tokens revoke`: makes a token worthless, at once.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;

/// The arguments of `rivetr tokens revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr tokens revoke 3")]
pub struct Revoke {
    /// The token's ID, as `rivetr tokens list` shows it
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    id: i64,
}

impl Revoke {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.delete(&format!("/api/tokens/{}", self.id)).await?;
        if session.json {
            return if answer.text().is_empty() { Ok(()) } else { session.line(answer.text()) };
        }
        session.line(&format!("Token {} is worthless now.", self.id))
    }
}
