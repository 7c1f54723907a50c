//! Signatures of requests: AWS Signature Version 4, in the fields of a request.

use ring::{digest, hmac};

use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// What is signed.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// Not encoded yet, from its first slash.
    pub(super) path: &'a str,
    /// Not encoded yet, in any order.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// In lower case, sorted, `host` and all of `x-amz-` among them.
    pub(super) fields: &'a [(&'a str, &'a str)],
    /// The SHA-256 of the body in hexadecimal digits.
    pub(super) body: &'a str,
}

/// Who signs, and for what.
pub(super) struct Signer<'a> {
    pub(super) key_id: &'a str,
    pub(super) secret: &'a Secret,
    pub(super) region: &'a str,
    /// `20130524T000000Z`.
    pub(super) moment: &'a str,
}

impl Signer<'_> {
    /// The field `authorization`.
    pub(super) fn authorization(&self, request: &Signed<'_>) -> String {
        let Self { key_id, secret, region, moment } = self;
        let names: Vec<&str> = request.fields.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut canonical = format!("{}\n{}\n{}\n", request.method, path(request.path), query(request.query));
        for (name, value) in request.fields {
            canonical.extend([name, ":", value.trim(), "\n"]);
        }
        canonical.extend(["\n", &names, "\n", request.body]);
        let day = moment.get(..8).unwrap_or(moment);
        let scope = format!("{day}/{region}/s3/aws4_request");
        let told = format!("{ALGORITHM}\n{moment}\n{scope}\n{}", sha256(canonical.as_bytes()));
        let mut key = hmac::Key::new(hmac::HMAC_SHA256, &[b"AWS4", secret.reveal()].concat());
        for part in [day, region, "s3", "aws4_request"] {
            key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
        }
        let signature = hex(hmac::sign(&key, told.as_bytes()).as_ref());
        format!("{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}")
    }
}

/// A path as it is sent and signed.
pub(super) fn path(path: &str) -> String {
    if path.is_empty() { "/".to_owned() } else { encode(path, true) }
}

/// A query as it is sent and signed: sorted.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut pairs: Vec<String> =
        pairs.iter().map(|(key, value)| format!("{}={}", encode(key, false), encode(value, false))).collect();
    pairs.sort();
    pairs.join("&")
}

/// The SHA-256 of bytes in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// `20130524T000000Z`.
pub(super) fn moment(now: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn encode(text: &str, slashes: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if plain || slashes && byte == b'/' {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend(
                [byte >> 4, byte & 0xf]
                    .into_iter()
                    .filter_map(|digit| char::from_digit(digit.into(), 16))
                    .map(|digit| digit.to_ascii_uppercase()),
            );
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// The examples of "Authenticating Requests: Using the Authorization Header" of the Amazon S3 API Reference.
    #[test]
    fn the_published_examples() {
        let check =
            |method, path, query: &[(&str, &str)], fields: &[(&str, &str)], body: &str, expect: &str| {
                let mut all = vec![
                    ("host", "examplebucket.s3.amazonaws.com"),
                    ("x-amz-content-sha256", body),
                    ("x-amz-date", "20130524T000000Z"),
                ];
                all.extend(fields);
                all.sort_unstable();
                let signer = Signer {
                    key_id: "AKIAIOSFODNN7EXAMPLE",
                    secret: &Secret::from("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
                    region: "us-east-1",
                    moment: &moment(Timestamp(1_369_353_600_000)),
                };
                let field = signer.authorization(&Signed { method, path, query, fields: &all, body });
                assert_eq!(field.rsplit_once('=').unwrap().1, expect, "{field}");
            };
        let range = [("range", "bytes=0-9")];
        check(
            "GET",
            "/test.txt",
            &[],
            &range,
            EMPTY,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        );
        let fields =
            [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")];
        let body = sha256(b"Welcome to Amazon S3.");
        check(
            "PUT",
            "/test$file.text",
            &[],
            &fields,
            &body,
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        );
        check(
            "GET",
            "",
            &[("lifecycle", "")],
            &[],
            EMPTY,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        );
        let list = [("prefix", "J"), ("max-keys", "2")];
        check(
            "GET",
            "/",
            &list,
            &[],
            EMPTY,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        );
    }

    #[test]
    fn what_is_sent_is_what_is_signed() {
        assert_eq!(path("/a b/ü+"), "/a%20b/%C3%BC%2B");
        assert_eq!(query(&[("b", "1/2"), ("a", "x&y")]), "a=x%26y&b=1%2F2");
    }
}
