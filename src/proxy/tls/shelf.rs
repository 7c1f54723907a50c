//! The certificates of this process: which there are, from the index, and those that were shown lately, ready for use.
//!
//! All workers share one shelf. Its locks are held for a look-up and never while a file is read or a key is used.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use thiserror::Error;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{self, ServerConfig};
use zeroize::Zeroizing;

use super::recent::Recent;
use super::stopgap::Stopgap;
use super::{TlsError, terms, wildcard};
use crate::domain::name::HostName;
use crate::proxy::certs::{self, Certificate, Index, IndexError};

/// Certificates that are kept ready, of about 3 KB each: few are asked for at any time, and the others cost a file.
const READY: usize = 512;

/// Why a certificate cannot be shown.
#[derive(Debug, Error)]
enum Unusable {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{0} is not a key and a certificate in PEM: {1}")]
    Pem(PathBuf, pem::Error),
    #[error("the key and the certificate in {0} are not a pair that can be used: {1}")]
    Pair(PathBuf, rustls::Error),
}

/// What there is to show, by name.
#[derive(Debug, Default)]
struct Catalog {
    /// The host of rivetr itself.
    own_host: Option<HostName>,
    certificates: HashMap<String, Arc<Certificate>>,
    challenges: HashMap<String, Arc<Certificate>>,
}

impl Catalog {
    fn new(index: Index, own_host: Option<HostName>) -> Self {
        let Index { certificates, challenges } = index;
        Self { own_host, certificates: by_name(certificates), challenges: by_name(challenges) }
    }

    fn find(&self, host: &HostName) -> Option<&Arc<Certificate>> {
        self.certificates.get(host.as_str()).or_else(|| self.certificates.get(&wildcard(host)?))
    }
}

fn by_name(certificates: Vec<Certificate>) -> HashMap<String, Arc<Certificate>> {
    let mut named = HashMap::new();
    for certificate in certificates.into_iter().map(Arc::new) {
        for name in &certificate.names {
            named.entry(name.clone()).or_insert_with(|| Arc::clone(&certificate));
        }
    }
    named
}

/// The certificates.
#[derive(Debug)]
pub(in crate::proxy) struct Shelf {
    folder: PathBuf,
    visitors: ServerConfig,
    challenges: ServerConfig,
    catalog: RwLock<Arc<Catalog>>,
    /// By file; none for one that cannot be used, so that this is said once.
    ready: Recent<Option<Arc<ServerConfig>>>,
    stopgap: Stopgap,
    /// By host.
    stopgaps: Recent<Arc<ServerConfig>>,
}

impl Shelf {
    /// An empty shelf for what lies in `folder`.
    pub(in crate::proxy) fn new(folder: PathBuf) -> Result<Self, TlsError> {
        let (visitors, challenges) = terms()?;
        Ok(Self {
            folder,
            visitors,
            challenges,
            catalog: RwLock::default(),
            ready: Recent::new(READY),
            stopgap: Stopgap::new()?,
            stopgaps: Recent::new(READY),
        })
    }

    /// Reads the index; on an error what there was stays.
    pub(in crate::proxy) fn load(&self, own_host: Option<HostName>) -> Result<(), IndexError> {
        let catalog = Arc::new(Catalog::new(certs::read(&self.folder)?, own_host));
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&catalog);
        let files: HashSet<&str> = catalog.certificates.values().map(|each| each.file.as_str()).collect();
        self.ready.retain(|file, ready| ready.is_some() && files.contains(file));
        Ok(())
    }

    /// The host that is meant by those who name none.
    pub(super) fn own_host(&self) -> Option<HostName> {
        self.catalog().own_host.clone()
    }

    /// The certificate for `host`, and how hands are shaken with it.
    pub(super) fn find(&self, host: &HostName) -> Option<(Arc<ServerConfig>, Arc<Certificate>)> {
        let certificate = Arc::clone(self.catalog().find(host)?);
        let ready = self.ready.get(&certificate.file).unwrap_or_else(|| {
            let ready = self.prepare(&self.visitors, &certificate, CertifiedKey::from_der);
            self.ready.put(&certificate.file, ready.clone());
            ready
        });
        Some((ready?, certificate))
    }

    /// The same for an ACME server that comes to see a challenge; each comes a few times, so nothing is kept.
    pub(super) fn challenge(&self, host: &HostName) -> Option<Arc<ServerConfig>> {
        let certificate = Arc::clone(self.catalog().challenges.get(host.as_str())?);
        self.prepare(&self.challenges, &certificate, challenge)
    }

    /// The same for a host that has no certificate yet.
    pub(super) fn stopgap(&self, host: &HostName) -> Option<Arc<ServerConfig>> {
        if let Some(ready) = self.stopgaps.get(host.as_str()) {
            return Some(ready);
        }
        match self.stopgap.certify(host) {
            Ok(key) => {
                let ready = with(&self.visitors, key);
                self.stopgaps.put(host.as_str(), Arc::clone(&ready));
                Some(ready)
            }
            Err(error) => {
                tracing::error!(%host, %error, "no certificate could be made for a host that has none");
                None
            }
        }
    }

    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn prepare(
        &self,
        terms: &ServerConfig,
        certificate: &Certificate,
        pair: Pair,
    ) -> Option<Arc<ServerConfig>> {
        match read(terms, &self.folder.join(&certificate.file), pair) {
            Ok(key) => Some(with(terms, key)),
            Err(error) => {
                tracing::error!(names = ?certificate.names, %error, "a certificate cannot be shown");
                None
            }
        }
    }
}

/// What makes a chain and its key one.
type Pair = fn(
    Vec<CertificateDer<'static>>,
    PrivateKeyDer<'static>,
    &CryptoProvider,
) -> Result<CertifiedKey, rustls::Error>;

/// Unchecked: what a challenge's certificate says is critical (RFC 8737, 3), and only ACME servers know it.
fn challenge(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, rustls::Error> {
    Ok(CertifiedKey::new(chain, provider.key_provider.load_private_key(key)?))
}

/// The terms, with one certificate; tickets are the same for all.
fn with(terms: &ServerConfig, key: CertifiedKey) -> Arc<ServerConfig> {
    let mut config = terms.clone();
    config.cert_resolver = Arc::new(SingleCertAndKey::from(key));
    Arc::new(config)
}

fn read(terms: &ServerConfig, path: &Path, pair: Pair) -> Result<CertifiedKey, Unusable> {
    let text = fs::read(path).map_err(|source| Unusable::Read { path: path.to_owned(), source })?;
    let text = Zeroizing::new(text);
    let no_pem = |error| Unusable::Pem(path.to_owned(), error);
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(no_pem)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&text).collect::<Result<_, _>>().map_err(no_pem)?;
    let no_pair = |error| Unusable::Pair(path.to_owned(), error);
    pair(chain, key, terms.crypto_provider()).map_err(no_pair)
}
