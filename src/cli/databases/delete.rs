//! `rivetr databases delete`: puts a database into the trash once its name was typed again, or with `--yes`.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::ask;
use crate::domain::name::Slug;

/// The arguments of `rivetr databases delete`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr databases delete orders --yes")]
pub struct Delete {
    /// The database
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Delete {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let Self { name, yes } = self;
        if !yes {
            let what = format!(
                "{name} is stopped, and no app is told of it any more. Its data is kept in the trash for a week."
            );
            ask(name.as_str(), &what, format!("rivetr databases delete {name} --yes"))?;
        }
        let answer = session.client.delete(&format!("/api/databases/{name}")).await?;
        session.done(
            &answer,
            &format!("{name} is in the trash for a week; `rivetr databases trash list` shows its number."),
        )
    }
}
