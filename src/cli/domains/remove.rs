//! `rivetr domains remove`: the app does not answer there any more, at once.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::{Kind, Place};
use crate::domain::name::Slug;

/// The arguments of `rivetr domains remove`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Remove {
    /// The app or service
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// The domain, with its path if it has one
    #[arg(value_name = "HOST[/PATH]", value_parser = Place::parse)]
    domain: Place,
}

impl Remove {
    pub(in crate::cli) async fn run(&self, session: &mut Session, kind: Kind) -> Result<(), Failure> {
        let Self { name, domain } = self;
        let id = domain.find(kind, name, session).await?.id;
        let answer = session.client.delete(&format!("/api/domains/{id}")).await?;
        session.done(&answer, &format!("{domain} does not lead to {name} any more."))
    }
}
