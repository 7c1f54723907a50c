//! Certificates, as JSON says them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FieldErrors, Hidden, time};
use crate::domain::certificate::{CertName, Facts, Managed, Own, State};
use crate::domain::secret::Secret;

/// The longest chain or key that is taken, in bytes: one of four certificates has about 8 KiB.
const PEM_MAX: usize = 128 * 1024;

/// A certificate, or one that is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Certificate {
    /// The host it is for, or the first of its names.
    pub name: String,
    /// All its names.
    pub names: Vec<String>,
    /// Where it comes from: `acme` or `own`.
    pub source: String,
    /// How it stands: `queued`, `waiting-for-dns`, `ordering`, `valid` or `failed`. Those that were handed in are
    /// `valid`. What is served meanwhile is told by `not_after`.
    pub state: String,
    /// Why it waits or failed, and what to do.
    pub reason: Option<String>,
    /// When it is looked at, tried or renewed next (RFC 3339, UTC); null: at once, or never.
    pub next: Option<String>,
    /// Who issued the one that is served; null: none is there yet.
    pub issuer: Option<String>,
    /// From when on it holds (RFC 3339, UTC).
    pub not_before: Option<String>,
    /// Until when it holds (RFC 3339, UTC).
    pub not_after: Option<String>,
    /// Whether an old one is still to be revoked.
    pub revoking: bool,
}

/// A certificate of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddCertificate {
    /// The certificate and those that lead to its root, as PEM, each followed by the one that issued it.
    pub chain: String,
    /// Its private key, as PEM without a passphrase; it is never shown again.
    #[schema(value_type = String)]
    pub key: Hidden,
}

/// A wish for a new certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewCertificate {
    /// Whether the old one is revoked once the new one is served.
    #[serde(default)]
    pub revoke: bool,
}

impl AddCertificate {
    /// Chain and key, or which of them cannot be any.
    pub fn parse(self) -> Result<(String, Secret), FieldErrors> {
        let Self { chain, key: Hidden(key) } = self;
        let mut errors = FieldErrors::default();
        for (field, text) in [("chain", &chain), ("key", &key)] {
            if text.len() > PEM_MAX {
                errors.put(field, "this is too long: at most 128 KiB are taken");
            }
        }
        if errors.0.is_empty() { Ok((chain, Secret::new(key.into_bytes()))) } else { Err(errors) }
    }
}

impl From<&Managed> for Certificate {
    fn from(managed: &Managed) -> Self {
        let Managed { name, state, held, revoking } = managed;
        let reason = match state {
            State::WaitingForDns { reason, .. } | State::Failed { reason, .. } => Some(reason.clone()),
            State::Queued | State::Ordering { .. } | State::Valid { .. } => None,
        };
        let facts = held.as_ref().map(|held| &held.facts);
        Self {
            name: name.to_string(),
            names: vec![name.to_string()],
            source: "acme".to_owned(),
            state: state.as_str().to_owned(),
            reason,
            next: state.next().map(time),
            issuer: facts.map(|facts| facts.issuer.clone()),
            not_before: facts.map(|facts| time(facts.not_before)),
            not_after: facts.map(|facts| time(facts.not_after)),
            revoking: revoking.is_some(),
        }
    }
}

impl From<&Own> for Certificate {
    fn from(own: &Own) -> Self {
        let Facts { names, issuer, not_before, not_after } = &own.held.facts;
        Self {
            name: own.name.to_string(),
            names: names.iter().map(CertName::to_string).collect(),
            source: "own".to_owned(),
            state: "valid".to_owned(),
            reason: None,
            next: None,
            issuer: Some(issuer.clone()),
            not_before: Some(time(*not_before)),
            not_after: Some(time(*not_after)),
            revoking: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_certificate_is_named() {
        let check = |chain: usize, key: usize, wrong: &[&str]| {
            let new = AddCertificate { chain: "x".repeat(chain), key: Hidden("x".repeat(key)) };
            let fields = new.parse().map_or_else(|errors| errors.0.into_keys().collect(), |_| vec![]);
            assert_eq!(fields, wrong);
        };
        check(PEM_MAX, PEM_MAX, &[]);
        check(PEM_MAX + 1, PEM_MAX + 1, &["chain", "key"]);
    }
}
