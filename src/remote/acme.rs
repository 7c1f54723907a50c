//! A server that gives certificates, as RFC 8555 says it: an account, orders, revocation.
//!
//! It keeps nothing and decides nothing: what is shown to the server, and when it is asked again, is for the engine.

mod http;
mod rollover;
mod words;

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use instant_acme::{
    AccountBuilder, AccountCredentials, AuthorizationStatus, ChallengeHandle, ChallengeType,
    ExternalAccountKey, Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy, RevocationReason,
    RevocationRequest,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use self::words::Asked;
use crate::domain::certificate::{Trouble, Way};
use crate::domain::name::HostName;
use crate::domain::secret::Secret;
use crate::files;

/// How the server is asked whether it has decided: soon at first, and then more seldom.
const POLL: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));

/// Which server, and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The address of its directory.
    pub directory: String,
    /// Where it may write to, for instance when a certificate is not renewed.
    pub email: Option<String>,
    /// A file of PEM with the only roots that the server's own certificate may lead to; none: those of this machine.
    pub ca_file: Option<PathBuf>,
    /// An account that a person has there, for servers that want one.
    pub external: Option<External>,
}

/// An account that a person has at a server (RFC 8555, 7.3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// Its name.
    pub key_id: String,
    /// A file with its HMAC key in base64url.
    pub key_file: PathBuf,
}

/// Why a request came to nothing.
#[derive(Debug)]
pub enum AcmeError {
    /// The server does not know the account any more: make another one.
    NoAccount,
    /// Anything else.
    Trouble(Trouble),
}

/// One server.
#[derive(Debug, Clone)]
pub struct Server(Settings);

/// An account at a server.
#[derive(Clone)]
pub struct Account {
    inner: instant_acme::Account,
    directory: String,
}

/// An order for one name.
pub struct Order {
    inner: instant_acme::Order,
    name: HostName,
    directory: String,
}

/// What shows the server that a name leads here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// What is answered at `/.well-known/acme-challenge/<token>`.
    Http {
        /// The last part of the path.
        token: String,
        /// The whole answer.
        answer: String,
    },
    /// A certificate for a handshake of `acme-tls/1`: PEM, the key first.
    TlsAlpn {
        /// Key and certificate.
        pem: Secret,
    },
}

/// A new certificate.
#[derive(Debug, Clone)]
pub struct Issued {
    /// It and those that lead to its root, as PEM.
    pub chain: String,
    /// Its key, as PEM.
    pub key: Secret,
}

impl Server {
    /// A server that is not spoken to yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(settings)
    }

    /// The address of its directory.
    #[must_use]
    pub fn directory(&self) -> &str {
        &self.0.directory
    }

    /// Goes on with an account from what [`Server::register`] gave.
    pub async fn sign_in(&self, kept: &Secret) -> Result<Account, AcmeError> {
        let credentials: AccountCredentials =
            serde_json::from_slice(kept.reveal()).map_err(|_| AcmeError::NoAccount)?;
        let account = self.asked(self.builder()?.from_credentials(credentials)).await?;
        Ok(Account { inner: account, directory: self.0.directory.clone() })
    }

    /// Makes an account, agreeing to the server's terms; and what is to be kept of it, sealed.
    pub async fn register(&self) -> Result<(Account, Secret), AcmeError> {
        let Settings { directory, email, ca_file: _, external } = &self.0;
        let contact: Vec<String> = email.iter().map(|email| format!("mailto:{email}")).collect();
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let new =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let external = external.as_ref().map(External::read).transpose()?;
        let made = self.builder()?.create(&new, directory.clone(), external.as_ref());
        let (account, credentials) = self.asked(made).await?;
        let kept = serde_json::to_vec(&credentials).map_err(|error| self.confused(&error))?;
        Ok((Account { inner: account, directory: directory.clone() }, Secret::new(kept)))
    }

    fn builder(&self) -> Result<AccountBuilder, AcmeError> {
        let client = http::client(self.0.ca_file.as_deref()).map_err(AcmeError::here)?;
        Ok(instant_acme::Account::builder_with_http(Box::new(client)))
    }

    async fn asked<T>(
        &self,
        request: impl Future<Output = Result<T, instant_acme::Error>>,
    ) -> Result<T, AcmeError> {
        Asked { directory: &self.0.directory, name: None }.of(request).await
    }

    fn confused(&self, error: &dyn std::error::Error) -> AcmeError {
        AcmeError::here(format!("the answer of {} cannot be kept: {error}", self.0.directory))
    }
}

impl External {
    /// The key is 32 bytes or so, in the form in which servers show it.
    fn read(&self) -> Result<ExternalAccountKey, AcmeError> {
        let Self { key_id, key_file } = self;
        let path = key_file.display();
        let text = files::read_text(key_file).map_err(|error| AcmeError::here(error.to_string()))?;
        let text = text.map(Zeroizing::new);
        let text =
            text.ok_or_else(|| AcmeError::here(format!("eab_hmac_key_file: there is no file {path}")))?;
        let decoded = URL_SAFE_NO_PAD.decode(text.trim()).or_else(|_| URL_SAFE.decode(text.trim()));
        let key = decoded.map(Zeroizing::new).map_err(|_| {
            AcmeError::here(format!("eab_hmac_key_file: {path} does not hold a key in base64url"))
        })?;
        Ok(ExternalAccountKey::new(key_id.clone(), &key))
    }
}

impl AcmeError {
    /// Something that is wrong on this side.
    fn here(reason: impl Into<String>) -> Self {
        Self::Trouble(Trouble::Server { reason: reason.into(), retry_after: None })
    }
}

impl Account {
    /// Orders a certificate for one name.
    pub async fn begin(&self, name: &HostName) -> Result<Order, AcmeError> {
        let names = [Identifier::Dns(name.to_string())];
        let wish = NewOrder::new(&names);
        let asked = Asked { directory: &self.directory, name: Some(name) };
        let order = asked.of(self.inner.new_order(&wish)).await?;
        Ok(Order { inner: order, name: name.clone(), directory: self.directory.clone() })
    }

    /// Has the first certificate of a chain revoked; one that is revoked already is as good.
    pub async fn revoke(&self, chain: &str) -> Result<(), AcmeError> {
        let certificate = CertificateDer::from_pem_slice(chain.as_bytes());
        let certificate = certificate.map_err(|error| AcmeError::here(format!("not a chain: {error}")))?;
        let request =
            RevocationRequest { certificate: &certificate, reason: Some(RevocationReason::Superseded) };
        match self.inner.revoke(&request).await {
            Err(instant_acme::Error::Api(problem)) if words::kind(&problem) == "alreadyRevoked" => Ok(()),
            revoked => Asked { directory: &self.directory, name: None }.of(async { revoked }).await,
        }
    }
}

impl Order {
    /// What is to be shown to the server; none: it knows already that the name leads here.
    pub async fn proof(&mut self, way: Way) -> Result<Option<Proof>, AcmeError> {
        let (name, directory) = (&self.name, &self.directory);
        let asked = Asked { directory, name: Some(name) };
        let mut authorizations = self.inner.authorizations();
        let Some(first) = authorizations.next().await else { return Ok(None) };
        let mut authorization = asked.of(async { first }).await?;
        if authorization.status == AuthorizationStatus::Valid {
            return Ok(None);
        }
        let challenge = authorization.challenge(kind(way)).ok_or_else(|| not_offered(directory, way))?;
        proof_of(&challenge, name, way).map(Some)
    }

    /// Tells the server that the proof is there, and waits until it has looked.
    pub async fn prove(&mut self, way: Way) -> Result<(), AcmeError> {
        let Self { inner: order, name, directory } = self;
        let asked = Asked { directory, name: Some(name) };
        let mut authorizations = order.authorizations();
        if let Some(first) = authorizations.next().await {
            let mut authorization = asked.of(async { first }).await?;
            let mut challenge =
                authorization.challenge(kind(way)).ok_or_else(|| not_offered(directory, way))?;
            asked.of(challenge.set_ready()).await?;
        }
        match order.poll_ready(&POLL).await {
            Ok(OrderStatus::Invalid) => Err(self.why_not(None, way).await),
            // What the order says is less than what its challenge says.
            Err(instant_acme::Error::Api(problem)) => Err(self.why_not(Some(problem), way).await),
            polled => asked.of(async { polled }).await.map(drop),
        }
    }

    /// Has the certificate made for a new key, once the proof was seen.
    pub async fn finish(mut self) -> Result<Issued, AcmeError> {
        let failed = |error: rcgen::Error| AcmeError::here(format!("no key could be made: {error}"));
        // ECDSA on P-256.
        let key = KeyPair::generate().map_err(failed)?;
        let request = parameters(&self.name)?.serialize_request(&key).map_err(failed)?;
        let asked = Asked { directory: &self.directory, name: Some(&self.name) };
        let finished = async {
            // Where the server knew the name already, nobody has waited for the order yet.
            if self.inner.state().status == OrderStatus::Pending {
                self.inner.poll_ready(&POLL).await?;
            }
            self.inner.finalize_csr(request.der()).await?;
            self.inner.poll_certificate(&POLL).await
        };
        let chain = asked.of(finished).await?;
        Ok(Issued { chain, key: Secret::new(key.serialize_pem().into_bytes()) })
    }

    async fn why_not(&mut self, of_order: Option<instant_acme::Problem>, way: Way) -> AcmeError {
        let asked = Asked { directory: &self.directory, name: Some(&self.name) };
        let looked = async {
            let mut authorizations = self.inner.authorizations();
            let mut authorization = authorizations.next().await?.ok()?;
            let state = authorization.refresh().await.ok()?;
            let tried = state.challenges.iter().find(|challenge| challenge.r#type == kind(way))?;
            tried.error.clone()
        };
        let problem = looked.await.or(of_order);
        problem.map_or_else(
            || asked.refused("it does not say why", None),
            |problem| asked.problem(&problem, None),
        )
    }
}

fn kind(way: Way) -> ChallengeType {
    match way {
        Way::Http => ChallengeType::Http01,
        Way::TlsAlpn => ChallengeType::TlsAlpn01,
    }
}

fn not_offered(directory: &str, way: Way) -> AcmeError {
    let word = match way {
        Way::Http => "HTTP-01",
        Way::TlsAlpn => "TLS-ALPN-01",
    };
    let reason = format!("{directory} does not offer the challenge {word}: choose another one in [acme]");
    AcmeError::Trouble(Trouble::Refused { reason, retry_after: None })
}

fn proof_of(challenge: &ChallengeHandle<'_>, name: &HostName, way: Way) -> Result<Proof, AcmeError> {
    let authorization = challenge.key_authorization();
    if way == Way::Http {
        let answer = authorization.as_str().to_owned();
        return Ok(Proof::Http { token: challenge.token.clone(), answer });
    }
    let failed = |error: rcgen::Error| AcmeError::here(format!("no challenge could be made: {error}"));
    let key = KeyPair::generate().map_err(failed)?;
    let mut parameters = parameters(name)?;
    let digest = authorization.digest();
    parameters.custom_extensions.push(CustomExtension::new_acme_identifier(digest.as_ref()));
    let certificate = parameters.self_signed(&key).map_err(failed)?;
    let pem = format!("{}{}", key.serialize_pem(), certificate.pem());
    Ok(Proof::TlsAlpn { pem: Secret::new(pem.into_bytes()) })
}

/// A certificate for one name that says nothing else.
fn parameters(name: &HostName) -> Result<CertificateParams, AcmeError> {
    let parameters = CertificateParams::new([name.to_string()]);
    let mut parameters = parameters.map_err(|error| AcmeError::here(format!("{name}: {error}")))?;
    parameters.distinguished_name = DistinguishedName::new();
    Ok(parameters)
}
