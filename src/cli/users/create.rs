//! `rivetr users create`: prints the link by which the user sets a password, alone on standard output.

use std::path::Path;

use clap::Args;

use super::super::failure::Failure;
use super::super::input;
use super::super::session::Session;
use super::super::teams::parse_role;
use super::announce;
use crate::api::wire::{CreateUser, CreatedUser, Hidden, Role};
use crate::domain::person::PASSWORD_MAX;

/// The arguments of `rivetr users create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr users create ada --team main --role developer")]
pub struct Create {
    /// The name by which they sign in
    login: String,
    /// A team that they are a member of
    #[arg(long)]
    team: Option<String>,
    /// Their part in it: viewer, developer, admin or owner [default: developer]
    #[arg(long, requires = "team", value_parser = parse_role)]
    role: Option<Role>,
    /// Make them an administrator of the instance
    #[arg(long)]
    admin: bool,
    /// Read their password from standard input, in place of making a link
    #[arg(long)]
    password_stdin: bool,
}

impl Create {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { login, team, role, admin, password_stdin } = self;
        let password = if password_stdin {
            let text = input::text(Path::new("-"), PASSWORD_MAX as u64 + 2)?;
            Some(Hidden(text.trim_end_matches(['\r', '\n']).to_owned()))
        } else {
            None
        };
        let request = CreateUser { login, password, team, role, administrator: admin };
        let answer = session.client.post("/api/users", &request).await?;
        let created: CreatedUser = answer.decode()?;
        if let Some(link) = &created.link {
            announce(session, link, &format!("Give this to {}, to set a password.", created.user.login))?;
        }
        session.show(&answer, |CreatedUser { user, link }| match link {
            Some(link) => format!("{}\n", link.url),
            None => format!("{} can sign in.\n", user.login),
        })
    }
}
