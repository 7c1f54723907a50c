//! The two cookies: the session, and the theme that a person chose.

use http::HeaderMap;
use http::header::COOKIE;

use crate::auth::NewSession;

/// The session's name where the connection is encrypted; browsers take it from nowhere else (RFC 6265bis, 4.1.3.2).
const SECURE: &str = "__Host-rivetr";
/// Its name on an instance that is reached without encryption, as its URL says.
const PLAIN: &str = "rivetr";
/// The name of the theme's cookie.
pub(super) const THEME: &str = "theme";

/// The value of a cookie.
pub(super) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// What names the session of this request, if anything does.
pub(super) fn session(headers: &HeaderMap, encrypted: bool) -> Option<&str> {
    value(headers, if encrypted { SECURE } else { PLAIN })
}

/// The field that has the browser keep a session, for as long as it can last.
pub(super) fn keep_session(session: &NewSession, encrypted: bool) -> String {
    session_field(&session.cookie, encrypted, session.lasts.as_secs())
}

/// The field that has the browser forget it.
pub(super) fn forget_session(encrypted: bool) -> String {
    session_field("", encrypted, 0)
}

fn session_field(value: &str, encrypted: bool, seconds: u64) -> String {
    let (name, secure) = if encrypted { (SECURE, "; Secure") } else { (PLAIN, "") };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let headers = HeaderMap::from_iter([
            (COOKIE, "a=1; rivetr=two; __Host-rivetr=three".parse().unwrap()),
            (COOKIE, "theme=dark; xtheme=light".parse().unwrap()),
        ]);
        assert_eq!((session(&headers, false), session(&headers, true)), (Some("two"), Some("three")));
        assert_eq!((value(&headers, THEME), value(&headers, "heme")), (Some("dark"), None));
    }

    #[test]
    fn a_session_is_kept_from_scripts_and_from_other_sites() {
        let session = NewSession { cookie: "x".to_owned(), lasts: Duration::from_hours(14 * 24) };
        let kept = keep_session(&session, true);
        assert_eq!(kept, "__Host-rivetr=x; Path=/; Max-Age=1209600; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(forget_session(false), "rivetr=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
