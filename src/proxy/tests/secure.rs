//! What tests of TLS share: certificates, and clients that take any and say which.

use std::io;
use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion,
};

use super::*;
use crate::files::write_whole;
use crate::proxy::certs::{self, Certificate, Index};

/// The versions of TLS that are spoken.
pub(super) const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

/// Takes any certificate whose key the other side has.
#[derive(Debug)]
struct Anyone(CryptoProvider);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms).or_else(of_a_proof)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms).or_else(of_a_proof)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a proof to an ACME server says is critical is not known to the library.
fn of_a_proof(error: Error) -> Result<HandshakeSignatureValid, Error> {
    let critical = matches!(error, Error::InvalidCertificate(CertificateError::Other(_)));
    if critical { Ok(HandshakeSignatureValid::assertion()) } else { Err(error) }
}

/// A client of these versions that asks for these protocols.
pub(super) fn client(
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&[u8]],
) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_protocol_versions(versions).unwrap().dangerous();
    let verifier = Arc::new(Anyone(default_provider()));
    let mut config = config.with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// A browser of today that speaks HTTP/1.1 alone.
pub(super) fn usual() -> Arc<ClientConfig> {
    client(&VERSIONS, &[b"http/1.1"])
}

/// The certificate that was shown.
pub(super) fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

impl Proxy {
    /// A handshake; an address as `name` is not told to the proxy.
    pub(super) async fn greet(
        &self,
        config: &Arc<ClientConfig>,
        name: &str,
    ) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.secure).await?;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        timeout(SURELY, TlsConnector::from(Arc::clone(config)).connect(name, stream)).await.expect("an end")
    }

    /// Makes a certificate and lays it into the folder.
    pub(super) fn issue(&self, file: &str, names: &[&str]) -> CertificateDer<'static> {
        self.issue_with(file, names, vec![])
    }

    /// The same for a proof to an ACME server.
    pub(super) fn prove(&self, file: &str, name: &str) -> CertificateDer<'static> {
        self.issue_with(file, &[name], vec![CustomExtension::new_acme_identifier(&[7; 32])])
    }

    fn issue_with(&self, file: &str, names: &[&str], more: Vec<CustomExtension>) -> CertificateDer<'static> {
        let pair = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.custom_extensions = more;
        let certificate = params.self_signed(&pair).unwrap();
        let text = pair.serialize_pem() + &certificate.pem();
        write_whole(&self.certs.join(file), text.as_bytes(), 0o600).unwrap();
        certificate.der().clone()
    }

    /// Writes the index and has it read.
    pub(super) async fn show(&self, certificates: &[(&str, &[&str])], challenges: &[(&str, &[&str])]) {
        let rows = |rows: &[(&str, &[&str])]| {
            let row = |(file, names): &(&str, &[&str])| Certificate {
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                file: (*file).to_owned(),
            };
            rows.iter().map(row).collect()
        };
        let index = Index { certificates: rows(certificates), challenges: rows(challenges) };
        certs::write(&self.certs, &index).unwrap();
        self.link.load().await.unwrap();
    }
}
