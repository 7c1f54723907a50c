//! TLS to servers: which certificates are believed.

use std::path::Path;
use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// Believes what leads to the roots of this machine, or to those in a file of PEM alone; an error is in words.
pub fn believing(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let failed = |error: &dyn std::fmt::Display| format!("TLS cannot be set up: {error}");
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let config = match ca_file {
        Some(path) => config.with_root_certificates(roots(path)?),
        None => config.try_with_platform_verifier().map_err(|error| failed(&error))?,
    };
    Ok(config.with_no_client_auth())
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let wrong =
        |error: &dyn std::fmt::Display| format!("the roots in {} cannot be used: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
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
    }
}
