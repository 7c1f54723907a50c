//! TLS in front of requests: whom a client asks for, what it is shown, and the handshake.
//!
//! Whoever asks for a name that is nobody's here learns nothing but that (RFC 6066, 3: `unrecognized_name`).

mod greeting;
mod recent;
mod shelf;
mod stopgap;

use std::io;
use std::sync::Arc;

use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::server::{
    Acceptor, ClientHello, NoServerSessionStorage, ResolvesServerCertUsingSni,
};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_rustls::server::TlsStream;

pub(super) use self::shelf::Shelf;
use super::certs::Certificate;
use crate::domain::name::HostName;
use greeting::Greeting;

/// What HTTP/2 is called in a handshake.
pub(super) const HTTP_2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";
/// What an ACME server asks with to see a challenge (RFC 8737, 6.2).
const ACME: &[u8] = b"acme-tls/1";
/// A fatal alert, "unrecognized name", as it stands in the stream before anything is agreed on (RFC 8446, 5.1 and 6).
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];

/// A client's stream behind a handshake.
pub(super) type Secured = TlsStream<Greeting<TcpStream>>;

/// Why TLS cannot be offered at all.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The library takes none of its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
    /// There is no key for certificates of our own.
    #[error("cannot make a key for certificates of our own: {0}")]
    OwnKey(#[from] rcgen::Error),
}

/// What a client has been shown.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// The host it asked for, or was taken to.
    host: HostName,
    /// None for one that the proxy made for the host alone.
    certificate: Option<Arc<Certificate>>,
}

impl Shown {
    /// Whether it may ask for `host` on this connection.
    pub(super) fn covers(&self, host: &HostName) -> bool {
        self.host == *host || self.certificate.as_ref().is_some_and(|shown| covers(&shown.names, host))
    }
}

fn covers(names: &[String], host: &HostName) -> bool {
    let wildcard = wildcard(host);
    names
        .iter()
        .any(|name| name == host.as_str() || wildcard.as_ref().is_some_and(|wildcard| name == wildcard))
}

/// The name that stands for a host and its siblings.
fn wildcard(host: &HostName) -> Option<String> {
    host.as_str().split_once('.').map(|(_, rest)| format!("*.{rest}"))
}

/// Shakes hands; `routed` says whether a host without a certificate is served here. None: the client has been told
/// all that it came for.
pub(super) async fn accept(
    shelf: &Shelf,
    routed: impl Fn(&HostName) -> bool,
    stream: TcpStream,
) -> io::Result<Option<(Secured, Shown)>> {
    let mut begun = LazyConfigAcceptor::new(Acceptor::default(), Greeting::new(stream)).await?;
    begun.io.over();
    let hello = begun.client_hello();
    if asks_for_challenge(&hello) {
        let host = hello.server_name().and_then(|name| HostName::parse(name).ok());
        let Some(config) = host.and_then(|host| shelf.challenge(&host)) else {
            return refuse(begun.io).await;
        };
        begun.into_stream(config).await?.shutdown().await?;
        return Ok(None);
    }
    let host = match hello.server_name() {
        Some(name) => HostName::parse(name).ok(),
        None => shelf.own_host(),
    };
    let Some((config, shown)) = host.and_then(|host| choose(shelf, routed, host)) else {
        return refuse(begun.io).await;
    };
    Ok(Some((begun.into_stream(config).await?, shown)))
}

fn asks_for_challenge(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == ACME))
}

fn choose(
    shelf: &Shelf,
    routed: impl Fn(&HostName) -> bool,
    host: HostName,
) -> Option<(Arc<ServerConfig>, Shown)> {
    if let Some((config, certificate)) = shelf.find(&host) {
        return Some((config, Shown { host, certificate: Some(certificate) }));
    }
    let config = routed(&host).then(|| shelf.stopgap(&host)).flatten()?;
    Some((config, Shown { host, certificate: None }))
}

async fn refuse(mut stream: Greeting<TcpStream>) -> io::Result<Option<(Secured, Shown)>> {
    stream.write_all(&UNRECOGNIZED_NAME).await?;
    stream.shutdown().await?;
    Ok(None)
}

/// How hands are shaken, but for the certificate: with visitors, and with ACME servers.
fn terms() -> Result<(ServerConfig, ServerConfig), TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut visitors = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    // A session is kept by the client, in a ticket; nothing is kept here for those who do not return.
    visitors.session_storage = Arc::new(NoServerSessionStorage {});
    let mut challenges = visitors.clone();
    challenges.alpn_protocols = vec![ACME.to_vec()];
    challenges.send_tls13_tickets = 0;
    visitors.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1_1.to_vec()];
    visitors.ticketer = rustls::crypto::ring::Ticketer::new()?;
    Ok((visitors, challenges))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_covers_one_label() {
        let names = ["a.org".to_owned(), "*.b.org".to_owned()];
        for (host, expected) in [
            ("a.org", true),
            ("A.org.", true),
            ("x.a.org", false),
            ("x.b.org", true),
            ("b.org", false),
            ("x.y.b.org", false),
        ] {
            assert_eq!(covers(&names, &HostName::parse(host).unwrap()), expected, "{host}");
        }
    }
}
