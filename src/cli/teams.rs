//! `rivetr teams …`: teams, their members, and the invitations into them.

use std::io::Write;

use clap::{Args, Subcommand, ValueEnum};

use super::failure::Failure;
use super::files::encoded;
use super::session::Session;
use super::table::{table, time};
use crate::api::wire::{
    self, ChangeRole, ChangeTeam, Invitation, Invite, Link, Member, NameTeam, Role, Team, TeamLimits,
};
use crate::domain::name::Slug;
use crate::domain::person;

/// What can be done with teams.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Teams {
    /// List the teams
    #[command(after_help = "Example: rivetr teams list")]
    List,
    /// Make a team
    #[command(after_help = "Example: rivetr teams create shop")]
    Create(Named),
    /// Give a team another name
    #[command(after_help = "Example: rivetr teams rename shop store")]
    Rename(Rename),
    /// Have a team ask its members for a second factor, or no more: who has none sees nothing of it
    #[command(after_help = "Example: rivetr teams second-factor shop required")]
    SecondFactor(SecondFactor),
    /// Say what the apps, databases and services of a team may use together; what is not named is not limited
    #[command(after_help = "Example: rivetr teams limit shop --apps 10 --memory 4G --cpus 2")]
    Limit(Limit),
    /// Delete a team that has neither projects nor keys
    #[command(after_help = "Example: rivetr teams delete shop")]
    Delete(Named),
    /// List the members of a team
    #[command(after_help = "Example: rivetr teams members shop")]
    Members(Named),
    /// Give a member another part
    #[command(after_help = "Example: rivetr teams role shop ada owner")]
    Role(Part),
    /// Take a member out of a team
    #[command(after_help = "Example: rivetr teams remove shop ada")]
    Remove(OfTeam),
    /// Invite somebody into a team; the link is shown this once
    #[command(after_help = "Example: rivetr teams invite shop ada developer")]
    Invite(Part),
    /// List the open invitations into a team
    #[command(after_help = "Example: rivetr teams invitations shop")]
    Invitations(Named),
    /// Take an invitation back
    #[command(after_help = "Example: rivetr teams uninvite shop 3")]
    Uninvite(Uninvite),
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Named {
    /// The team
    #[arg(value_parser = Slug::parse)]
    team: Slug,
}

/// A team that is renamed.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Rename {
    /// The team
    #[arg(value_parser = Slug::parse)]
    team: Slug,
    /// Its new name
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

/// Whether a team asks for a second factor.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct SecondFactor {
    /// The team
    #[arg(value_parser = Slug::parse)]
    team: Slug,
    /// Whether its members need one
    #[arg(value_enum)]
    asked: Asked,
}

/// The two words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Asked {
    /// Members without one see nothing of the team
    Required,
    /// A password is enough
    Optional,
}

/// What the apps of a team may use together.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Limit {
    /// The team
    #[arg(value_parser = Slug::parse)]
    team: Slug,
    /// How many there may be of them
    #[arg(long)]
    apps: Option<u32>,
    /// What their limits of memory may come to, as 512M or 4G
    #[arg(long)]
    memory: Option<String>,
    /// What their limits of processors may come to, as 2 or 1.5
    #[arg(long)]
    cpus: Option<String>,
}

/// Somebody in a team.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct OfTeam {
    /// The team
    #[arg(value_parser = Slug::parse)]
    team: Slug,
    /// The name by which they sign in
    login: String,
}

/// Somebody's part in a team.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Part {
    /// The team
    #[arg(value_parser = Slug::parse)]
    team: Slug,
    /// The name by which they sign in
    login: String,
    /// Their part: viewer, developer, admin or owner
    #[arg(value_parser = parse_role)]
    role: Role,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Uninvite {
    /// The team
    #[arg(value_parser = Slug::parse)]
    team: Slug,
    /// The invitation's ID, as `rivetr teams invitations` shows it
    id: i64,
}

impl Teams {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List => {
                let answer = session.client.get("/api/teams").await?;
                session.show(&answer, |teams: wire::List<Team>| rows(&teams.items))
            }
            Self::Create(Named { team }) => {
                let answer = session.client.post("/api/teams", &NameTeam { name: team.to_string() }).await?;
                session.show(&answer, |team: Team| format!("{} is created.\n", team.name))
            }
            Self::Rename(Rename { team, name }) => {
                let wish = ChangeTeam { name: Some(name.to_string()), second_factor: None };
                let answer = session.client.patch(&format!("/api/teams/{team}"), &wish).await?;
                session.show(&answer, |now: Team| format!("{team} is called {} now.\n", now.name))
            }
            Self::SecondFactor(SecondFactor { team, asked }) => {
                let second_factor = Some(asked == Asked::Required);
                let wish = ChangeTeam { name: None, second_factor };
                let answer = session.client.patch(&format!("/api/teams/{team}"), &wish).await?;
                session.show(&answer, |now: Team| {
                    let asks = if now.second_factor { "asks" } else { "does not ask" };
                    format!("{} {asks} its members for a second factor.\n", now.name)
                })
            }
            Self::Limit(Limit { team, apps, memory, cpus }) => {
                let wish = TeamLimits { apps, memory, cpus };
                let answer = session.client.put(&format!("/api/teams/{team}/limits"), &wish).await?;
                session.show(&answer, |now: Team| format!("{}: {}.\n", now.name, limits(&now.limits)))
            }
            Self::Delete(Named { team }) => {
                let answer = session.client.delete(&format!("/api/teams/{team}")).await?;
                session.done(&answer, &format!("{team} is deleted."))
            }
            Self::Members(Named { team }) => {
                let answer = session.client.get(&format!("/api/teams/{team}/members")).await?;
                session.show(&answer, |members: wire::List<Member>| members_in_rows(&members.items))
            }
            Self::Role(Part { team, login, role }) => {
                let path = format!("/api/teams/{team}/members/{}", encoded(&login));
                let answer = session.client.patch(&path, &ChangeRole { role }).await?;
                session.show(&answer, |now: Member| format!("{} is {} of {team} now.\n", now.login, now.role))
            }
            Self::Remove(OfTeam { team, login }) => {
                let path = format!("/api/teams/{team}/members/{}", encoded(&login));
                let answer = session.client.delete(&path).await?;
                session.done(&answer, &format!("{login} is no member of {team} any more."))
            }
            Self::Invite(Part { team, login, role }) => invite(session, &team, login, role).await,
            Self::Invitations(Named { team }) => {
                let answer = session.client.get(&format!("/api/teams/{team}/invitations")).await?;
                session.show(&answer, |open: wire::List<Invitation>| invitations_in_rows(&open.items))
            }
            Self::Uninvite(Uninvite { team, id }) => {
                let answer = session.client.delete(&format!("/api/teams/{team}/invitations/{id}")).await?;
                session.done(&answer, &format!("Invitation {id} is worthless now."))
            }
        }
    }
}

/// Prints the link alone on standard output.
async fn invite(session: &mut Session, team: &Slug, login: String, role: Role) -> Result<(), Failure> {
    let note = format!("Give this to {login}.");
    let answer =
        session.client.post(&format!("/api/teams/{team}/invitations"), &Invite { login, role }).await?;
    let link: Link = answer.decode()?;
    if !session.json {
        writeln!(std::io::stderr(), "{note} Good once, until {}:", time(&link.expires))?;
    }
    session.show(&answer, |link: Link| format!("{}\n", link.url))
}

fn rows(teams: &[Team]) -> String {
    let rows: Vec<_> = teams
        .iter()
        .map(|Team { name, members, second_factor, limits: of_apps, created }| {
            let factor = if *second_factor { "required" } else { "optional" };
            [name.clone(), members.to_string(), factor.to_owned(), limits(of_apps), time(created)]
        })
        .collect();
    table(["TEAM", "MEMBERS", "SECOND FACTOR", "LIMITS", "CREATED"], &rows)
}

fn limits(TeamLimits { apps, memory, cpus }: &TeamLimits) -> String {
    let apps = apps.map(|apps| format!("{apps} apps"));
    let memory = memory.as_ref().map(|memory| format!("{memory} of memory"));
    let cpus = cpus.as_ref().map(|cpus| format!("{cpus} processors"));
    let said: Vec<String> = [apps, memory, cpus].into_iter().flatten().collect();
    if said.is_empty() { "no limits".to_owned() } else { said.join(", ") }
}

fn members_in_rows(members: &[Member]) -> String {
    if members.is_empty() {
        return "The team has no members. `rivetr teams invite` makes an invitation.\n".to_owned();
    }
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let rows: Vec<_> = members
        .iter()
        .map(|Member { login, role, disabled, second_factor }| {
            [login.clone(), role.to_string(), yes(*second_factor), yes(*disabled)]
        })
        .collect();
    table(["LOGIN", "ROLE", "SECOND FACTOR", "DISABLED"], &rows)
}

fn invitations_in_rows(invitations: &[Invitation]) -> String {
    if invitations.is_empty() {
        return "There is no open invitation.\n".to_owned();
    }
    let rows: Vec<_> = invitations
        .iter()
        .map(|Invitation { id, login, role, by, expires }| {
            [id.to_string(), login.clone(), role.to_string(), by.clone(), time(expires)]
        })
        .collect();
    table(["ID", "LOGIN", "ROLE", "BY", "EXPIRES"], &rows)
}

/// The role of a word.
pub(super) fn parse_role(word: &str) -> Result<Role, &'static str> {
    person::Role::parse(word).map(Role::from).ok_or("use viewer, developer, admin or owner")
}
