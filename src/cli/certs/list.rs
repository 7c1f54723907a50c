//! `rivetr certs list`: one line a certificate, and below it why one is not there.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{harmless, or_dash, table, time};
use super::standing;
use crate::api::wire::{self, Certificate};

/// The arguments of `rivetr certs list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr certs list")]
pub struct List {}

impl List {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.get("/api/certificates").await?;
        session.show(&answer, |certificates: wire::List<Certificate>| words(&certificates.items))
    }
}

fn words(certificates: &[Certificate]) -> String {
    if certificates.is_empty() {
        return "There are no certificates: they are ordered for the hosts of apps, `rivetr apps set NAME --host \
                HOST`. `rivetr certs add` takes one of your own.\n"
            .to_owned();
    }
    let row = |certificate: &Certificate| {
        [
            certificate.name.clone(),
            standing(certificate),
            or_dash(certificate.not_after.as_deref().map(time).as_deref()),
            or_dash(certificate.issuer.as_deref().map(harmless).as_deref()),
        ]
    };
    let mut text =
        table(["NAME", "STATE", "UNTIL", "ISSUER"], &certificates.iter().map(row).collect::<Vec<_>>());
    let reasons = certificates.iter().filter_map(|Certificate { name, reason, .. }| {
        Some(format!("\n{name}: {}\n", harmless(reason.as_deref()?)))
    });
    text.extend(reasons);
    text
}
