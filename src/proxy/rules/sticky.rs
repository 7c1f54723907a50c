//! Visitors who stay with one target: a cookie names it, by a hash that says nothing about it.

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use ring::hmac;

/// The name of the cookie.
const COOKIE_NAME: &str = "rivetr-target";
/// How many bytes of the hash are kept: enough that no two targets are taken for one.
const HASH_BYTES: usize = 16;

/// What keeps visitors from finding out which target a hash is of. It is the machine's own, so that the next process
/// knows the cookies of this one; only a machine without an identity has another key each time.
static KEY: LazyLock<hmac::Key> = LazyLock::new(|| {
    let mut secret = std::fs::read("/etc/machine-id").unwrap_or_default();
    if secret.is_empty() {
        secret = vec![0; 32];
        if let Err(error) = getrandom::fill(&mut secret) {
            tracing::warn!(%error, "cookies of visitors can be read: there is no randomness");
        }
    }
    hmac::Key::new(hmac::HMAC_SHA256, &secret)
});

/// How a visitor who stays with a target is known.
#[derive(Debug)]
pub(in crate::proxy) struct Mark {
    hash: String,
    cookie: Option<HeaderValue>,
    secure_cookie: Option<HeaderValue>,
}

impl Mark {
    /// The mark of the target `key` on a route of this path.
    pub(in crate::proxy) fn new(key: &str, path: &str) -> Self {
        let signed = hmac::sign(&KEY, format!("rivetr sticky target\n{key}").as_bytes());
        let hash = BASE64_URL_SAFE_NO_PAD.encode(signed.as_ref().get(..HASH_BYTES).unwrap_or_default());
        let cookie = format!("{COOKIE_NAME}={hash}; Path={path}; HttpOnly; SameSite=Lax");
        let secure = format!("{cookie}; Secure");
        // The path of a route has nothing that a cookie could not carry.
        Self {
            cookie: HeaderValue::from_str(&cookie).ok(),
            secure_cookie: HeaderValue::from_str(&secure).ok(),
            hash,
        }
    }

    /// Whether it is this target's mark that a visitor has.
    pub(in crate::proxy) fn is(&self, visitor: &str) -> bool {
        self.hash == visitor
    }

    /// What gives a visitor this mark.
    pub(super) fn cookie(&self, secure: bool) -> Option<HeaderValue> {
        if secure { self.secure_cookie.clone() } else { self.cookie.clone() }
    }
}

/// The mark that a visitor has, if any.
pub(super) fn visitor(fields: &HeaderMap) -> Option<&str> {
    let fields = fields.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookies = fields.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.split_once('='));
    cookies
        .map(|(name, value)| (name.trim(), value.trim()))
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|pair| pair.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_known_again_and_says_nothing() {
        let mark = Mark::new("rivetr-app-blog-7", "/api");
        let cookie = mark.cookie(true).unwrap().to_str().unwrap().to_owned();
        assert!(cookie.ends_with("; Path=/api; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
        assert!(!cookie.contains("blog"), "{cookie}");
        assert!(!mark.cookie(false).unwrap().to_str().unwrap().contains("Secure"));
        let mut fields = HeaderMap::new();
        let (pair, _) = cookie.split_once(';').unwrap();
        fields.append(COOKIE, format!("a=b; x{pair}").parse().unwrap());
        assert_eq!(visitor(&fields), None);
        fields.append(COOKIE, format!("c=d;{pair} ; e=f").parse().unwrap());
        assert!(mark.is(visitor(&fields).unwrap()));
        assert!(!Mark::new("rivetr-app-blog-8", "/api").is(visitor(&fields).unwrap()));
    }
}
