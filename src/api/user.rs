//! Users over the API, for who administers the instance. A link is in one answer, the one to its making.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;

use super::error::ApiError;
use super::input::Input;
use super::wire::{self, FieldErrors};
use crate::auth::audit::Deed;
use crate::auth::gate::{Administer, Authorized, Oneself, Read};
use crate::auth::{Auth, ChangeError, SetupLinkError, SignInError};
use crate::domain::name::Slug;
use crate::domain::person::{Role, TeamId};
use crate::engine::Engine;
use crate::store::{Account, PeopleError, Reader};

pub(super) async fn setup_link(
    by: Authorized<Administer>,
    State(auth): State<Auth>,
    State(engine): State<Engine>,
) -> Result<impl IntoResponse, ApiError> {
    let (secret, expires) = auth.setup_link().await?;
    by.record(Deed::new("setup_link.made", "link for the first user")).await;
    let url = format!("{}/setup/{secret}", engine.api_url());
    Ok((StatusCode::CREATED, Json(wire::Link { url, expires: wire::time(expires) })))
}

pub(super) async fn me(
    by: Authorized<Read>,
    State(auth): State<Auth>,
    State(reader): State<Reader>,
) -> Result<Json<wire::Me>, ApiError> {
    let account = match by.caller.user() {
        Some(user) => reader.user_by_id(user).await?,
        None => None,
    };
    let closed = match account.as_ref().filter(|account| !account.user.second_factor) {
        Some(account) => auth.names(&account.strict).await?,
        None => Vec::new(),
    };
    let seen: BTreeMap<TeamId, String> =
        auth.teams(&by.caller).await?.into_iter().map(|team| (team.id, team.slug.to_string())).collect();
    Ok(Json(wire::Me {
        caller: by.caller.to_string(),
        login: account.as_ref().map(|account| account.user.login.to_string()),
        instance: by.caller.sees_all(),
        teams: account.map_or_else(Vec::new, |account| parts(&account, &seen)),
        closed_teams: closed,
    }))
}

/// Everybody may leave a team by themselves, whatever their part.
pub(super) async fn leave(
    by: Oneself,
    State(auth): State<Auth>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let unknown = || ApiError::not_found("team", &name);
    let team = auth.teams(&by.caller).await?.into_iter().find(|team| team.slug.as_str() == name);
    let (team, user) = team.zip(by.caller.user()).ok_or_else(unknown)?;
    auth.remove_member(by.actor(), team.id, user).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list(
    _: Authorized<Administer>,
    State(auth): State<Auth>,
    State(reader): State<Reader>,
) -> Result<Json<wire::List<wire::User>>, ApiError> {
    let teams = names(&reader).await?;
    let items = auth.users().await?.iter().map(|account| shown(account, &teams)).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn create(
    by: Authorized<Administer>,
    State(auth): State<Auth>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Input(new): Input<wire::CreateUser>,
) -> Result<impl IntoResponse, ApiError> {
    let wire::CreateUser { login, password, team, role, administrator } = new;
    let part = match team {
        None => None,
        Some(name) => {
            let found = match Slug::parse(&name) {
                Ok(slug) => reader.team(&slug).await?,
                Err(_) => None,
            };
            let team = found.ok_or_else(|| FieldErrors::one("team", format!("there is no team {name:?}")))?;
            Some((team.id, role.map_or(Role::Developer, Role::from)))
        }
    };
    let password = password.as_ref().map(|password| password.0.as_str());
    let user = auth.create_user(by.actor(), &login, password, part, administrator).await?;
    let link = if user.password.is_some() {
        None
    } else {
        let (secret, expires) = auth.reset_link(by.actor(), &user, false).await?;
        Some(link(&engine, &secret, expires))
    };
    let account = find(&auth, user.login.as_str()).await?;
    let user = shown(&account, &names(&reader).await?);
    Ok((StatusCode::CREATED, Json(wire::CreatedUser { user, link })))
}

pub(super) async fn change(
    by: Authorized<Administer>,
    State(auth): State<Auth>,
    State(reader): State<Reader>,
    Path(login): Path<String>,
    Input(wire::ChangeUser { disabled, administrator }): Input<wire::ChangeUser>,
) -> Result<Json<wire::User>, ApiError> {
    let account = find(&auth, &login).await?;
    if let Some(on) = administrator {
        auth.set_administers(by.actor(), &account.user, on).await?;
    }
    if let Some(disabled) = disabled {
        auth.disable_user(by.actor(), &account.user, disabled).await?;
    }
    Ok(Json(shown(&find(&auth, &login).await?, &names(&reader).await?)))
}

pub(super) async fn delete(
    by: Authorized<Administer>,
    State(auth): State<Auth>,
    Path(login): Path<String>,
) -> Result<StatusCode, ApiError> {
    let account = find(&auth, &login).await?;
    auth.delete_user(by.actor(), &account.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn reset(
    by: Authorized<Administer>,
    State(auth): State<Auth>,
    State(engine): State<Engine>,
    Path(login): Path<String>,
    Input(wire::Reset { forget_second_factor }): Input<wire::Reset>,
) -> Result<impl IntoResponse, ApiError> {
    let account = find(&auth, &login).await?;
    let (secret, expires) = auth.reset_link(by.actor(), &account.user, forget_second_factor).await?;
    Ok((StatusCode::CREATED, Json(link(&engine, &secret, expires))))
}

async fn find(auth: &Auth, login: &str) -> Result<Account, ApiError> {
    auth.user(login).await?.ok_or_else(|| ApiError::not_found("user", login))
}

fn link(engine: &Engine, secret: &str, expires: crate::domain::time::Timestamp) -> wire::Link {
    wire::Link { url: format!("{}/reset/{secret}", engine.api_url()), expires: wire::time(expires) }
}

async fn names(reader: &Reader) -> Result<BTreeMap<TeamId, String>, ApiError> {
    Ok(reader.teams().await?.into_iter().map(|team| (team.id, team.slug.to_string())).collect())
}

fn parts(account: &Account, names: &BTreeMap<TeamId, String>) -> Vec<wire::Part> {
    let part = |(team, role): (&TeamId, &Role)| {
        Some(wire::Part { team: names.get(team)?.clone(), role: (*role).into() })
    };
    account.teams.iter().filter_map(part).collect()
}

fn shown(account: &Account, names: &BTreeMap<TeamId, String>) -> wire::User {
    let user = &account.user;
    wire::User {
        login: user.login.to_string(),
        teams: parts(account, names),
        administrator: user.administers,
        disabled: user.disabled,
        password: user.password.is_some(),
        second_factor: user.second_factor,
        created: wire::time(user.created),
        signed_in: user.signed_in.map(wire::time),
    }
}

impl From<SetupLinkError> for ApiError {
    fn from(error: SetupLinkError) -> Self {
        match error {
            SetupLinkError::HasUsers => Self::new(StatusCode::CONFLICT, "conflict", error.to_string()),
            SetupLinkError::Random(_) | SetupLinkError::Store(_) => Self::internal(error),
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Invalid(fields) => {
                let mut errors = FieldErrors::default();
                for (field, why) in fields {
                    errors.put(field, &why);
                }
                errors.into()
            }
            ChangeError::People(error) => error.into(),
            ChangeError::SignIn(SignInError::Busy) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", error.to_string())
            }
            ChangeError::Random(_) | ChangeError::SignIn(_) => Self::internal(error),
        }
    }
}

impl From<PeopleError> for ApiError {
    fn from(error: PeopleError) -> Self {
        let message = error.to_string();
        match error {
            PeopleError::NoUser | PeopleError::NoTeam | PeopleError::NoMember | PeopleError::NoLink => {
                Self::new(StatusCode::NOT_FOUND, "not_found", message)
            }
            PeopleError::Above(_) => Self::new(StatusCode::FORBIDDEN, "forbidden", message),
            PeopleError::LoginTaken(_)
            | PeopleError::TeamTaken(_)
            | PeopleError::IsMember(_)
            | PeopleError::LastOwner
            | PeopleError::LastAdministrator
            | PeopleError::FirstTeam(_)
            | PeopleError::TeamHas { .. }
            | PeopleError::NoSecondFactor
            | PeopleError::Changed => Self::new(StatusCode::CONFLICT, "conflict", message),
            PeopleError::Store(error) => error.into(),
        }
    }
}
