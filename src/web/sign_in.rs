//! Signing in and out: name and password, then the second factor where the person has one.

use std::convert::Infallible;

use askama::Template;
use axum::extract::{FromRequestParts, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::error::PageError;
use super::form::{Errors, Form};
use super::shell::Shell;
use super::{Route, Web, around, cookie, view};
use crate::auth::gate::Open;
use crate::auth::{Auth, NewSession, Origin, Pending, SignInError, SignedIn};

#[derive(Template)]
#[template(path = "people/sign-in.html")]
struct Page {
    shell: Shell,
    errors: Errors,
    login: String,
    next: String,
    /// Nobody has an account yet.
    waits: bool,
}

#[derive(Template)]
#[template(path = "people/second-factor.html")]
struct SecondFactor {
    shell: Shell,
    errors: Errors,
    next: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/sign-in", form),
        Route::post("/sign-in", sign_in),
        Route::get("/sign-in/code", code_form),
        Route::post("/sign-in/code", code),
        Route::post("/sign-out", sign_out),
    ]
}

/// Where a request comes from, for handlers.
#[derive(Debug)]
pub(super) struct From(pub Origin);

impl<S: Send + Sync> FromRequestParts<S> for From {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(Origin::of(parts)))
    }
}

/// The page that a sign-in leads to.
#[derive(Debug, Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

async fn form(
    _: Open,
    shell: Shell,
    waiting: Waiting,
    State(auth): State<Auth>,
    Query(Next { next }): Query<Next>,
) -> Result<Response, PageError> {
    if shell.person.is_some() {
        return Ok(Redirect::to(view::on_this_site(&next)).into_response());
    }
    if waiting.0.is_some() {
        return Ok(Redirect::to(&code_page(view::on_this_site(&next))).into_response());
    }
    let waits = auth.setup_is_open().await;
    view::show(&Page {
        shell,
        errors: Errors::default(),
        login: String::new(),
        next: view::on_this_site(&next).to_owned(),
        waits,
    })
}

/// What the form sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

async fn sign_in(
    _: Open,
    shell: Shell,
    From(origin): From,
    State(auth): State<Auth>,
    headers: HeaderMap,
    Form(Fields { login, password, next }): Form<Fields>,
) -> Result<Response, PageError> {
    let next = view::on_this_site(&next).to_owned();
    match auth.sign_in(login.trim(), &password, &origin).await {
        Ok(signed_in) => Ok(begun(&signed_in, &headers, &next)),
        Err(error) => {
            let errors = wrong(error, "")?;
            view::wrong(&Page { shell, errors, login, next, waits: false })
        }
    }
}

async fn code_form(
    _: Open,
    shell: Shell,
    waiting: Waiting,
    Query(Next { next }): Query<Next>,
) -> Result<Response, PageError> {
    if waiting.0.is_none() {
        return Ok(Redirect::to("/sign-in").into_response());
    }
    view::show(&SecondFactor { shell, errors: Errors::default(), next: view::on_this_site(&next).to_owned() })
}

/// What the form of the code sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeFields {
    #[serde(default)]
    code: String,
    #[serde(default)]
    next: String,
}

async fn code(
    _: Open,
    shell: Shell,
    waiting: Waiting,
    From(origin): From,
    State(auth): State<Auth>,
    headers: HeaderMap,
    Form(CodeFields { code, next }): Form<CodeFields>,
) -> Result<Response, PageError> {
    let Waiting(Some(pending)) = waiting else { return Ok(Redirect::to("/sign-in").into_response()) };
    let next = view::on_this_site(&next).to_owned();
    match auth.second_factor(&pending, &code, &origin).await {
        Ok(session) => Ok(begin(&session, &headers, &next)),
        Err(SignInError::StartAgain) => {
            let errors = Errors::one("", SignInError::StartAgain.to_string());
            view::wrong(&Page { shell, errors, login: pending.login, next, waits: false })
        }
        Err(error) => {
            let errors = wrong(error, "code")?;
            view::wrong(&SecondFactor { shell, errors, next })
        }
    }
}

async fn sign_out(
    _: Open,
    shell: Shell,
    State(auth): State<Auth>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    if let Some(person) = &shell.person {
        auth.sign_out(person).await?;
    }
    let forget = cookie::forget_session(around::is_encrypted(&headers));
    Ok(([(SET_COOKIE, forget)], Redirect::to("/sign-in")).into_response())
}

/// Who has shown a password and still owes the code, if that is who asks.
#[derive(Debug, Clone)]
pub(super) struct Waiting(pub Option<Pending>);

impl<S: Send + Sync> FromRequestParts<S> for Waiting {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or(Self(None)))
    }
}

/// Has the browser keep a session, and go on: to the code, if that is missing.
pub(super) fn begun(signed_in: &SignedIn, headers: &HeaderMap, next: &str) -> Response {
    match signed_in {
        SignedIn::Done(session) => begin(session, headers, next),
        SignedIn::NeedsSecondFactor(session) => begin(session, headers, &code_page(next)),
    }
}

fn code_page(next: &str) -> String {
    format!("/sign-in/code?next={}", view::in_query(next))
}

/// Has the browser keep a session, and go on.
pub(super) fn begin(session: &NewSession, headers: &HeaderMap, next: &str) -> Response {
    let kept = cookie::keep_session(session, around::is_encrypted(headers));
    (StatusCode::SEE_OTHER, [(SET_COOKIE, kept)], Redirect::to(next)).into_response()
}

/// What is wrong, at a field; what failed inside is for a page of its own.
pub(super) fn wrong(error: SignInError, field: &str) -> Result<Errors, PageError> {
    match error {
        SignInError::Store(error) => Err(error.into()),
        error @ SignInError::Internal(_) => Err(PageError::internal(error)),
        error @ (SignInError::Wrong
        | SignInError::TooMany { .. }
        | SignInError::StartAgain
        | SignInError::Busy) => Ok(Errors::one(field, error.to_string())),
    }
}
