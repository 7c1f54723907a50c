//! Chains as PEM: what they say, and whether one that was handed in can be shown.

use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use crate::domain::certificate::{CertName, Facts};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// The shortest RSA key that browsers take, in bits.
const RSA_BITS_MIN: usize = 2048;
/// The longest chain; none that leads to a public root has more than four.
const CHAIN_MAX: usize = 10;

/// What is wrong, and with which field of the request.
pub(super) type Wrong = (&'static str, String);

/// What the first certificate of a chain says of itself.
pub(super) fn facts(chain: &str) -> Result<Facts, String> {
    let blocks = blocks(chain)?;
    let first = blocks.first().ok_or("it holds no certificate")?;
    facts_of(&parse(first, 1)?)
}

/// The same of a chain that somebody handed in with its key, if both can be used now.
pub(super) fn check(chain: &str, key: &Secret, now: Timestamp) -> Result<Facts, Wrong> {
    let of_chain = |message: String| ("chain", message);
    let blocks = blocks(chain).map_err(of_chain)?;
    let certificates = blocks.iter().zip(1..).map(|(block, number)| parse(block, number));
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(of_chain)?;
    let first = certificates.first().ok_or_else(|| of_chain("it holds no certificate".to_owned()))?;
    fits(&certificates, key)?;
    strong(first).map_err(of_chain)?;
    in_order(&certificates).map_err(of_chain)?;
    let facts = facts_of(first).map_err(of_chain)?;
    if facts.not_after <= now {
        return Err(of_chain(format!("it has expired, on {}", first.validity().not_after)));
    }
    if facts.not_before > now {
        return Err(of_chain(format!("it holds only from {} on", first.validity().not_before)));
    }
    Ok(facts)
}

fn blocks(chain: &str) -> Result<Vec<Pem>, String> {
    let mut blocks = Vec::new();
    for block in Pem::iter_from_buffer(chain.as_bytes()) {
        let block = block.map_err(|error| format!("it is not PEM: {error}"))?;
        if block.label.ends_with("PRIVATE KEY") {
            return Err(
                "it holds a private key: hand in the certificates alone, and the key as the key".to_owned()
            );
        }
        if block.label != "CERTIFICATE" {
            return Err(format!("it holds a {:?}, which is no certificate", block.label));
        }
        blocks.push(block);
    }
    match blocks.len() {
        0 => Err("it holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned()),
        1..=CHAIN_MAX => Ok(blocks),
        many => Err(format!("it holds {many} certificates: hand in the one and those that lead to its root")),
    }
}

fn parse(block: &Pem, number: usize) -> Result<X509Certificate<'_>, String> {
    block.parse_x509().map_err(|_| format!("certificate {number} is damaged"))
}

fn facts_of(certificate: &X509Certificate<'_>) -> Result<Facts, String> {
    let extension = certificate.subject_alternative_name();
    let extension = extension.map_err(|_| "its names are damaged".to_owned())?;
    let all = extension.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let of_hosts = all.iter().filter_map(|name| {
        if let GeneralName::DNSName(name) = name { Some(CertName::parse(name)) } else { None }
    });
    let names = of_hosts.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    if names.is_empty() {
        return Err("it names no host (subjectAltName): browsers look at nothing else".to_owned());
    }
    let moment = |seconds: i64| Timestamp(seconds.saturating_mul(1000));
    let validity = certificate.validity();
    Ok(Facts {
        names,
        issuer: readable(certificate.issuer()),
        not_before: moment(validity.not_before.timestamp()),
        not_after: moment(validity.not_after.timestamp()),
    })
}

/// Who it is: organisation and name, where it has them.
fn readable(name: &X509Name<'_>) -> String {
    let organisation = name.iter_organization().next();
    let words = organisation.into_iter().chain(name.iter_common_name().next());
    let words: Vec<&str> = words.filter_map(|word| word.as_str().ok()).collect();
    if words.is_empty() { name.to_string() } else { words.join(", ") }
}

/// Whether the key is that of the first certificate.
fn fits(certificates: &[X509Certificate<'_>], key: &Secret) -> Result<(), Wrong> {
    let of_key = |message: &str| ("key", message.to_owned());
    if str::from_utf8(key.reveal()).is_ok_and(|text| text.contains("ENCRYPTED")) {
        return Err(of_key("it is sealed with a passphrase: `openssl pkey -in FILE` writes it without one"));
    }
    let key = PrivateKeyDer::from_pem_slice(key.reveal())
        .map_err(|_| of_key("it holds no private key in PEM (-----BEGIN PRIVATE KEY-----)"))?;
    let key = any_supported_type(&key)
        .map_err(|_| of_key("it cannot be used: take RSA of 2048 bits or more, or EC on P-256 or P-384"))?;
    let public = key.public_key().ok_or_else(|| of_key("it does not tell its public half"))?;
    let is_of = |certificate: &X509Certificate<'_>| certificate.public_key().raw == public.as_ref();
    match certificates.iter().position(is_of) {
        Some(0) => Ok(()),
        Some(at) => {
            let message = format!("the key is that of certificate {}: it must come first", at + 1);
            Err(("chain", message))
        }
        None => Err(of_key("it is not the key of this certificate")),
    }
}

fn strong(certificate: &X509Certificate<'_>) -> Result<(), String> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < RSA_BITS_MIN => {
            Err(format!("its key has {} bits: browsers want {RSA_BITS_MIN} or more", key.key_size()))
        }
        Ok(PublicKey::RSA(_) | PublicKey::EC(_)) => Ok(()),
        _ => Err("its key is neither RSA nor EC, and browsers take no other".to_owned()),
    }
}

/// Whether each certificate was issued by the next one.
fn in_order(certificates: &[X509Certificate<'_>]) -> Result<(), String> {
    for (pair, number) in certificates.windows(2).zip(1..) {
        let [one, next] = pair else { continue };
        if one.issuer().as_raw() != next.subject().as_raw() {
            return Err(format!(
                "certificate {} has not issued certificate {number}: after each one comes the one that issued it, \
                 here {}",
                number + 1,
                readable(one.issuer())
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
