//! What happens around every request for a page: it gets a number, a page of another site may not send it, its session
//! is looked up, what changes something has to show that it came from a page of that session, and every answer says
//! what a browser may do with it.

use std::panic::AssertUnwindSafe;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use flate2::Compression;
use futures_util::FutureExt;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use subtle::ConstantTimeEq as _;

use super::error::PageError;
use super::prove::Asking;
use super::shell::Shell;
use super::sign_in::Waiting;
use super::{assets, cookie, form, prove};
use crate::api::{Numbers, from_another_site, panic_words};
use crate::auth::audit::RequestNumber;
use crate::auth::{Auth, Browser, Refusal, Refused, SECOND_FACTOR, Visitor};

/// The longest form, in bytes; variables are the longest that people send.
pub(super) const FORM_MAX: usize = 2 * 1024 * 1024;
/// A page shorter than this is not worth compressing, in bytes.
const WORTH_COMPRESSING: usize = 1024;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// The layer.
pub(super) async fn around(
    State((auth, numbers, asking)): State<(Auth, Numbers, Asking)>,
    request: Request,
    next: Next,
) -> Response {
    let number = numbers.take();
    let asked = (request.uri().path().to_owned(), request.headers().clone(), request.method().clone());
    let (path, headers, method) = asked;
    let encrypted = is_encrypted(&headers);
    let visitor = match cookie::session(&headers, encrypted) {
        Some(session) => auth.session(session).await,
        None => Ok(None),
    };
    let (visitor, broken) = match visitor {
        Ok(visitor) => (visitor, None),
        Err(error) => (None, Some(PageError::from(error))),
    };
    let mut shell = Shell::of(&path, &headers, visitor.as_ref());
    let request = match broken {
        None => guard(request, visitor).await.map(|mut request| {
            request.extensions_mut().insert(shell.clone());
            request.extensions_mut().insert(RequestNumber(number.clone()));
            request
        }),
        Some(error) => Err(error),
    };
    let request = match request {
        Ok(request) => prove::look(&auth, &asking, &shell, request).await,
        Err(error) => Err(error.into_response()),
    };
    let answer = match request {
        Ok(request) => AssertUnwindSafe(next.run(request)).catch_unwind().await,
        Err(answer) => Ok(answer),
    };
    let mut response = answer.unwrap_or_else(|panic| {
        tracing::error!(request = number, panic = panic_words(panic.as_ref()), "a page panicked");
        PageError::Panicked.into_response()
    });
    if let Some(Refused(refusal)) = response.extensions_mut().remove() {
        if matches!(*refusal, Refusal::SignedOut) {
            return finish(to_sign_in(&path, &headers, &method), &number, encrypted);
        }
        if matches!(*refusal, Refusal::NeedsSecondFactor { .. }) {
            return finish(to_second_factor(&headers), &number, encrypted);
        }
        response = PageError::from(refusal).into_response();
    }
    if let Some(error) = response.extensions_mut().remove::<PageError>() {
        error.log(&number);
        shell.path.clear();
        response = error.render(shell, &number);
    }
    finish(compressed(response, &headers).await, &number, encrypted)
}

/// Lets a request through that comes from here, with its visitor; what changes something only with their word.
async fn guard(mut request: Request, visitor: Option<Visitor>) -> Result<Request, PageError> {
    let harmless = matches!(*request.method(), Method::GET | Method::HEAD);
    if from_another_site(request.headers(), request.uri()) && !(harmless && follows_a_link(request.headers()))
    {
        return Err(PageError::Foreign);
    }
    if !harmless && let Some(visitor) = &visitor {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, FORM_MAX)
            .await
            .map_err(|_| PageError::Bad("the form is longer than 2 MiB".to_owned()))?;
        let shown = shown_word(&parts.headers, &body);
        if !bool::from(shown.as_bytes().ct_eq(word_of(visitor).as_bytes())) {
            return Err(PageError::Foreign);
        }
        request = Request::from_parts(parts, Body::from(body));
    }
    let (person, waiting) = match visitor {
        Some(Visitor::Person(person)) => (Some(person), None),
        Some(Visitor::SecondFactor(pending)) => (None, Some(pending)),
        None => (None, None),
    };
    request.extensions_mut().insert(Browser(person));
    request.extensions_mut().insert(Waiting(waiting));
    Ok(request)
}

/// Whether a browser says that a person followed a link: links to here may stand anywhere, in a mail for one.
fn follows_a_link(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate")
}

/// What the forms of a session show.
pub(super) fn word_of(visitor: &Visitor) -> &str {
    match visitor {
        Visitor::Person(person) => &person.csrf,
        Visitor::SecondFactor(pending) => &pending.csrf,
    }
}

fn shown_word(headers: &HeaderMap, body: &Bytes) -> String {
    if let Some(word) = headers.get("x-csrf-token").and_then(|word| word.to_str().ok()) {
        return word.to_owned();
    }
    let mut fields = form_urlencoded::parse(body);
    fields.find(|(name, _)| name == form::CSRF).map(|(_, word)| word.into_owned()).unwrap_or_default()
}

/// Whether the person's connection to our proxy was encrypted: it says so, and nobody else reaches this port.
pub(super) fn is_encrypted(headers: &HeaderMap) -> bool {
    headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https")
}

/// To the page where people sign in, which leads back to where they were.
fn to_sign_in(path: &str, headers: &HeaderMap, method: &Method) -> Response {
    let back = form_urlencoded::byte_serialize(path.as_bytes()).collect::<String>();
    let target = if *method == Method::GET && path != "/" {
        format!("/sign-in?next={back}")
    } else {
        "/sign-in".into()
    };
    if headers.contains_key("hx-request") {
        return (StatusCode::UNAUTHORIZED, [("hx-redirect", target)], "").into_response();
    }
    Redirect::to(&target).into_response()
}

/// To the page where a second factor is set up.
fn to_second_factor(headers: &HeaderMap) -> Response {
    if headers.contains_key("hx-request") {
        return (StatusCode::FORBIDDEN, [("hx-redirect", SECOND_FACTOR)], "").into_response();
    }
    Redirect::to(SECOND_FACTOR).into_response()
}

/// Pages as gzip for those who take it; what streams is left alone.
async fn compressed(response: Response, headers: &HeaderMap) -> Response {
    let is_page =
        response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !is_page || !assets::takes_gzip(headers) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // A page is in memory already.
    let Ok(plain) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    if plain.len() < WORTH_COMPRESSING {
        return Response::from_parts(parts, Body::from(plain));
    }
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(parts, Body::from(assets::compress(&plain, Compression::fast())))
}

/// What every answer says, errors too.
fn finish(mut response: Response, number: &str, encrypted: bool) -> Response {
    let headers = response.headers_mut();
    if let Ok(number) = HeaderValue::try_from(number) {
        headers.insert(HeaderName::from_static("x-request-id"), number);
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.append(VARY, HeaderValue::from_static("hx-request"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // With `no-referrer` browsers call the origin of a form of ours `null`, which is all they say over plain HTTP.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    // Browsers complain of it where nothing is encrypted.
    if encrypted {
        headers.insert(
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        );
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_link_may_stand_anywhere_and_nothing_else_comes_from_another_site() {
        let check = async |method: Method, fields: &[(&'static str, &'static str)], let_in| {
            let mut request =
                Request::builder().method(&method).uri("/apps/blog").header("host", "rivetr.test");
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let verdict = guard(request.body(Body::empty()).unwrap(), None).await;
            assert_eq!(verdict.is_ok(), let_in, "{method} {fields:?}");
        };
        let (site, mode) = ("sec-fetch-site", "sec-fetch-mode");
        check(Method::GET, &[], true).await;
        check(Method::GET, &[(site, "cross-site"), (mode, "navigate")], true).await;
        check(Method::GET, &[(site, "cross-site"), (mode, "no-cors")], false).await;
        check(Method::GET, &[(site, "cross-site"), (mode, "websocket")], false).await;
        check(Method::GET, &[("origin", "http://evil.test")], false).await;
        check(Method::POST, &[(site, "cross-site"), (mode, "navigate")], false).await;
        check(Method::POST, &[("origin", "http://evil.test"), (mode, "navigate")], false).await;
        check(Method::POST, &[(site, "same-origin"), (mode, "navigate")], true).await;
        check(Method::POST, &[("origin", "http://rivetr.test")], true).await;
    }
}
