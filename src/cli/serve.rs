//! `rivetr serve`: be the control plane, or try whether this program could.

use clap::Args;

/// Run the control plane; systemd starts it
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: systemctl start rivetr.service")]
pub struct Serve {
    /// Only try, on a copy, whether the database can be brought up to date; packages do so before they upgrade
    #[arg(long)]
    pub(super) rehearse: bool,
}
