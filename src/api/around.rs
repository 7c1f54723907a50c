//! What happens around every request: it gets a number, a page of another site may not send it, a panic ends it
//! alone, and an error becomes an answer and one line in the log.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, CONNECTION, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};

use super::error::ApiError;
use crate::auth::Refused;
use crate::auth::audit::RequestNumber;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Numbers the requests of one run of the daemon.
#[derive(Clone)]
pub struct Numbers {
    run: u32,
    next: Arc<AtomicU64>,
}

impl Numbers {
    /// Numbers of a run; `run` keeps them apart from those of the run before.
    #[must_use]
    pub fn new(run: u32) -> Self {
        Self { run, next: Arc::new(AtomicU64::new(1)) }
    }

    /// The next number.
    #[must_use]
    pub fn take(&self) -> String {
        format!("{:08x}-{}", self.run, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// The layer.
pub async fn around(State(numbers): State<Numbers>, mut request: Request, next: Next) -> Response {
    let number = numbers.take();
    request.extensions_mut().insert(RequestNumber(number.clone()));
    let for_git = request.uri().path().starts_with("/git/");
    let has_body = !request.body().is_end_stream();
    let answer = if is_foreign(request.headers(), request.uri()) {
        let message = "a page of another site may not send requests here";
        Ok(ApiError::new(StatusCode::FORBIDDEN, "foreign_origin", message).into_response())
    } else {
        AssertUnwindSafe(next.run(request)).catch_unwind().await
    };
    let mut response = answer.unwrap_or_else(|panic| {
        tracing::error!(request = number, panic = words(panic.as_ref()), "a request panicked");
        ApiError::hidden().into_response()
    });
    let refused = response.extensions_mut().remove::<Refused>().map(|Refused(refusal)| (&refusal).into());
    if let Some(error) = refused.or_else(|| response.extensions_mut().remove::<ApiError>()) {
        error.log(&number);
        response = error.render(&number, for_git);
        if has_body {
            // It may not have been read to its end: then this connection can carry no other request.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
    let headers = response.headers_mut();
    if let Ok(number) = HeaderValue::try_from(number) {
        headers.insert(REQUEST_ID, number);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether a browser says that the request comes from a page of another site. Other clients say nothing.
pub fn is_foreign(headers: &HeaderMap, uri: &Uri) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let here =
        headers.get(HOST).and_then(|host| host.to_str().ok()).or_else(|| Some(uri.authority()?.as_str()));
    let there = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_scheme, rest)| rest);
    there.is_none() || there != here
}

/// What a panic said.
pub fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites() {
        let check = |fields: &[(HeaderName, &str)], foreign| {
            let headers = fields.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
            assert_eq!(is_foreign(&headers, &Uri::from_static("/")), foreign, "{fields:?}");
        };
        let host = || (HOST, "rivetr.example:7480");
        check(&[host()], false);
        check(&[host(), (SEC_FETCH_SITE, "same-origin")], false);
        check(&[host(), (SEC_FETCH_SITE, "none")], false);
        check(&[host(), (SEC_FETCH_SITE, "same-site")], true);
        check(&[host(), (SEC_FETCH_SITE, "cross-site"), (ORIGIN, "http://rivetr.example:7480")], true);
        check(&[host(), (ORIGIN, "http://rivetr.example:7480")], false);
        check(&[host(), (ORIGIN, "http://rivetr.example")], true);
        check(&[host(), (ORIGIN, "null")], true);
        check(&[(ORIGIN, "http://evil.example")], true);
    }
}
