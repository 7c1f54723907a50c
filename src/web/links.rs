//! The one-time links: they make the first user, let somebody into a team, or set a new password. One page and one
//! form for all; what differs is what a link is for.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;

use super::error::PageError;
use super::form::{Errors, Form};
use super::shell::Shell;
use super::sign_in::{From, begun, wrong};
use super::{Route, Web, view};
use crate::auth::gate::Open;
use crate::auth::{Auth, ClaimError, Origin, SignedIn};
use crate::store::{Invitation, StoreError};

#[derive(Template)]
#[template(path = "people/claim.html")]
struct Claim {
    shell: Shell,
    errors: Errors,
    words: Words,
    login: String,
}

#[derive(Template)]
#[template(path = "people/spent.html")]
struct Spent {
    shell: Shell,
    cure: &'static str,
}

/// What the page of a link says.
struct Words {
    heading: String,
    lead: String,
    /// Whose link it is; empty: who uses it chooses a name.
    login: String,
    password_hint: &'static str,
    password_kind: &'static str,
    button: &'static str,
}

const NEW: (&str, &str) = ("12 characters or more.", "new-password");

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/setup/{secret}", form::<Setup>),
        Route::post("/setup/{secret}", claim::<Setup>),
        Route::get("/invitations/{secret}", form::<Invited>),
        Route::post("/invitations/{secret}", claim::<Invited>),
        Route::get("/reset/{secret}", form::<Reset>),
        Route::post("/reset/{secret}", claim::<Reset>),
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

/// What a link is for.
trait Link: Sized + Send + 'static {
    /// What to do about one that is spent.
    const CURE: &'static str;

    /// The link with this secret, if it is still good.
    fn find(auth: &Auth, secret: &str) -> impl Future<Output = Result<Option<Self>, StoreError>> + Send;

    fn words(&self) -> Words;

    /// Does what it is for, and begins a session.
    fn claim(
        auth: &Auth,
        secret: &str,
        fields: &Fields,
        from: &Origin,
    ) -> impl Future<Output = Result<SignedIn, ClaimError>> + Send;
}

async fn form<L: Link>(
    _: Open,
    shell: Shell,
    State(auth): State<Auth>,
    Path(secret): Path<String>,
) -> Result<Response, PageError> {
    match L::find(&auth, &secret).await? {
        Some(link) => view::show(&shown(shell, &link, Errors::default(), String::new())),
        None => spent::<L>(shell),
    }
}

async fn claim<L: Link>(
    _: Open,
    shell: Shell,
    From(origin): From,
    State(auth): State<Auth>,
    Path(secret): Path<String>,
    headers: HeaderMap,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    // Looked up first: to use it uses it up.
    let Some(link) = L::find(&auth, &secret).await? else { return spent::<L>(shell) };
    match L::claim(&auth, &secret, &fields, &origin).await {
        Ok(signed_in) => Ok(begun(&signed_in, &headers, "/")),
        Err(ClaimError::Closed) => spent::<L>(shell),
        Err(error) => {
            view::wrong(&shown(shell, &link, errors_at(error, "password", "password")?, fields.login))
        }
    }
}

fn shown(shell: Shell, link: &impl Link, errors: Errors, typed: String) -> Claim {
    let words = link.words();
    let login = if words.login.is_empty() { typed } else { words.login.clone() };
    Claim { shell, errors, words, login }
}

fn spent<L: Link>(shell: Shell) -> Result<Response, PageError> {
    view::with_status(http::StatusCode::GONE, &Spent { shell, cure: L::CURE })
}

/// For the first user.
struct Setup;

impl Link for Setup {
    const CURE: &'static str =
        "On the host, rivetr users setup-link prints another one, as long as nobody has an account.";

    async fn find(auth: &Auth, secret: &str) -> Result<Option<Self>, StoreError> {
        Ok(auth.is_setup_link(secret).await?.then_some(Self))
    }

    fn words(&self) -> Words {
        Words {
            heading: "Welcome to rivetr".to_owned(),
            lead: "You are the first here. Choose how you will sign in; you can invite others afterwards."
                .to_owned(),
            login: String::new(),
            password_hint: NEW.0,
            password_kind: NEW.1,
            button: "Make my account",
        }
    }

    async fn claim(
        auth: &Auth,
        secret: &str,
        fields: &Fields,
        from: &Origin,
    ) -> Result<SignedIn, ClaimError> {
        auth.claim_setup(secret, fields.login.trim(), &fields.password, from).await.map(SignedIn::Done)
    }
}

/// For a new member of a team.
struct Invited(Invitation);

const ASK: &str = "Ask whoever sent it for another one.";

impl Link for Invited {
    const CURE: &'static str = ASK;

    async fn find(auth: &Auth, secret: &str) -> Result<Option<Self>, StoreError> {
        Ok(auth.invitation(secret).await?.map(Self))
    }

    fn words(&self) -> Words {
        let Self(Invitation { team_name, role, login, user_exists, .. }) = self;
        let (password_hint, password_kind) =
            if *user_exists { ("The one you sign in with.", "current-password") } else { NEW };
        Words {
            heading: format!("Join {team_name}"),
            lead: format!("You are invited to the team {team_name} as {role}."),
            login: login.to_string(),
            password_hint,
            password_kind,
            button: "Join",
        }
    }

    async fn claim(
        auth: &Auth,
        secret: &str,
        fields: &Fields,
        from: &Origin,
    ) -> Result<SignedIn, ClaimError> {
        auth.accept(secret, &fields.password, from).await
    }
}

/// For a new password.
struct Reset {
    login: String,
}

impl Link for Reset {
    const CURE: &'static str = ASK;

    async fn find(auth: &Auth, secret: &str) -> Result<Option<Self>, StoreError> {
        Ok(auth.reset_link_of(secret).await?.map(|login| Self { login }))
    }

    fn words(&self) -> Words {
        Words {
            heading: "Set a new password".to_owned(),
            lead: "Wherever you are signed in, that ends.".to_owned(),
            login: self.login.clone(),
            password_hint: NEW.0,
            password_kind: NEW.1,
            button: "Set it",
        }
    }

    async fn claim(
        auth: &Auth,
        secret: &str,
        fields: &Fields,
        from: &Origin,
    ) -> Result<SignedIn, ClaimError> {
        auth.reset(secret, &fields.password, from).await
    }
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
