//! What a request of HTTP/2 is measured by, and how it becomes one that HTTP/1.1 could have carried.
//!
//! For HTTP/1.1 `head` does the measuring, on the bytes.

use http::header::{CONTENT_LENGTH, COOKIE};
use http::{HeaderValue, Request};

use super::limits::{FIELD_BYTES, FIELDS, TARGET_BYTES};
use super::refusal::Refusal;

/// Refuses what is too large, and makes one of the pieces of a cookie (RFC 9113, 8.2.3).
pub(super) fn judge<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target > TARGET_BYTES {
        return Err(Refusal::TargetTooLong);
    }
    let fields = request.headers_mut();
    if fields.len() > FIELDS
        || fields.iter().any(|(name, value)| name.as_str().len() + value.len() > FIELD_BYTES)
    {
        return Err(Refusal::HeadTooLarge);
    }
    if fields.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        // The library compares each with the body, and the target would read them all.
        return Err(Refusal::Malformed("Content-Length is given twice"));
    }
    let mut pieces = fields.get_all(COOKIE).iter();
    if let (Some(first), Some(second)) = (pieces.next(), pieces.next()) {
        let mut whole = first.as_bytes().to_vec();
        for piece in std::iter::once(second).chain(pieces) {
            whole.extend_from_slice(b"; ");
            whole.extend_from_slice(piece.as_bytes());
        }
        let whole =
            HeaderValue::from_bytes(&whole).map_err(|_| Refusal::Malformed("a cookie is not text"))?;
        fields.insert(COOKIE, whole);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, fields: &[(&str, &str)]) -> Result<Request<()>, Refusal> {
        let request =
            fields.iter().fold(Request::get(target), |request, (name, value)| request.header(*name, *value));
        let mut request = request.body(()).unwrap();
        judge(&mut request).map(|()| request)
    }

    #[test]
    fn the_pieces_of_a_cookie_are_one() {
        let request =
            check("/", &[("cookie", "a=b"), ("x", "1"), ("cookie", "c=d; e=f"), ("cookie", "")]).unwrap();
        let cookies: Vec<_> = request.headers().get_all(COOKIE).iter().collect();
        assert_eq!(cookies, ["a=b; c=d; e=f; "]);
        assert_eq!(check("/", &[("cookie", "a=b")]).unwrap().headers()[COOKIE], "a=b");
    }

    #[test]
    fn one_length() {
        let refused = check("/", &[("content-length", "5"), ("content-length", "5")]).unwrap_err();
        assert!(matches!(refused, Refusal::Malformed(_)), "{refused}");
        assert!(check("/", &[("content-length", "5")]).is_ok());
    }

    #[test]
    fn what_is_too_large() {
        let long = "a".repeat(FIELD_BYTES);
        assert_eq!(check("/", &[("a", &long)]).unwrap_err(), Refusal::HeadTooLarge);
        assert_eq!(check("/", &vec![("a", "b"); FIELDS + 1]).unwrap_err(), Refusal::HeadTooLarge);
        assert_eq!(check(&format!("/{long}"), &[]).unwrap_err(), Refusal::TargetTooLong);
        assert!(check("/", &vec![("a", "b"); FIELDS]).is_ok());
    }
}
