//! What people do with certificates: hand them in, take them back, want them anew.

use super::super::{Engine, EngineError};
use super::chain;
use crate::domain::certificate::{CertName, Held, Own};
use crate::domain::name::HostName;
use crate::domain::secret::Secret;
use crate::store::AskCertificateError;

impl Engine {
    /// Takes a certificate with its key, in place of the one of the same first name. It is shown at once, and nothing
    /// is ordered for its names any more.
    pub async fn add_certificate(&self, chain: String, key: Secret) -> Result<Own, EngineError> {
        let facts = chain::check(&chain, &key, self.now())
            .map_err(|(field, message)| EngineError::Invalid { field, message })?;
        let Some(name) = facts.names.first().cloned() else {
            return Err(EngineError::Invalid { field: "chain", message: "it names no host".to_owned() });
        };
        let own = {
            let _sealing = self.0.sealing.read().await;
            let key = self.vault().seal(&Own::key_place(&name), &key)?;
            let own = Own { name, held: Held { facts, chain, key }, added: self.now() };
            self.0.writer.put_own_certificate(own.clone()).await?;
            own
        };
        self.hosts_changed();
        self.publish_certificates().await?;
        Ok(own)
    }

    /// Takes a certificate back that was handed in; for its names others are ordered again.
    pub async fn remove_certificate(&self, name: &CertName) -> Result<(), EngineError> {
        if self.0.writer.remove_own_certificate(name).await? {
            self.hosts_changed();
            return self.publish_certificates().await;
        }
        let ordered = match HostName::parse(name.as_str()) {
            Ok(host) => self.reader().certificate(&host).await?,
            Err(_) => None,
        };
        Err(match ordered {
            None => EngineError::NotFound { what: "certificate", name: name.to_string() },
            Some(_) => EngineError::Conflict {
                field: "name",
                message: format!(
                    "rivetr sees to the certificate of {name} as long as an app has that host: take it from the app"
                ),
            },
        })
    }

    /// Orders a new certificate for a name now, and has the old one revoked once the new one is shown.
    pub async fn renew_certificate(&self, name: &HostName, revoke: bool) -> Result<(), EngineError> {
        if self.0.settings.acme.is_none() {
            return Err(not_ordered("name"));
        }
        self.0.writer.ask_certificate(name, revoke).await?;
        self.hosts_changed();
        Ok(())
    }
}

/// Why nothing is asked of an ACME server.
pub(super) fn not_ordered(field: &'static str) -> EngineError {
    let message = "no certificates are ordered: set enabled = true below [acme] in rivetr.toml".to_owned();
    EngineError::Conflict { field, message }
}

impl From<AskCertificateError> for EngineError {
    fn from(error: AskCertificateError) -> Self {
        let message = error.to_string();
        match error {
            AskCertificateError::NoName(name) => {
                Self::NotFound { what: "certificate that rivetr orders for", name: name.to_string() }
            }
            AskCertificateError::NothingHeld(_) => Self::Conflict { field: "revoke", message },
            AskCertificateError::Illegal(_) => Self::Conflict { field: "name", message },
            AskCertificateError::Store(error) => error.into(),
        }
    }
}
