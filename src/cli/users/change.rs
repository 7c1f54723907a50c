//! `rivetr users disable`, `enable`, `delete`, `reset` and `admin`: what changes about a user.

use clap::Args;

use super::super::failure::Failure;
use super::super::files::encoded;
use super::super::session::Session;
use super::announce;
use crate::api::wire::{self, ChangeUser, Link, User};

/// Who.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr users disable ada")]
pub struct Login {
    /// The name by which they sign in
    login: String,
}

/// The arguments of `rivetr users reset`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr users reset ada\n\n\
                  On the host itself this is the way back in. The second factor is still asked for, unless it is\n\
                  forgotten too.")]
pub struct Reset {
    /// The name by which they sign in
    login: String,
    /// Forget their second factor and their recovery codes too
    #[arg(long)]
    forget_second_factor: bool,
}

/// The arguments of `rivetr users admin`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr users admin ada")]
pub struct Admin {
    /// The name by which they sign in
    login: String,
    /// Take it from them instead
    #[arg(long)]
    revoke: bool,
}

impl Login {
    pub(super) async fn disable(self, session: &mut Session, disabled: bool) -> Result<(), Failure> {
        let wish = ChangeUser { disabled: Some(disabled), administrator: None };
        let answer = session.client.patch(&path(&self.login), &wish).await?;
        let state = if disabled { "is kept out" } else { "can sign in again" };
        session.show(&answer, |user: User| format!("{} {state}.\n", user.login))
    }

    pub(super) async fn delete(self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.delete(&path(&self.login)).await?;
        session.done(&answer, &format!("{} is deleted.", self.login))
    }
}

impl Reset {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { login, forget_second_factor } = self;
        let wish = wire::Reset { forget_second_factor };
        let answer = session.client.post(&format!("{}/reset", path(&login)), &wish).await?;
        announce(session, &answer.decode()?, &format!("Give this to {login}, to set a new password."))?;
        session.show(&answer, |link: Link| format!("{}\n", link.url))
    }
}

impl Admin {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let wish = ChangeUser { disabled: None, administrator: Some(!self.revoke) };
        let answer = session.client.patch(&path(&self.login), &wish).await?;
        let state = if self.revoke { "no longer administers" } else { "administers" };
        session.show(&answer, |user: User| format!("{} {state} this instance.\n", user.login))
    }
}

fn path(login: &str) -> String {
    format!("/api/users/{}", encoded(login))
}
