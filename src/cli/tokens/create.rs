//! `rivetr tokens create`: prints the secret alone on standard output, so that a script can take it.

use std::io::Write;

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::time;
use crate::api::wire::{CreateToken, CreatedToken, Scope, TOKEN_DAYS_MAX};
use crate::domain::right;

/// The arguments of `rivetr tokens create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr tokens create laptop --scope deploy --expires 30")]
pub struct Create {
    /// What it is for
    name: String,
    /// How far it reaches: read, deploy, write or admin; each includes the ones before it
    #[arg(long, default_value = "deploy", value_parser = parse_scope)]
    scope: right::Scope,
    /// How many days it lives [default: 90]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=i64::from(TOKEN_DAYS_MAX)))]
    expires: Option<u32>,
    /// Whose it is: it then reaches no further than this user does
    #[arg(long, value_name = "LOGIN")]
    user: Option<String>,
    /// The one team that it is for
    #[arg(long)]
    team: Option<String>,
}

impl Create {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { name, scope, expires, user, team } = self;
        let request =
            CreateToken { name, scope: Some(Scope::from(scope)), expires_days: expires, user, team };
        let answer = session.client.post("/api/tokens", &request).await?;
        if !session.json {
            let created: CreatedToken = answer.decode()?;
            let until = created.token.expires.as_deref().map(time).unwrap_or_default();
            let note = format!("Token {} ({scope}) until {until}. It is shown this once:", created.token.id);
            writeln!(std::io::stderr(), "{}", note.replace(" until .", "."))?;
        }
        session.show(&answer, |created: CreatedToken| format!("{}\n", created.secret))
    }
}

fn parse_scope(word: &str) -> Result<right::Scope, &'static str> {
    right::Scope::parse(word).ok_or("use read, deploy, write or admin")
}
