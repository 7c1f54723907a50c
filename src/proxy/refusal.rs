//! Why a request is not answered by its target, and the plain page that says so.
//!
//! A page tells a visitor what they can do and repeats nothing of the request; the reason goes to the log.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use thiserror::Error;

/// How browsers are asked for user and password; the realm says nothing about the site.
const ASK: HeaderValue = HeaderValue::from_static("Basic realm=\"Restricted\", charset=\"UTF-8\"");

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    #[error("no such host here")]
    UnknownHost,
    #[error("the connection was not opened for this host")]
    Misdirected,
    #[error("the host has nothing at this path")]
    UnknownPath,
    #[error("the client's address may not come in")]
    Forbidden,
    #[error("no user of this route was named, or the password is wrong")]
    Unauthorized,
    #[error("too many passwords are being checked, or were wrong")]
    TooManyTries,
    #[error("the route is closed for maintenance")]
    Maintenance,
    #[error("the method is not allowed through this proxy")]
    Method,
    #[error("the method is not known")]
    UnknownMethod,
    #[error("the request's body came too slowly")]
    BodyTooSlow,
    #[error("the request's body is larger than allowed")]
    BodyTooLarge,
    #[error("the request's address is too long")]
    TargetTooLong,
    #[error("the request expects something other than `100-continue`")]
    Expectation,
    #[error("the request's header fields are too large")]
    HeadTooLarge,
    #[error("the target's answer broke off or is not HTTP")]
    BadAnswer,
    #[error("the route is written in a way that cannot be followed")]
    Misconfigured,
    #[error("the app of this host is stopped")]
    Stopped,
    #[error("the target cannot be reached")]
    Unreachable,
    #[error("the target took too long")]
    TooLate,
}

/// What the page looks like, in both themes; the browser takes this style and no other by its hash.
const STYLE: &str = concat!(
    ":root{color-scheme:light dark}",
    "body{margin:0;min-height:100vh;display:grid;place-items:center;font:16px/1.5 system-ui,sans-serif}",
    "main{box-sizing:border-box;width:100%;max-width:36rem;padding:2rem}",
    "h1{font-size:1.625rem;line-height:1.2;margin:0 0 .75rem}p{margin:.5rem 0}",
    "p:last-child{margin-top:1.5rem;font-size:.875rem;opacity:.75}",
);
const POLICY: &str = "default-src 'none'; style-src 'sha256-gQberAgv0+sU+yj9JNVaxZyPURJdfcM4lwyCwvz+T18='";

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::UnknownHost | Self::UnknownPath => StatusCode::NOT_FOUND,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::TooManyTries => StatusCode::TOO_MANY_REQUESTS,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnknownMethod => StatusCode::NOT_IMPLEMENTED,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BadAnswer => StatusCode::BAD_GATEWAY,
            Self::Unreachable | Self::Stopped | Self::Misconfigured | Self::Maintenance => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::TooLate => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Whether the connection can be trusted with another request.
    fn keeps_connection(self) -> bool {
        matches!(
            self,
            Self::UnknownHost
                | Self::Misdirected
                | Self::UnknownPath
                | Self::Forbidden
                | Self::Unauthorized
                | Self::TooManyTries
                | Self::Maintenance
                | Self::BadAnswer
                | Self::Misconfigured
                | Self::Stopped
                | Self::Unreachable
                | Self::TooLate
        )
    }

    /// When it may be worth another try, in seconds.
    fn retry_after(self) -> Option<u16> {
        let worth = [(Self::Unreachable, 5), (Self::TooManyTries, 10), (Self::Maintenance, 120)];
        worth.into_iter().find(|(refusal, _)| *refusal == self).map(|(_, seconds)| seconds)
    }

    /// What a visitor reads: what happened, and what to do.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::UnknownHost | Self::Misdirected => (
                "There is no site at this address",
                "The server was reached, but it has nothing under this name. Check the address for a typing error; \
                 if the site is yours, add this host to the app.",
            ),
            Self::UnknownPath => (
                "There is nothing at this address",
                "The site is there, but it has nothing under this path. Check the address for a typing error.",
            ),
            Self::Forbidden => (
                "You cannot come in from here",
                "This site is open to some networks alone. If yours should be one of them, ask who runs the site.",
            ),
            Self::Unauthorized => (
                "A user and a password are needed",
                "This site asks who you are. Load it again and give both; if you have none, ask who runs the site.",
            ),
            Self::TooManyTries => (
                "There were too many tries",
                "Passwords are checked slowly on purpose. Wait a moment, then try again.",
            ),
            Self::Maintenance => {
                ("The site is closed for a moment", "It is being worked on. Try again in a few minutes.")
            }
            Self::BadAnswer => (
                "The site answered badly",
                "The app behind this address broke off its answer. Try again; if it stays, the app's log says more.",
            ),
            Self::Misconfigured => (
                "The site is not set up correctly",
                "Nobody is let in until that is mended. If the site is yours, `rivetr routes` says what is wrong.",
            ),
            Self::Stopped => (
                "The site is stopped",
                "The app behind this address was stopped by who runs it. If it is yours, start it or deploy it.",
            ),
            Self::Unreachable => (
                "The site is not running at the moment",
                "The app behind this address cannot be reached. Try again in a few seconds.",
            ),
            Self::TooLate => (
                "The site took too long",
                "The app behind this address did not answer in time. Try again later.",
            ),
            Self::Method | Self::UnknownMethod => {
                ("This method cannot be used here", "The request's method is not served.")
            }
            Self::BodyTooSlow => {
                ("The upload was too slow", "The connection stalled while sending. Try again.")
            }
            Self::BodyTooLarge => ("The upload is too large", "Send less at once."),
            Self::TargetTooLong => ("The address is too long", "Use a shorter address."),
            Self::HeadTooLarge => (
                "The request is too large",
                "Its header fields are too large. Clearing this site's cookies may help.",
            ),
            Self::Malformed(_) | Self::Expectation => {
                ("The request was not understood", "It is not a valid request.")
            }
        }
    }

    /// The page, as HTML for those who ask for it; `notice` is said in the place of our own words.
    pub(super) fn page(self, request_id: &str, html: bool, notice: Option<&str>) -> Response<Bytes> {
        let (title, words) = self.words();
        let words = notice.filter(|notice| !notice.trim().is_empty()).unwrap_or(words);
        let status = self.status();
        let (kind, text) = if html {
            let lines = words.lines().filter(|line| !line.trim().is_empty());
            let words = lines.map(escaped).collect::<Vec<_>>().join("</p>\n<p>");
            let text = format!(
                "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
                 <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
                 <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{words}</p>\n\
                 <p>{status}. Request <code>{request_id}</code>.</p>\n</main>\n</body>\n</html>\n"
            );
            ("text/html; charset=utf-8", text)
        } else {
            ("text/plain; charset=utf-8", format!("{title}. {words}\n{status}. Request {request_id}.\n"))
        };
        let mut response = Response::new(Bytes::from(text));
        *response.status_mut() = status;
        let fields = response.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        fields.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        fields.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
        if let Some(seconds) = self.retry_after() {
            fields.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self == Self::Unauthorized {
            fields.insert(WWW_AUTHENTICATE, ASK);
        }
        if self == Self::Method {
            fields.insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        if !self.keeps_connection() {
            fields.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Text as HTML shows it.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            plain => safe.push(plain),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD as BASE64;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_style_is_the_one_that_browsers_are_told_to_take() {
        let digest = BASE64.encode(Sha256::digest(STYLE));
        assert!(POLICY.contains(&format!("'sha256-{digest}'")), "it is {digest}");
        let page = Refusal::UnknownHost.page("1", true, None);
        assert!(String::from_utf8_lossy(page.body()).contains(STYLE));
    }

    #[test]
    fn pages_are_whole_and_say_what_to_do() {
        let page = Refusal::UnknownHost.page("7-1", true, None);
        let text = std::str::from_utf8(page.body()).unwrap();
        for part in ["lang=\"en\"", "<title>There is no site", "<h1>", "404 Not Found", "<code>7-1</code>"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(page.headers().get(CONNECTION).is_none());
        let page = Refusal::Stopped.page("7-3", true, None);
        assert!(page.headers().get(RETRY_AFTER).is_none(), "nobody knows when it is started");
        let page = Refusal::Malformed("x").page("7-2", false, None);
        assert_eq!(page.headers()[CONNECTION], "close");
        assert!(!page.body().starts_with(b"<"));
    }

    #[test]
    fn a_notice_is_text_and_nothing_else() {
        let notice = Some("Back at <b>9</b>.\n\n\"Tea\" & 'cake'");
        let page = Refusal::Maintenance.page("7-4", true, notice);
        let text = std::str::from_utf8(page.body()).unwrap();
        let shown = "<p>Back at &lt;b&gt;9&lt;/b&gt;.</p>\n<p>&quot;Tea&quot; &amp; &#39;cake&#39;</p>\n";
        assert!(text.contains(shown), "{text}");
        assert_eq!(page.headers()[RETRY_AFTER], "120");
        let plain = Refusal::Maintenance.page("7-5", false, notice);
        assert!(std::str::from_utf8(plain.body()).unwrap().contains("<b>9</b>"));
        let page = Refusal::Maintenance.page("7-6", true, Some(" "));
        assert!(std::str::from_utf8(page.body()).unwrap().contains("It is being worked on"));
        assert!(Refusal::Unauthorized.page("7-7", true, None).headers().contains_key(WWW_AUTHENTICATE));
    }
}
