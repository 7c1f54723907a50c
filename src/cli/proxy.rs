//! `rivetr proxy`: be the proxy, or replace the one that runs.

use std::io::{stderr, stdout};

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::setup::upgrade_proxy;

/// Run the proxy, which systemd starts; or replace the one that runs
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: sudo rivetr proxy upgrade")]
pub struct Proxy {
    /// Stand in beside the proxy that is replaced; `rivetr proxy upgrade` sees to it
    #[arg(long)]
    pub(super) next: bool,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

/// What is done with the proxy that runs.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub(super) enum Command {
    /// Replace it by the program that is installed now; no request and no connection is lost
    #[command(after_help = "Example: sudo rivetr proxy upgrade")]
    Upgrade,
}

impl Command {
    pub(super) async fn run(self, json: bool) -> Result<(), Failure> {
        match self {
            Self::Upgrade => Ok(upgrade_proxy(json, &mut stdout(), &mut stderr()).await?),
        }
    }
}
