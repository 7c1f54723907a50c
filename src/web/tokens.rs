//! Tokens: a person's own; for who administers the instance, all of them.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{FromRef, Path, State};
use axum::response::Response;
use serde::Deserialize;

use super::error::PageError;
use super::form::{Errors, Form};
use super::moment::Moment;
use super::shell::{Hx, Shell, SignedIn};
use super::{Route, Web, view};
use crate::api::wire::{self, CreateToken};
use crate::auth::audit::Deed;
use crate::auth::{Auth, Person};
use crate::domain::right::{Right, Scope};
use crate::engine::Engine;
use crate::store::{self, Reader, TokenId};

#[derive(Template)]
#[template(path = "people/tokens.html")]
struct Page {
    shell: Shell,
    errors: Errors,
    form: Fields,
    secret: Option<String>,
    scopes: [(&'static str, &'static str); 4],
    tokens: Vec<Token>,
}

struct Token {
    id: i64,
    name: String,
    scope: &'static str,
    owner: String,
    expires: String,
    used: Option<Moment>,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/tokens", show),
        Route::post("/tokens", create).asking_again(),
        Route::post("/tokens/{token}/revoke", revoke),
    ]
}

/// What the form sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    name: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    expires_days: String,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            name: String::new(),
            scope: Scope::Deploy.to_string(),
            expires_days: wire::TOKEN_DAYS_DEFAULT.to_string(),
        }
    }
}

/// What the page is made from.
pub(super) struct Desk {
    auth: Auth,
    reader: Reader,
    engine: Engine,
}

impl FromRef<Web> for Desk {
    fn from_ref(web: &Web) -> Self {
        Self { auth: web.auth.clone(), reader: web.reader.clone(), engine: web.engine.clone() }
    }
}

async fn show(by: SignedIn, shell: Shell, State(desk): State<Desk>) -> Result<Response, PageError> {
    view::show(&desk.page(&by.person, shell, Errors::default(), Fields::default(), None).await?)
}

async fn create(
    by: SignedIn,
    shell: Shell,
    State(desk): State<Desk>,
    Form(form): Form<Fields>,
) -> Result<Response, PageError> {
    let (name, scope, days) = match parse(&form) {
        Ok(new) => new,
        Err(errors) => {
            return view::wrong(&desk.page(&by.person, shell, errors, form, None).await?);
        }
    };
    let made = desk.auth.create_token_of(Some(by.person.id), None, name, scope, days).await;
    let (token, secret) = made.map_err(PageError::internal)?;
    by.record(Deed::new("token.created", format!("token {}", token.name)).after(scope.as_str())).await;
    let secret = Some(secret.reveal().to_owned());
    view::show(&desk.page(&by.person, shell, Errors::default(), Fields::default(), secret).await?)
}

fn parse(form: &Fields) -> Result<(String, Scope, u32), Errors> {
    let scope = Scope::parse(&form.scope).ok_or_else(|| Errors::one("scope", "choose one of the four"))?;
    let days = form.expires_days.trim().parse();
    let days = days.map_err(|_| Errors::one("expires_days", "use a whole number of days, from 1 to 366"))?;
    let new = CreateToken {
        name: form.name.clone(),
        scope: Some(scope.into()),
        expires_days: Some(days),
        user: None,
        team: None,
    };
    Ok(new.parse()?)
}

async fn revoke(
    by: SignedIn,
    hx: Hx,
    State(desk): State<Desk>,
    Path(token): Path<i64>,
) -> Result<Response, PageError> {
    let known = desk.auth.tokens().await?;
    let known = known.iter().find(|known| known.id.0 == token && is_for(&by.person, known));
    let known = known.ok_or(PageError::NotFound)?;
    if !desk.auth.revoke_token(TokenId(token)).await? {
        return Err(PageError::NotFound);
    }
    by.record(Deed::new("token.revoked", format!("token {}", known.name))).await;
    Ok(view::go(hx, "/tokens"))
}

/// Whether a token is this person's affair.
fn is_for(person: &Person, token: &store::Token) -> bool {
    token.user == Some(person.id) || person.reach.allows(Right::Administer)
}

impl Desk {
    async fn page(
        &self,
        person: &Person,
        shell: Shell,
        errors: Errors,
        form: Fields,
        secret: Option<String>,
    ) -> Result<Page, PageError> {
        let now = self.engine.now();
        let accounts = self.reader.users().await?;
        let names: BTreeMap<_, _> =
            accounts.iter().map(|account| (account.user.id, account.user.login.to_string())).collect();
        let all = self.auth.tokens().await?;
        let tokens = all.into_iter().filter(|token| is_for(person, token)).map(|token| Token {
            id: token.id.0,
            owner: match token.user {
                Some(user) => names.get(&user).cloned().unwrap_or_else(|| "unknown".to_owned()),
                None => "the instance".to_owned(),
            },
            name: token.name,
            scope: token.scope.as_str(),
            expires: token.expires.map_or_else(|| "never".to_owned(), Moment::day),
            used: token.used.map(|at| Moment::of(at, now)),
        });
        let scopes = Scope::ALL.map(|scope| (scope.as_str(), about(scope)));
        Ok(Page { shell, errors, form, secret, scopes, tokens: tokens.collect() })
    }
}

fn about(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "see, and change nothing",
        Scope::Deploy => "also deploy, and push",
        Scope::Write => "also create, change and delete apps",
        Scope::Admin => "all that you may do",
    }
}
