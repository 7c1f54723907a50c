//! `rivetr users list`: who can sign in, and what their part is.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{or_dash, table, time};
use crate::api::wire::{self, Part, User};

/// The arguments of `rivetr users list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr users list")]
pub struct List {}

impl List {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self {} = self;
        let answer = session.client.get("/api/users").await?;
        session.show(&answer, |users: wire::List<User>| words(&users.items))
    }
}

fn words(users: &[User]) -> String {
    if users.is_empty() {
        return "There are no users yet. `rivetr users setup-link` lets the first one in.\n".to_owned();
    }
    let rows: Vec<_> = users
        .iter()
        .map(|user| {
            let teams: Vec<_> =
                user.teams.iter().map(|Part { team, role }| format!("{team}:{role}")).collect();
            let notes = [
                (user.administrator, "administrator"),
                (user.disabled, "disabled"),
                (!user.password, "no password yet"),
                (user.second_factor, "second factor"),
            ];
            let notes: Vec<_> = notes.into_iter().filter(|(is, _)| *is).map(|(_, note)| note).collect();
            [
                user.login.clone(),
                or_dash(Some(&teams.join(" "))),
                or_dash(Some(&notes.join(", "))),
                or_dash(user.signed_in.as_deref().map(time).as_deref()),
            ]
        })
        .collect();
    table(["LOGIN", "TEAMS", "NOTES", "SIGNED IN"], &rows)
}
