//! Tokens over the API: list, make, revoke. A secret is in one answer, the one to its making.
//!
//! Who stands above all teams sees every token and makes the instance's own; everybody else has their own.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::json;

use super::error::ApiError;
use super::input::Input;
use super::wire::{self, FieldErrors};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Oneself, Read};
use crate::auth::{Auth, Caller, CreateError};
use crate::domain::name::Slug;
use crate::domain::person::{TeamId, UserId};
use crate::store::{Reader, Token, TokenId};

pub(super) async fn list(
    by: Authorized<Read>,
    State(auth): State<Auth>,
    State(reader): State<Reader>,
) -> Result<Json<wire::List<wire::Token>>, ApiError> {
    let names = Names::read(&reader).await?;
    let tokens = auth.tokens().await?;
    let seen = tokens.iter().filter(|token| may_see(&by.caller, token));
    Ok(Json(wire::List { items: seen.map(|token| names.shown(token)).collect(), next: None }))
}

pub(super) async fn create(
    by: Oneself,
    State(auth): State<Auth>,
    State(reader): State<Reader>,
    Input(new): Input<wire::CreateToken>,
) -> Result<impl IntoResponse, ApiError> {
    let (user, team) = whose(&by.caller, &auth, &reader, &new).await?;
    let (name, scope, days) = new.parse()?;
    let (token, secret) = auth.create_token_of(user, team, name, scope, days).await?;
    let deed =
        Deed::new("token.made", in_words(&token)).after(json!({ "scope": scope.as_str(), "days": days }));
    by.record(team.into_iter().fold(deed, Deed::of)).await;
    let secret = secret.reveal().to_owned();
    let token = Names::read(&reader).await?.shown(&token);
    Ok((StatusCode::CREATED, Json(wire::CreatedToken { token, secret })))
}

pub(super) async fn revoke(
    by: Oneself,
    State(auth): State<Auth>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let found = match id.parse() {
        Ok(number) => reader.token(TokenId(number)).await?,
        Err(_) => None,
    };
    let seen = found.filter(|(token, _)| may_see(&by.caller, token));
    let (token, _) = seen.ok_or_else(|| ApiError::not_found("token", &id))?;
    if !auth.revoke_token(token.id).await? {
        return Err(ApiError::not_found("token", &id));
    }
    by.record(token.team.into_iter().fold(Deed::new("token.revoked", in_words(&token)), Deed::of)).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Whose a new token is, and the one team that it is for. A token never makes one that reaches further than itself:
/// it makes none, unless it stands above all teams.
async fn whose(
    caller: &Caller,
    auth: &Auth,
    reader: &Reader,
    new: &wire::CreateToken,
) -> Result<(Option<UserId>, Option<TeamId>), ApiError> {
    if !caller.sees_all() && !matches!(caller, Caller::Person(_)) {
        let message = "a token makes no others: sign in, or use one that administers the instance";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", message));
    }
    let user = match &new.user {
        None => caller.user(),
        Some(login) => {
            let found = auth.user(login).await?.map(|account| account.user.id);
            let seen = found.filter(|user| caller.sees_all() || caller.user() == Some(*user));
            Some(seen.ok_or_else(|| FieldErrors::one("user", format!("there is no user {login:?}")))?)
        }
    };
    let team = match &new.team {
        None => None,
        Some(name) => {
            let found = match Slug::parse(name) {
                Ok(slug) => reader.team(&slug).await?,
                Err(_) => None,
            };
            let seen = found.filter(|team| caller.sees(team.id));
            Some(seen.ok_or_else(|| FieldErrors::one("team", format!("there is no team {name:?}")))?.id)
        }
    };
    Ok((user, team))
}

fn may_see(caller: &Caller, token: &Token) -> bool {
    caller.sees_all() || token.user.is_some() && token.user == caller.user()
}

fn in_words(token: &Token) -> String {
    format!("token {} ({})", token.id.0, token.name.escape_debug())
}

/// The names behind numbers.
struct Names {
    users: BTreeMap<UserId, String>,
    teams: BTreeMap<TeamId, String>,
}

impl Names {
    async fn read(reader: &Reader) -> Result<Self, ApiError> {
        let (users, teams) = (reader.users().await?, reader.teams().await?);
        Ok(Self {
            users: users.into_iter().map(|one| (one.user.id, one.user.login.to_string())).collect(),
            teams: teams.into_iter().map(|team| (team.id, team.slug.to_string())).collect(),
        })
    }

    fn shown(&self, token: &Token) -> wire::Token {
        let Token { id, name, scope, created, expires, used, address, user, team } = token;
        wire::Token {
            id: id.0,
            name: name.clone(),
            scope: (*scope).into(),
            created: wire::time(*created),
            expires: expires.map(wire::time),
            last_used: used.map(wire::time),
            last_address: address.clone(),
            user: user.and_then(|user| self.users.get(&user).cloned()),
            team: team.and_then(|team| self.teams.get(&team).cloned()),
        }
    }
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        Self::internal(error)
    }
}
