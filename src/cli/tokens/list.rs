//! `rivetr tokens list`: what tokens there are; never their secrets, which rivetr does not have.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{or_dash, table, time};
use crate::api::wire::{self, Token};

/// The arguments of `rivetr tokens list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr tokens list")]
pub struct List {}

impl List {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.get("/api/tokens").await?;
        session.show(&answer, |tokens: wire::List<Token>| words(&tokens.items))
    }
}

fn words(tokens: &[Token]) -> String {
    if tokens.is_empty() {
        return "There are no tokens. `rivetr tokens create NAME` makes one.\n".to_owned();
    }
    let rows: Vec<_> = tokens
        .iter()
        .map(|Token { id, name, scope, created, expires, last_used, last_address, user, team }| {
            let moment = |at: &Option<String>| or_dash(at.as_deref().map(time).as_deref());
            [
                id.to_string(),
                name.clone(),
                scope.to_string(),
                or_dash(user.as_deref()),
                or_dash(team.as_deref()),
                time(created),
                moment(expires),
                moment(last_used),
                or_dash(last_address.as_deref()),
            ]
        })
        .collect();
    table(["ID", "FOR", "SCOPE", "USER", "TEAM", "CREATED", "EXPIRES", "LAST USED", "FROM"], &rows)
}
