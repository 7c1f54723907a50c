//! Teams: who is in them, and with which part; inviting and removing people.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

use super::error::PageError;
use super::form::{Confirm, Errors, Form};
use super::moment::Moment;
use super::people::{of_change, own_link};
use super::shell::{Hx, Shell, SignedIn, Visit};
use super::{Route, Web, view};
use crate::api::wire;
use crate::auth::gate::{Administer, Lead, Own, Read};
use crate::auth::{Auth, Caller, Person};
use crate::domain::person::{Role, TeamId, UserId};
use crate::domain::quota::Quota;
use crate::domain::right::Right;
use crate::engine::Engine;
use crate::store::{InvitationId, Reader, Team};

#[derive(Template)]
#[template(path = "people/teams.html")]
struct Index {
    shell: Shell,
    errors: Errors,
    typed: String,
    teams: Vec<Tile>,
    roles: [&'static str; 4],
    rights: Vec<(&'static str, [bool; 4])>,
}

struct Tile {
    id: i64,
    name: String,
    people: u32,
    projects: usize,
    role: &'static str,
}

#[derive(Template)]
#[template(path = "people/team.html")]
#[expect(clippy::struct_excessive_bools, reason = "what its template asks")]
struct Page {
    shell: Shell,
    errors: Errors,
    team: i64,
    team_name: String,
    members: Vec<Row>,
    invitations: Vec<Invited>,
    grantable: Vec<&'static str>,
    may_lead: bool,
    /// Whether the person decides about the team itself.
    may_own: bool,
    may_delete: bool,
    /// Whether it shows itself only to members who have a second factor.
    second_factor: bool,
    /// Members to whom it is closed therefore, or would be.
    without_factor: usize,
    limits: TypedLimits,
    form_login: String,
    link: Option<String>,
    link_for: String,
}

struct Row {
    id: i64,
    login: String,
    role: &'static str,
    myself: bool,
    changeable: bool,
    factor: bool,
}

struct Invited {
    id: i64,
    login: String,
    role: &'static str,
    until: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/teams", index),
        Route::post("/teams", create),
        Route::get("/teams/{team}", show),
        Route::post("/teams/{team}/delete", delete).asking_again(),
        Route::post("/teams/{team}/second-factor", require_second_factor).asking_again(),
        Route::post("/teams/{team}/limits", limit),
        Route::post("/teams/{team}/members/{user}", change_role).asking_again(),
        Route::post("/teams/{team}/members/{user}/remove", remove),
        Route::post("/teams/{team}/invitations", invite).asking_again(),
        Route::post("/teams/{team}/invitations/{invitation}/revoke", take_back),
    ]
}

async fn index(
    by: SignedIn,
    shell: Shell,
    State(auth): State<Auth>,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    view::show(&listed(&auth, &engine, &by.person, shell, Errors::default(), String::new()).await?)
}

async fn listed(
    auth: &Auth,
    engine: &Engine,
    person: &Person,
    shell: Shell,
    errors: Errors,
    typed: String,
) -> Result<Index, PageError> {
    let (projects, people) = (engine.reader().projects().await?, auth.member_counts().await?);
    let mut teams = Vec::new();
    for team in auth.teams(&Caller::Person((*person).clone())).await? {
        let role = person.reach.teams.as_ref().and_then(|teams| teams.get(&team.id));
        teams.push(Tile {
            id: team.id.0,
            name: team.slug.to_string(),
            people: people.get(&team.id).copied().unwrap_or(0),
            projects: projects.iter().filter(|project| project.team == team.id).count(),
            role: role.map_or("", |role| role.as_str()),
        });
    }
    let of_teams = Right::ALL.into_iter().filter(|right| right.of_role().is_some());
    let rights = of_teams.map(|right| (right.about(), Role::ALL.map(|role| role.allows(right))));
    Ok(Index { shell, errors, typed, teams, roles: Role::ALL.map(Role::as_str), rights: rights.collect() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    #[serde(default)]
    name: String,
}

async fn create(
    by: Visit<Administer>,
    shell: Shell,
    hx: Hx,
    State(auth): State<Auth>,
    State(engine): State<Engine>,
    Form(Name { name }): Form<Name>,
) -> Result<Response, PageError> {
    match auth.create_team(by.actor(), name.trim()).await {
        Ok(team) => Ok(view::go(hx, &format!("/teams/{}", team.id.0))),
        Err(error) => {
            let errors = of_change(error, "name")?;
            view::wrong(&listed(&auth, &engine, &by.person, shell, errors, name).await?)
        }
    }
}

/// What the page of a team is made from.
struct Asked<'a> {
    auth: &'a Auth,
    person: &'a Person,
    team: TeamId,
}

impl Asked<'_> {
    async fn page(&self, shell: Shell, errors: Errors) -> Result<Page, PageError> {
        let Self { auth, person, team } = self;
        let teams = auth.teams(&Caller::Person((*person).clone())).await?;
        let found = teams.into_iter().find(|known| known.id == *team).ok_or(PageError::NotFound)?;
        let may_lead = person.reach.allows_in(Right::Lead, *team);
        let own = person.reach.teams.as_ref().map_or(Some(Role::Owner), |teams| teams.get(team).copied());
        let mine = own.unwrap_or(Role::Viewer);
        let members = auth.members(*team).await?;
        let without_factor = members.iter().filter(|member| !member.second_factor).count();
        let members = members.into_iter().map(|member| Row {
            id: member.user.0,
            login: member.login.to_string(),
            role: member.role.as_str(),
            myself: member.user == person.id,
            changeable: may_lead && member.role <= mine,
            factor: member.second_factor,
        });
        let invitations = if may_lead { auth.invitations(*team).await? } else { Vec::new() };
        let invitations = invitations.into_iter().map(|invitation| Invited {
            id: invitation.id.0,
            login: invitation.login.to_string(),
            role: invitation.role.as_str(),
            until: Moment::day(invitation.expires),
        });
        Ok(Page {
            shell,
            errors,
            team: team.0,
            team_name: found.slug.to_string(),
            members: members.collect(),
            invitations: invitations.collect(),
            grantable: Role::ALL.into_iter().filter(|role| *role <= mine).map(Role::as_str).collect(),
            may_lead,
            may_own: person.reach.allows_in(Right::Own, *team),
            may_delete: person.reach.allows_in(Right::Own, *team) && *team != TeamId::FIRST,
            second_factor: found.second_factor,
            without_factor,
            limits: TypedLimits::of(found.quota),
            form_login: String::new(),
            link: None,
            link_for: String::new(),
        })
    }
}

async fn show(
    by: Visit<Read>,
    shell: Shell,
    State(auth): State<Auth>,
    Path(_): Path<String>,
) -> Result<Response, PageError> {
    let team = by.team.ok_or(PageError::NotFound)?;
    let asked = Asked { auth: &auth, person: &by.person, team };
    view::show(&asked.page(shell, Errors::default()).await?)
}

async fn delete(
    by: Visit<Own>,
    shell: Shell,
    hx: Hx,
    State(auth): State<Auth>,
    Form(confirm): Form<Confirm>,
) -> Result<Response, PageError> {
    let team = by.team.ok_or(PageError::NotFound)?;
    let asked = Asked { auth: &auth, person: &by.person, team };
    let page = asked.page(shell.clone(), Errors::default()).await?;
    if let Err(errors) = confirm.is(&page.team_name) {
        return view::wrong(&Page { errors, ..page });
    }
    match auth.delete_team(by.actor(), team).await {
        Ok(()) => Ok(view::go(hx, "/teams")),
        Err(error) => view::wrong(&Page { errors: of_change(error, "confirm")?, ..page }),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Required {
    required: bool,
}

async fn require_second_factor(
    by: Visit<Own>,
    shell: Shell,
    hx: Hx,
    State(auth): State<Auth>,
    Form(Required { required }): Form<Required>,
) -> Result<Response, PageError> {
    let team = by.team.ok_or(PageError::NotFound)?;
    let done = auth.require_second_factor(by.actor(), team, required).await.map(|_| ());
    after(&by.person, &auth, team, shell, hx, done.map_err(|error| of_change(error, "second_factor"))).await
}

/// What the apps of a team may use together, as it is typed; empty: as much as there is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedLimits {
    #[serde(default)]
    apps: String,
    #[serde(default)]
    memory: String,
    #[serde(default)]
    cpus: String,
}

impl TypedLimits {
    fn of(quota: Quota) -> Self {
        let wire::TeamLimits { apps, memory, cpus } = quota.into();
        Self {
            apps: apps.map(|apps| apps.to_string()).unwrap_or_default(),
            memory: memory.unwrap_or_default(),
            cpus: cpus.unwrap_or_default(),
        }
    }

    fn parse(&self) -> Result<Quota, Errors> {
        let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let apps = match said(&self.apps).map(|text| text.parse()) {
            None => None,
            Some(Ok(apps)) => Some(apps),
            Some(Err(_)) => return Err(Errors::one("apps", "write a whole number, or nothing")),
        };
        let limits = wire::TeamLimits { apps, memory: said(&self.memory), cpus: said(&self.cpus) };
        limits.parse().map_err(Errors::from)
    }
}

async fn limit(
    by: Visit<Administer>,
    shell: Shell,
    hx: Hx,
    State(auth): State<Auth>,
    Form(limits): Form<TypedLimits>,
) -> Result<Response, PageError> {
    let team = by.team.ok_or(PageError::NotFound)?;
    let errors = match limits.parse() {
        Ok(quota) => match auth.set_quota(by.actor(), team, quota).await {
            Ok(_) => return Ok(view::go(hx, &format!("/teams/{}", team.0))),
            Err(error) => of_change(error, "")?,
        },
        Err(errors) => errors,
    };
    let page = Asked { auth: &auth, person: &by.person, team }.page(shell, errors).await?;
    view::wrong(&Page { limits, ..page })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRole {
    role: String,
}

async fn change_role(
    by: Visit<Lead>,
    shell: Shell,
    hx: Hx,
    State(auth): State<Auth>,
    Path((_, user)): Path<(String, i64)>,
    Form(NewRole { role }): Form<NewRole>,
) -> Result<Response, PageError> {
    let team = by.team.ok_or(PageError::NotFound)?;
    let role = Role::parse(&role).ok_or_else(|| PageError::Bad("there is no such role".to_owned()))?;
    let done = auth.change_role(by.actor(), team, UserId(user), role).await;
    after(&by.person, &auth, team, shell, hx, done.map_err(|error| of_change(error, ""))).await
}

async fn remove(
    by: Visit<Lead>,
    shell: Shell,
    hx: Hx,
    State(auth): State<Auth>,
    Path((_, user)): Path<(String, i64)>,
) -> Result<Response, PageError> {
    let team = by.team.ok_or(PageError::NotFound)?;
    let done = auth.remove_member(by.actor(), team, UserId(user)).await;
    after(&by.person, &auth, team, shell, hx, done.map_err(|error| of_change(error, ""))).await
}

async fn take_back(
    by: Visit<Lead>,
    shell: Shell,
    hx: Hx,
    State(auth): State<Auth>,
    Path((_, invitation)): Path<(String, i64)>,
) -> Result<Response, PageError> {
    let team = by.team.ok_or(PageError::NotFound)?;
    let done = auth.revoke_invitation(by.actor(), team, InvitationId(invitation)).await;
    after(&by.person, &auth, team, shell, hx, done.map_err(|error| of_change(error, ""))).await
}

/// Back to the team, or to what is wrong.
async fn after(
    person: &Person,
    auth: &Auth,
    team: TeamId,
    shell: Shell,
    hx: Hx,
    done: Result<(), Result<Errors, PageError>>,
) -> Result<Response, PageError> {
    match done {
        Ok(()) => Ok(view::go(hx, &format!("/teams/{}", team.0))),
        Err(errors) => view::wrong(&Asked { auth, person, team }.page(shell, errors?).await?),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invite {
    #[serde(default)]
    login: String,
    #[serde(default)]
    role: String,
}

async fn invite(
    by: Visit<Lead>,
    shell: Shell,
    State(auth): State<Auth>,
    State(engine): State<Engine>,
    Form(Invite { login, role }): Form<Invite>,
) -> Result<Response, PageError> {
    let team = by.team.ok_or(PageError::NotFound)?;
    let role = Role::parse(&role).ok_or_else(|| PageError::Bad("there is no such role".to_owned()))?;
    let made = auth.invite(by.actor(), team, login.trim(), role).await;
    let asked = Asked { auth: &auth, person: &by.person, team };
    match made {
        Ok((secret, invitation)) => {
            let page = asked.page(shell, Errors::default()).await?;
            let link = Some(own_link(&engine, "invitations", &secret));
            view::show(&Page { link, link_for: invitation.login.to_string(), ..page })
        }
        Err(error) => {
            let page = asked.page(shell, of_change(error, "login")?).await?;
            view::wrong(&Page { form_login: login, ..page })
        }
    }
}

/// The teams in which a person may make projects and keep keys.
pub(super) async fn led(reader: &Reader, person: &Person) -> Result<Vec<Team>, PageError> {
    let teams = reader.teams().await?;
    Ok(teams.into_iter().filter(|team| person.reach.allows_in(Right::Lead, team.id)).collect())
}

/// The one of them that a form names; with one team to choose from, nobody was asked.
pub(super) async fn chosen(
    reader: &Reader,
    person: &Person,
    name: &str,
) -> Result<Option<TeamId>, PageError> {
    let teams = led(reader, person).await?;
    let named = teams.iter().find(|team| team.slug.as_str() == name);
    Ok(named.or(teams.first().filter(|_| teams.len() == 1)).map(|team| team.id))
}
