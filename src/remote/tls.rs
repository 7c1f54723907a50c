//! TLS to servers: which certificates are believed.

use std::path::Path;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// Believes what leads to the roots of this machine, or to those in a file of PEM alone; an error is in words.
pub fn believing(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    with_roots(ca_file.map(roots).transpose()?)
}

/// Believes what leads to the roots in this PEM alone.
pub fn believing_pem(pem: &[u8]) -> Result<ClientConfig, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("the roots cannot be used: {error}");
    with_roots(Some(gathered(CertificateDer::pem_slice_iter(pem), &wrong)?))
}

fn with_roots(roots: Option<RootCertStore>) -> Result<ClientConfig, String> {
    let failed = |error: &dyn std::fmt::Display| format!("TLS cannot be set up: {error}");
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let config = match roots {
        Some(roots) => config.with_root_certificates(roots),
        None => config.try_with_platform_verifier().map_err(|error| failed(&error))?,
    };
    Ok(config.with_no_client_auth())
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let wrong =
        |error: &dyn std::fmt::Display| format!("the roots in {} cannot be used: {error}", path.display());
    gathered(CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?, &wrong)
}

fn gathered(
    found: impl Iterator<Item = Result<CertificateDer<'static>, pem::Error>>,
    wrong: &dyn Fn(&dyn std::fmt::Display) -> String,
) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for root in found {
        let root = root.map_err(|error| wrong(&error))?;
        roots.add(root).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() { Err(wrong(&"it holds no certificate")) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_roots_holds_some() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let refused = |words: &str| assert!(believing(Some(&path)).unwrap_err().contains(words));
        refused("ca.pem cannot be used");
        crate::files::write_whole(&path, b"nothing\n", 0o600).unwrap();
        refused("holds no certificate");
        let made = rcgen::generate_simple_self_signed(["ca.test".to_owned()]).unwrap();
        crate::files::write_whole(&path, made.cert.pem().as_bytes(), 0o600).unwrap();
        assert!(believing(Some(&path)).is_ok());
        assert!(believing_pem(made.cert.pem().as_bytes()).is_ok());
        assert_eq!(believing_pem(b"").unwrap_err(), "the roots cannot be used: it holds no certificate");
    }
}
