//! `rivetr certs add`: a certificate of one's own, with its key.

use std::path::PathBuf;

use clap::Args;

use super::super::failure::Failure;
use super::super::input;
use super::super::session::Session;
use super::super::table::{or_dash, time};
use crate::api::wire::{AddCertificate, Certificate, Hidden};

/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 128 << 10;

/// The arguments of `rivetr certs add`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr certs add --chain fullchain.pem --key privkey.pem")]
pub struct Add {
    /// The certificate and those that lead to its root, as PEM; - is standard input
    #[arg(long, value_name = "FILE")]
    chain: PathBuf,
    /// Its private key, as PEM without a passphrase; - is standard input
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

impl Add {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let chain = input::text(&self.chain, FILE_MAX)?;
        let key = Hidden(input::text(&self.key, FILE_MAX)?);
        let answer = session.client.post("/api/certificates", &AddCertificate { chain, key }).await?;
        session.show(&answer, |Certificate { names, not_after, .. }| {
            let until = or_dash(not_after.as_deref().map(time).as_deref());
            format!(
                "The certificate for {} is shown from now on; it holds until {until}.\n",
                names.join(", ")
            )
        })
    }
}
