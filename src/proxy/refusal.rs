//! Why a request is not answered by its target, and the plain page that says so.
//!
//! A page tells a visitor what they can do and repeats nothing of the request; the reason goes to the log.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use thiserror::Error;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error("the request is malformed: {0}")]
    Malformed(&'static str),
    #[error("no such host here")]
    UnknownHost,
    #[error("the connection was not opened for this host")]
    Misdirected,
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
    #[error("the app of this host is stopped")]
    Stopped,
    #[error("the target cannot be reached")]
    Unreachable,
    #[error("the target took too long")]
    TooLate,
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::UnknownHost => StatusCode::NOT_FOUND,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnknownMethod => StatusCode::NOT_IMPLEMENTED,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BadAnswer => StatusCode::BAD_GATEWAY,
            Self::Unreachable | Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooLate => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// Whether the connection can be trusted with another request.
    fn keeps_connection(self) -> bool {
        matches!(
            self,
            Self::UnknownHost
                | Self::Misdirected
                | Self::BadAnswer
                | Self::Stopped
                | Self::Unreachable
                | Self::TooLate
        )
    }

    /// What a visitor reads: what happened, and what to do.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::UnknownHost | Self::Misdirected => (
                "There is no site at this address",
                "The server was reached, but it has nothing under this name. Check the address for a typing error; \
                 if the site is yours, add this host to the app.",
            ),
            Self::BadAnswer => (
                "The site answered badly",
                "The app behind this address broke off its answer. Try again; if it stays, the app's log says more.",
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

    /// The page, as HTML for those who ask for it.
    pub(super) fn page(self, request_id: &str, html: bool) -> Response<Bytes> {
        let (title, words) = self.words();
        let status = self.status();
        let (kind, text) = if html {
            let text = format!(
                "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
                 <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
                 <title>{title}</title>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{words}</p>\n\
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
        fields.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"));
        fields.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
        if self == Self::Unreachable {
            fields.insert(RETRY_AFTER, HeaderValue::from_static("5"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_whole_and_say_what_to_do() {
        let page = Refusal::UnknownHost.page("7-1", true);
        let text = std::str::from_utf8(page.body()).unwrap();
        for part in ["lang=\"en\"", "<title>There is no site", "<h1>", "404 Not Found", "<code>7-1</code>"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert!(page.headers().get(CONNECTION).is_none());
        let page = Refusal::Stopped.page("7-3", true);
        assert!(page.headers().get(RETRY_AFTER).is_none(), "nobody knows when it is started");
        let page = Refusal::Malformed("x").page("7-2", false);
        assert_eq!(page.headers()[CONNECTION], "close");
        assert!(!page.body().starts_with(b"<"));
    }
}
