//! `rivetr databases logs`: what a database writes.

use std::io::Write;

use clap::Args;

use super::super::failure::Failure;
use super::super::follow;
use super::super::session::Session;
use crate::api::client::Ends;
use crate::domain::name::Slug;

/// The arguments of `rivetr databases logs`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr databases logs orders -f -n 50")]
pub struct Logs {
    /// The database
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// Go on with what comes, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// How many of the newest lines
    #[arg(long, short = 'n', default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    lines: u32,
}

impl Logs {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let Self { name, follow, lines } = self;
        let path = format!("/api/databases/{name}/logs/stream?lines={lines}&follow={follow}");
        let ends = if *follow { Ends::WithEvent } else { Ends::WithStream };
        let any = follow::interrupted(follow::runtime_log(session, &path, ends)).await?;
        if !any && !session.json && *lines > 0 {
            writeln!(std::io::stderr(), "{name} has written nothing yet.")?;
        }
        Ok(())
    }
}
