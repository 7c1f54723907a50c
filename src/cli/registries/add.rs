//! `rivetr registries add`: the password comes by standard input, never by an argument that others could see.

use std::io::Read;

use clap::Args;

use super::super::failure::{Exit, Failure};
use super::super::session::Session;
use crate::api::wire::{Hidden, PutRegistry, Registry};
use crate::domain::image::RegistryHost;

/// The longest password that is read, in bytes; the API takes less.
const PASSWORD_MAX: u64 = 64 * 1024;

/// The arguments of `rivetr registries add`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr registries add ghcr.io --user ada --password-stdin < token")]
pub struct Add {
    /// The registry, with its port if it has one
    #[arg(value_name = "HOST", value_parser = RegistryHost::parse)]
    host: RegistryHost,
    /// The name to sign in by
    #[arg(long)]
    user: String,
    /// Read the password or token from standard input
    #[arg(long, required = true)]
    password_stdin: bool,
}

impl Add {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let mut password = String::new();
        let read = std::io::stdin().take(PASSWORD_MAX).read_to_string(&mut password);
        read.map_err(|error| Failure::new(Exit::Usage, format!("the password cannot be read: {error}")))?;
        // `echo` and editors end a line; no password ends in one.
        let password = Hidden(password.trim_end_matches(['\n', '\r']).to_owned());
        let request = PutRegistry { host: self.host.to_string(), user: self.user, password };
        let answer = session.client.post("/api/registries", &request).await?;
        session.show(&answer, |Registry { host, user, .. }| format!("rivetr signs in at {host} as {user}.\n"))
    }
}
