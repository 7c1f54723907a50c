//! `rivetr certs show`: all that is known of one certificate.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{facts, harmless, or_dash, time};
use super::{next, standing};
use crate::api::wire::Certificate;
use crate::domain::certificate::CertName;

/// The arguments of `rivetr certs show`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr certs show blog.example.org")]
pub struct Show {
    /// The host, or the first name of one that was handed in
    #[arg(value_parser = CertName::parse)]
    name: CertName,
}

impl Show {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.get(&format!("/api/certificates/{}", self.name)).await?;
        session.show(&answer, |certificate: Certificate| words(&certificate))
    }
}

pub(super) fn words(certificate: &Certificate) -> String {
    let moment = |at: &Option<String>| or_dash(at.as_deref().map(time).as_deref());
    let mut lines = vec![
        ("certificate", certificate.name.clone()),
        ("names", certificate.names.join(" ")),
        ("state", standing(certificate)),
    ];
    if let Some(reason) = &certificate.reason {
        lines.push(("reason", harmless(reason)));
    }
    if let Some(next) = next(certificate) {
        lines.push(("next", next));
    }
    lines.push(("issuer", or_dash(certificate.issuer.as_deref().map(harmless).as_deref())));
    lines.push(("from", moment(&certificate.not_before)));
    lines.push(("until", moment(&certificate.not_after)));
    if certificate.revoking {
        lines.push(("revoked", "not yet: the old one is, once a new one is served".to_owned()));
    }
    facts(&lines)
}
