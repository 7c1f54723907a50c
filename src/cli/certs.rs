//! `rivetr certs …`: the certificates of all hosts, those that are ordered and those that were handed in.

mod add;
mod list;
mod remove;
mod renew;
mod rotate;
mod show;

use clap::Subcommand;

use super::failure::Failure;
use super::session::Session;
use super::table::time;
use crate::api::wire::Certificate;

/// What can be done with certificates.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Certs {
    /// List every certificate, with what each waits for
    List(list::List),
    /// Show one certificate
    Show(show::Show),
    /// Hand in a certificate of your own with its key
    Add(add::Add),
    /// Take back a certificate that was handed in
    Remove(remove::Remove),
    /// Order a new certificate for a host now
    Renew(renew::Renew),
    /// Have the ACME server know rivetr's account by a new key
    RotateAccountKey(rotate::Rotate),
}

impl Certs {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(session).await,
            Self::Show(show) => show.run(session).await,
            Self::Add(add) => add.run(session).await,
            Self::Remove(remove) => remove.run(session).await,
            Self::Renew(renew) => renew.run(session).await,
            Self::RotateAccountKey(rotate) => rotate.run(session).await,
        }
    }
}

/// How it stands, in a few words.
fn standing(certificate: &Certificate) -> String {
    let served = certificate.not_after.is_some();
    match (certificate.state.as_str(), certificate.source.as_str()) {
        ("valid", "own") => "valid, your own".to_owned(),
        ("valid", _) => "valid".to_owned(),
        (state, _) if served => format!("{}, the old one is served", state.replace('-', " ")),
        (state, _) => state.replace('-', " "),
    }
}

/// When something happens next, in words that follow the reason.
fn next(certificate: &Certificate) -> Option<String> {
    let next = time(certificate.next.as_deref()?);
    Some(match certificate.state.as_str() {
        "valid" => format!("renewed {next}"),
        "waiting-for-dns" => format!("looked at again {next}"),
        _ => format!("tried again {next}"),
    })
}
