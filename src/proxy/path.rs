//! The path of a request, as each program on its way may read it. A route or rule is applied only where all agree.

use std::borrow::Cow;

use super::refusal::Refusal;

/// How often an escape may be escaped itself and still be seen through: nobody decodes more often.
const LAYERS: usize = 3;

/// Whether every program reads the path as it stands.
pub(super) fn is_plain(path: &str) -> bool {
    let bytes = path.as_bytes();
    !bytes.iter().any(|byte| matches!(byte, b'%' | b';'))
        && !bytes.windows(2).any(|two| matches!(two, b"//" | b"/."))
}

/// The path with escapes of unreserved characters decoded and dot segments removed (RFC 3986, 6.2.2).
pub(super) fn canonical(path: &str) -> Result<Cow<'_, str>, Refusal> {
    if is_plain(path) {
        return Ok(Cow::Borrowed(path));
    }
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let decoded = decode(path, unreserved).ok_or(Refusal::Malformed("the path has a broken escape"))?;
    Ok(Cow::Owned(without_dots(&decoded, false)))
}

/// The path as the laxest program reads it: every escape decoded, backslashes taken for slashes, parameters of
/// segments and empty segments dropped.
pub(super) fn laxest(path: &str) -> String {
    let mut decoded = path.to_owned();
    for _ in 0..LAYERS {
        decoded = decode(&decoded, |byte| byte.is_ascii()).unwrap_or(decoded);
    }
    let bare = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    let segments: Vec<String> = decoded.split(['/', '\\']).map(bare).collect();
    without_dots(&segments.join("/"), true)
}

/// Decodes the escapes of the bytes that are `wanted`; none if an escape is not one.
fn decode(path: &str, wanted: impl Fn(u8) -> bool) -> Option<String> {
    let mut parts = path.split('%');
    let mut decoded = String::with_capacity(path.len());
    decoded.push_str(parts.next()?);
    for part in parts {
        let digits = part.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        if byte.is_ascii() && wanted(byte) {
            decoded.push(char::from(byte));
            decoded.push_str(part.get(2..)?);
        } else {
            decoded.push('%');
            decoded.push_str(part);
        }
    }
    Some(decoded)
}

/// The path without `.` and `..` (RFC 3986, 5.2.4); without empty segments too if they are `merged`.
fn without_dots(path: &str, merged: bool) -> String {
    let mut kept = Vec::new();
    // Whether the last segment leaves a slash behind and nothing after it.
    let mut open = false;
    for segment in path.split('/').skip(1) {
        open = matches!(segment, "." | "..") || merged && segment.is_empty();
        match segment {
            ".." => {
                kept.pop();
            }
            _ if open => {}
            _ => kept.push(segment),
        }
    }
    let mut whole = String::with_capacity(path.len() + 1);
    for segment in &kept {
        whole.push('/');
        whole.push_str(segment);
    }
    if open || kept.is_empty() {
        whole.push('/');
    }
    whole
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn readings() {
        for (path, canonical_path, laxest_path) in [
            ("/", "/", "/"),
            ("/a", "/a", "/a"),
            ("/a/", "/a/", "/a/"),
            ("/a/./b/../c", "/a/c", "/a/c"),
            ("/a/b/..", "/a/", "/a/"),
            ("/..", "/", "/"),
            ("/../../a", "/a", "/a"),
            ("/a/..b/.c", "/a/..b/.c", "/a/..b/.c"),
            ("/%61%2Db/%7e", "/a-b/~", "/a-b/~"),
            ("/%2e%2E/a/%2e", "/a/", "/a/"),
            ("/a%2Fb", "/a%2Fb", "/a/b"),
            ("/a%2f..%5cb", "/a%2f..%5cb", "/b"),
            ("//a///b", "//a///b", "/a/b"),
            ("/a;x=1/..;/b", "/a;x=1/..;/b", "/b"),
            ("/a/%252e%252e/b", "/a/%252e%252e/b", "/b"),
            ("/%C3%A4", "/%C3%A4", "/%C3%A4"),
        ] {
            assert_eq!(canonical(path).unwrap(), canonical_path, "{path}");
            assert_eq!(laxest(path), laxest_path, "{path}");
        }
        for broken in ["/%", "/%2", "/%zz", "/%+1", "/a%2%65"] {
            assert!(canonical(broken).is_err(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn no_path_climbs_out(pieces in proptest::collection::vec(0..12_usize, 0..20)) {
            let words = ["/", ".", "..", "%2e", "%2E%2e", "a", "%61", "%2f", ";x", "%", "%25", "\\"];
            let path: String = std::iter::once("/").chain(pieces.into_iter().map(|at| words[at])).collect();
            let lax = laxest(&path);
            prop_assert!(lax.starts_with('/') && !lax.contains("//"), "{path} gave {lax}");
            prop_assert!(!lax.split('/').any(|segment| matches!(segment, "." | "..")), "{path} gave {lax}");
            if let Ok(once) = canonical(&path) {
                prop_assert!(once.starts_with('/'));
                prop_assert!(!once.split('/').any(|segment| matches!(segment, "." | "..")), "{path} gave {once}");
                prop_assert_eq!(canonical(&once).unwrap(), once.clone());
            }
        }

        #[test]
        fn no_bytes_are_too_strange(text in proptest::collection::vec(any::<char>(), 0..40)) {
            let path: String = std::iter::once('/').chain(text).collect();
            let _either_way = canonical(&path);
            prop_assert!(laxest(&path).starts_with('/'));
        }
    }
}
