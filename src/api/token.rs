//! Tokens over the API: list, make, revoke. A secret is in one answer, the one to its making.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;

use super::error::ApiError;
use super::gate::{Administer, Authorized};
use super::input::Input;
use super::wire;
use crate::auth::{Auth, CreateError};
use crate::store::{Token, TokenId};

pub(super) async fn list(
    _: Authorized<Administer>,
    State(auth): State<Auth>,
) -> Result<Json<wire::List<wire::Token>>, ApiError> {
    let items = auth.tokens().await?.iter().map(wire::Token::from).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn create(
    by: Authorized<Administer>,
    State(auth): State<Auth>,
    Input(new): Input<wire::CreateToken>,
) -> Result<impl IntoResponse, ApiError> {
    let (name, scope, days) = new.parse()?;
    let (token, secret) = auth.create_token(name, scope, days).await?;
    tracing::info!(target: "rivetr::audit", token = token.id.0, %scope, by = %by.caller, "token made");
    let secret = secret.reveal().to_owned();
    Ok((StatusCode::CREATED, Json(wire::CreatedToken { token: wire::Token::from(&token), secret })))
}

pub(super) async fn revoke(
    by: Authorized<Administer>,
    State(auth): State<Auth>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let known = match id.parse() {
        Ok(number) => auth.revoke_token(TokenId(number)).await?,
        Err(_) => false,
    };
    if !known {
        return Err(ApiError::not_found("token", &id));
    }
    tracing::info!(target: "rivetr::audit", token = id, by = %by.caller, "token revoked");
    Ok(StatusCode::NO_CONTENT)
}

impl From<&Token> for wire::Token {
    fn from(token: &Token) -> Self {
        Self {
            id: token.id.0,
            name: token.name.clone(),
            scope: token.scope.into(),
            created: wire::time(token.created),
            expires: token.expires.map(wire::time),
            last_used: token.used.map(wire::time),
        }
    }
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        Self::internal(error)
    }
}
