//! The one-time links: they make the first user, let somebody into a team, or set a new password.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;

use super::error::PageError;
use super::form::{Errors, Form};
use super::shell::Shell;
use super::sign_in::{From, begin, begun, wrong};
use super::{Route, Web, view};
use crate::auth::gate::Open;
use crate::auth::{Auth, ClaimError};
use crate::store::Invitation;

#[derive(Template)]
#[template(path = "people/claim.html")]
struct Claim {
    shell: Shell,
    errors: Errors,
    heading: String,
    lead: String,
    login: String,
    fixed_login: bool,
    password_hint: &'static str,
    password_kind: &'static str,
    button: &'static str,
}

#[derive(Template)]
#[template(path = "people/spent.html")]
struct Spent {
    shell: Shell,
    cure: &'static str,
}

const NEW: (&str, &str) = ("12 characters or more.", "new-password");
const SETUP_CURE: &str =
    "On the host, rivetr users setup-link prints another one, as long as nobody has an account.";
const INVITE_CURE: &str = "Ask whoever sent it for another one.";

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/setup/{secret}", setup_form),
        Route::post("/setup/{secret}", setup),
        Route::get("/invitations/{secret}", invitation_form),
        Route::post("/invitations/{secret}", accept),
        Route::get("/reset/{secret}", reset_form),
        Route::post("/reset/{secret}", reset),
    ]
}

/// What each of these forms sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
}

async fn setup_form(
    _: Open,
    shell: Shell,
    State(auth): State<Auth>,
    Path(secret): Path<String>,
) -> Result<Response, PageError> {
    if !auth.is_setup_link(&secret).await? {
        return spent(shell, SETUP_CURE);
    }
    view::show(&first_user(shell, Errors::default(), String::new()))
}

async fn setup(
    _: Open,
    shell: Shell,
    From(origin): From,
    State(auth): State<Auth>,
    Path(secret): Path<String>,
    headers: HeaderMap,
    Form(Fields { login, password }): Form<Fields>,
) -> Result<Response, PageError> {
    match auth.claim_setup(&secret, login.trim(), &password, &origin).await {
        Ok(session) => Ok(begin(&session, &headers, "/")),
        Err(ClaimError::Closed) => spent(shell, SETUP_CURE),
        Err(error) => view::wrong(&first_user(shell, errors(error)?, login)),
    }
}

fn first_user(shell: Shell, errors: Errors, login: String) -> Claim {
    Claim {
        shell,
        errors,
        heading: "Welcome to rivetr".to_owned(),
        lead: "You are the first here. Choose how you will sign in; you can invite others afterwards."
            .to_owned(),
        login,
        fixed_login: false,
        password_hint: NEW.0,
        password_kind: NEW.1,
        button: "Make my account",
    }
}

async fn invitation_form(
    _: Open,
    shell: Shell,
    State(auth): State<Auth>,
    Path(secret): Path<String>,
) -> Result<Response, PageError> {
    match auth.invitation(&secret).await? {
        Some(invitation) => view::show(&invited(shell, Errors::default(), &invitation)),
        None => spent(shell, INVITE_CURE),
    }
}

async fn accept(
    _: Open,
    shell: Shell,
    From(origin): From,
    State(auth): State<Auth>,
    Path(secret): Path<String>,
    headers: HeaderMap,
    Form(Fields { login: _, password }): Form<Fields>,
) -> Result<Response, PageError> {
    let Some(invitation) = auth.invitation(&secret).await? else { return spent(shell, INVITE_CURE) };
    match auth.accept(&secret, &password, &origin).await {
        Ok(signed_in) => Ok(begun(&signed_in, &headers, "/")),
        Err(ClaimError::Closed) => spent(shell, INVITE_CURE),
        Err(error) => view::wrong(&invited(shell, errors(error)?, &invitation)),
    }
}

fn invited(shell: Shell, errors: Errors, invitation: &Invitation) -> Claim {
    let known = invitation.user_exists;
    let (password_hint, password_kind) =
        if known { ("The one you sign in with.", "current-password") } else { NEW };
    Claim {
        shell,
        errors,
        heading: format!("Join {}", invitation.team_name),
        lead: format!("You are invited to the team {} as {}.", invitation.team_name, invitation.role),
        login: invitation.login.to_string(),
        fixed_login: true,
        password_hint,
        password_kind,
        button: "Join",
    }
}

async fn reset_form(
    _: Open,
    shell: Shell,
    State(auth): State<Auth>,
    Path(secret): Path<String>,
) -> Result<Response, PageError> {
    match auth.reset_link_of(&secret).await? {
        Some(login) => view::show(&new_password(shell, Errors::default(), login)),
        None => spent(shell, INVITE_CURE),
    }
}

async fn reset(
    _: Open,
    shell: Shell,
    From(origin): From,
    State(auth): State<Auth>,
    Path(secret): Path<String>,
    headers: HeaderMap,
    Form(Fields { login, password }): Form<Fields>,
) -> Result<Response, PageError> {
    match auth.reset(&secret, &password, &origin).await {
        Ok(signed_in) => Ok(begun(&signed_in, &headers, "/")),
        Err(ClaimError::Closed) => spent(shell, INVITE_CURE),
        Err(error) => view::wrong(&new_password(shell, errors(error)?, login)),
    }
}

fn new_password(shell: Shell, errors: Errors, login: String) -> Claim {
    Claim {
        shell,
        errors,
        heading: "Set a new password".to_owned(),
        lead: "Wherever you are signed in, that ends.".to_owned(),
        login,
        fixed_login: true,
        password_hint: NEW.0,
        password_kind: NEW.1,
        button: "Set it",
    }
}

fn spent(shell: Shell, cure: &'static str) -> Result<Response, PageError> {
    view::with_status(http::StatusCode::GONE, &Spent { shell, cure })
}

fn errors(error: ClaimError) -> Result<Errors, PageError> {
    errors_at(error, "password", "password")
}

/// What is wrong with a password: with the one that a person has at `own`, with the one that is set at `new`.
pub(super) fn errors_at(error: ClaimError, own: &str, new: &str) -> Result<Errors, PageError> {
    match error {
        ClaimError::SignIn(error) => wrong(error, own),
        error @ (ClaimError::Invalid(_) | ClaimError::Closed) => {
            let at = |field: &str| if field == "password" { new.to_owned() } else { field.to_owned() };
            Ok(Errors::of_fields(error.fields().into_iter().map(|(field, message)| (at(field), message))))
        }
    }
}
