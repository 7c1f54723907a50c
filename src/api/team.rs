//! Teams over the API, their members, and the invitations into them.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;

use super::error::ApiError;
use super::input::Input;
use super::wire;
use crate::auth::gate::{Administer, Authorized, Lead, Own, Read, Rule};
use crate::auth::{Auth, ChangeError};
use crate::domain::person::{Role, TeamId};
use crate::engine::Engine;
use crate::store::{self, InvitationId, PeopleError};

pub(super) async fn list(
    by: Authorized<Read>,
    State(auth): State<Auth>,
) -> Result<Json<wire::List<wire::Team>>, ApiError> {
    let mut items = Vec::new();
    let counts = auth.member_counts().await?;
    for team in auth.teams(&by.caller).await? {
        items.push(with_members(&team, counts.get(&team.id).copied().unwrap_or(0)));
    }
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn create(
    by: Authorized<Administer>,
    State(auth): State<Auth>,
    Input(new): Input<wire::NameTeam>,
) -> Result<impl IntoResponse, ApiError> {
    let team = auth.create_team(by.actor(), &new.name).await?;
    Ok((StatusCode::CREATED, Json(shown(&auth, &team).await?)))
}

pub(super) async fn show(
    by: Authorized<Read>,
    State(auth): State<Auth>,
) -> Result<Json<wire::Team>, ApiError> {
    let team = of(&by)?;
    let found = auth.teams(&by.caller).await?.into_iter().find(|one| one.id == team);
    Ok(Json(shown(&auth, &found.ok_or_else(gone)?).await?))
}

pub(super) async fn change(
    by: Authorized<Own>,
    State(auth): State<Auth>,
    Input(wire::ChangeTeam { name, second_factor }): Input<wire::ChangeTeam>,
) -> Result<Json<wire::Team>, ApiError> {
    let team = of(&by)?;
    if let Some(required) = second_factor {
        auth.require_second_factor(by.actor(), team, required).await?;
    }
    if let Some(name) = name {
        auth.rename_team(by.actor(), team, &name).await?;
    }
    let found = auth.teams(&by.caller).await?.into_iter().find(|one| one.id == team);
    Ok(Json(shown(&auth, &found.ok_or_else(gone)?).await?))
}

pub(super) async fn limit(
    by: Authorized<Administer>,
    State(auth): State<Auth>,
    Input(limits): Input<wire::TeamLimits>,
) -> Result<Json<wire::Team>, ApiError> {
    let team = auth.set_quota(by.actor(), of(&by)?, limits.parse()?).await?;
    Ok(Json(shown(&auth, &team).await?))
}

pub(super) async fn delete(by: Authorized<Own>, State(auth): State<Auth>) -> Result<StatusCode, ApiError> {
    auth.delete_team(by.actor(), of(&by)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn members(
    by: Authorized<Read>,
    State(auth): State<Auth>,
) -> Result<Json<wire::List<wire::Member>>, ApiError> {
    let items = auth.members(of(&by)?).await?.iter().map(wire::Member::from).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn change_role(
    by: Authorized<Lead>,
    State(auth): State<Auth>,
    Path((_, login)): Path<(String, String)>,
    Input(wish): Input<wire::ChangeRole>,
) -> Result<Json<wire::Member>, ApiError> {
    let team = of(&by)?;
    let member = member(&auth, team, &login).await?;
    let role = Role::from(wish.role);
    auth.change_role(by.actor(), team, member.user, role).await?;
    Ok(Json(wire::Member { role: wish.role, ..wire::Member::from(&member) }))
}

pub(super) async fn remove_member(
    by: Authorized<Lead>,
    State(auth): State<Auth>,
    Path((_, login)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let team = of(&by)?;
    let member = member(&auth, team, &login).await?;
    auth.remove_member(by.actor(), team, member.user).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn invitations(
    by: Authorized<Lead>,
    State(auth): State<Auth>,
) -> Result<Json<wire::List<wire::Invitation>>, ApiError> {
    let items = auth.invitations(of(&by)?).await?.iter().map(wire::Invitation::from).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn invite(
    by: Authorized<Lead>,
    State(auth): State<Auth>,
    State(engine): State<Engine>,
    Input(wish): Input<wire::Invite>,
) -> Result<impl IntoResponse, ApiError> {
    let (secret, made) = auth.invite(by.actor(), of(&by)?, &wish.login, wish.role.into()).await?;
    let url = format!("{}/invitations/{secret}", engine.api_url());
    Ok((StatusCode::CREATED, Json(wire::Link { url, expires: wire::time(made.expires) })))
}

pub(super) async fn revoke_invitation(
    by: Authorized<Lead>,
    State(auth): State<Auth>,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let unknown = || ApiError::not_found("invitation", &id);
    let number = id.parse().map_err(|_| unknown())?;
    match auth.revoke_invitation(by.actor(), of(&by)?, InvitationId(number)).await {
        Err(ChangeError::People(PeopleError::NoLink)) => Err(unknown()),
        done => Ok(done.map(|()| StatusCode::NO_CONTENT)?),
    }
}

/// The team of the route.
fn of<R: Rule>(by: &Authorized<R>) -> Result<TeamId, ApiError> {
    by.team.ok_or_else(gone)
}

/// Who stands above all teams is not stopped where there is none of this name.
fn gone() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", "there is no such team")
}

async fn member(auth: &Auth, team: TeamId, login: &str) -> Result<store::Member, ApiError> {
    let folded = login.to_ascii_lowercase();
    let found = auth.members(team).await?.into_iter().find(|member| member.login.as_str() == folded);
    found.ok_or_else(|| ApiError::not_found("member", login))
}

async fn shown(auth: &Auth, team: &store::Team) -> Result<wire::Team, ApiError> {
    let counts = auth.member_counts().await?;
    Ok(with_members(team, counts.get(&team.id).copied().unwrap_or(0)))
}

fn with_members(team: &store::Team, members: u32) -> wire::Team {
    wire::Team {
        name: team.slug.to_string(),
        members,
        second_factor: team.second_factor,
        limits: team.quota.into(),
        created: wire::time(team.created),
    }
}

impl From<&store::Member> for wire::Member {
    fn from(store::Member { user: _, login, role, disabled, second_factor }: &store::Member) -> Self {
        let (login, role) = (login.to_string(), (*role).into());
        Self { login, role, disabled: *disabled, second_factor: *second_factor }
    }
}

impl From<&store::Invitation> for wire::Invitation {
    fn from(invitation: &store::Invitation) -> Self {
        Self {
            id: invitation.id.0,
            login: invitation.login.to_string(),
            role: invitation.role.into(),
            by: invitation.by.clone(),
            expires: wire::time(invitation.expires),
        }
    }
}
