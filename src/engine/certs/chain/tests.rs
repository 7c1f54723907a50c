//! Chains that can be shown and chains that cannot, made for the purpose.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    date_time_ymd,
};

use super::*;

/// 2026-01-01.
const NOW: Timestamp = Timestamp(1_767_225_600_000);

fn parameters(names: &[&str], subject: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut parameters = CertificateParams::new(names).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, subject);
    parameters.not_before = date_time_ymd(2025, 12, 1);
    parameters.not_after = date_time_ymd(2026, 3, 1);
    parameters
}

/// An authority of its own, with its certificate.
fn authority(subject: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut parameters = parameters(&[], subject);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let pem = parameters.self_signed(&key).unwrap().pem();
    (Issuer::new(parameters, key), pem)
}

/// A certificate for these names, and its key.
fn issued(parameters: &CertificateParams, by: &Issuer<'_, KeyPair>) -> (String, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (parameters.signed_by(&key, by).unwrap().pem(), key)
}

fn secret(key: &KeyPair) -> Secret {
    Secret::from(key.serialize_pem().as_str())
}

fn refused(chain: &str, key: &Secret, field: &str, words: &str) {
    let (found, message) = check(chain, key, NOW).unwrap_err();
    assert!(found == field && message.contains(words), "{found}: {message}");
}

#[test]
fn a_chain_with_its_key_is_taken_with_all_its_names() {
    let (ca, root) = authority("Test CA");
    let (leaf, key) = issued(&parameters(&["Example.org", "*.example.org"], "leaf"), &ca);
    let taken = check(&format!("{leaf}{root}"), &secret(&key), NOW).unwrap();
    let names: Vec<&str> = taken.names.iter().map(CertName::as_str).collect();
    assert_eq!((names, taken.issuer.as_str()), (vec!["example.org", "*.example.org"], "Test CA"));
    assert_eq!(taken.not_after, Timestamp(1_772_323_200_000));
    assert_eq!(check(&leaf, &secret(&key), NOW).unwrap(), taken, "without those that lead to its root");
    assert_eq!(facts(&leaf).unwrap(), taken);

    let large = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let leaf = parameters(&["a.test"], "a").signed_by(&large, &ca).unwrap().pem();
    check(&leaf, &secret(&large), NOW).unwrap();
}

#[test]
fn what_cannot_be_shown_says_why() {
    let ((ca, root), (_, other_root)) = (authority("Test CA"), authority("Other CA"));
    let of = parameters(&["a.test"], "leaf");
    let (leaf, key) = issued(&of, &ca);
    let (_, other) = issued(&of, &ca);
    let (key, other) = (secret(&key), secret(&other));
    refused("", &key, "chain", "no certificate in PEM");
    refused(
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        &key,
        "chain",
        "certificate 1 is damaged",
    );
    refused(&leaf, &Secret::from("x"), "key", "no private key in PEM");
    refused(&leaf, &Secret::from("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "key", "passphrase");
    refused(&leaf, &other, "key", "not the key of this certificate");
    refused(&format!("{root}{leaf}"), &key, "chain", "certificate 2: it must come first");
    refused(&format!("{leaf}{other_root}"), &key, "chain", "has not issued certificate 1");
    refused(&format!("{leaf}{}", key_text(&key)), &key, "chain", "holds a private key");
    refused(&leaf.repeat(11), &key, "chain", "11 certificates");
    let (nameless, its) = issued(&parameters(&[], "a.test"), &ca);
    refused(&nameless, &secret(&its), "chain", "names no host");

    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let leaf = of.signed_by(&ed25519, &ca).unwrap().pem();
    refused(&leaf, &secret(&ed25519), "chain", "neither RSA nor EC");
}

#[test]
fn what_does_not_hold_now_is_refused() {
    let (ca, _) = authority("Test CA");
    let mut old = parameters(&["a.test"], "leaf");
    old.not_after = date_time_ymd(2025, 12, 31);
    let (leaf, key) = issued(&old, &ca);
    refused(&leaf, &secret(&key), "chain", "it has expired, on Dec 31");
    let mut early = parameters(&["a.test"], "leaf");
    early.not_before = date_time_ymd(2026, 1, 2);
    let (leaf, key) = issued(&early, &ca);
    refused(&leaf, &secret(&key), "chain", "it holds only from Jan  2");
}

fn key_text(key: &Secret) -> &str {
    str::from_utf8(key.reveal()).unwrap()
}
