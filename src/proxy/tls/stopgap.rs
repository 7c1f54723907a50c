//! What is shown for a host until it has a certificate: one that the proxy signs itself, kept in memory alone.

use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair};
use tokio_rustls::rustls::crypto::ring::sign::any_ecdsa_type;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::rustls::sign::{CertifiedKey, SigningKey};

use super::TlsError;
use crate::domain::name::HostName;

/// Makes certificates, all with one key that ends with the process.
#[derive(Debug)]
pub(super) struct Stopgap {
    pair: KeyPair,
    key: Arc<dyn SigningKey>,
}

impl Stopgap {
    pub(super) fn new() -> Result<Self, TlsError> {
        let pair = KeyPair::generate()?;
        let key = any_ecdsa_type(&PrivatePkcs8KeyDer::from(pair.serialize_der()).into())?;
        Ok(Self { pair, key })
    }

    /// A certificate for one host.
    pub(super) fn certify(&self, host: &HostName) -> Result<CertifiedKey, TlsError> {
        let mut params = CertificateParams::new([host.to_string()])?;
        params.distinguished_name.push(DnType::CommonName, "rivetr, until a certificate is issued");
        let certificate = params.self_signed(&self.pair)?;
        Ok(CertifiedKey::new(vec![certificate.der().clone()], Arc::clone(&self.key)))
    }
}
