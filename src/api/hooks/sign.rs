//! Signatures, compared in constant time. An empty secret signs nothing.

use http::HeaderMap;
use ring::hmac;
use subtle::ConstantTimeEq;

pub(super) const MISSING: &str = "the signature is missing";
pub(super) const WRONG: &str = "the signature is wrong";

/// Checks the HMAC-SHA256 of a body, in hexadecimal after `prefix`, in the first of these fields that is there.
pub(super) fn check_hex(
    secret: &[u8],
    (headers, names): (&HeaderMap, &[&str]),
    prefix: &str,
    body: &[u8],
) -> Result<(), &'static str> {
    let given = super::field(headers, names).ok_or(MISSING)?;
    let digits = given.trim().strip_prefix(prefix).ok_or("the signature is of another kind")?;
    let signature = from_hex(digits.as_bytes()).ok_or("the signature is not hexadecimal")?;
    check(secret, body, &signature)
}

/// Checks an HMAC-SHA256.
pub(super) fn check(secret: &[u8], body: &[u8], signature: &[u8]) -> Result<(), &'static str> {
    if secret.is_empty() {
        return Err("the webhook has no secret");
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::verify(&key, body, signature).map_err(|_| WRONG)
}

/// Whether two digests are the same.
pub(super) fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.ct_eq(other).into()
}

/// Bytes from hexadecimal digits of either case.
pub(super) fn from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?));
    if rest.is_empty() { bytes.collect() } else { None }
}
