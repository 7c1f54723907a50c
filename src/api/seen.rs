//! What a caller sees of lists that are not made by team, and for which team something new is.

use std::collections::BTreeSet;

use super::error::ApiError;
use super::wire::FieldErrors;
use crate::auth::Caller;
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::right::Right;
use crate::store::{Reader, StoreError};

/// The names of what a caller sees; one who stands above all teams sees everything.
pub(super) struct Seen(Option<BTreeSet<String>>);

impl Seen {
    /// The apps that a caller sees.
    pub(super) async fn apps(reader: &Reader, caller: &Caller) -> Result<Self, StoreError> {
        if caller.sees_all() {
            return Ok(Self(None));
        }
        let apps = reader.app_teams().await?;
        Ok(Self::of(caller, apps.into_iter().map(|(app, team)| (app.to_string(), team))))
    }

    /// The hosts of apps that a caller sees.
    pub(super) async fn hosts(reader: &Reader, caller: &Caller) -> Result<Self, StoreError> {
        if caller.sees_all() {
            return Ok(Self(None));
        }
        Ok(Self::of(caller, reader.host_teams().await?))
    }

    fn of(caller: &Caller, all: impl IntoIterator<Item = (String, TeamId)>) -> Self {
        Self(Some(all.into_iter().filter(|(_, team)| caller.sees(*team)).map(|(name, _)| name).collect()))
    }

    /// Whether the caller sees this one; `None` is what is no team's.
    pub(super) fn has(&self, name: Option<&str>) -> bool {
        self.0.as_ref().is_none_or(|names| name.is_some_and(|name| names.contains(name)))
    }
}

/// The team that something new is for: the one that is named, else the only one where the caller may do this. Who
/// stands above all teams means the first one.
pub(super) async fn team_for_new(
    reader: &Reader,
    caller: &Caller,
    named: Option<&str>,
    right: Right,
) -> Result<TeamId, ApiError> {
    if let Some(name) = named {
        let unknown = || FieldErrors::one("team", format!("there is no team {name:?}"));
        let slug = Slug::parse(name).map_err(|_| unknown())?;
        let team = reader.team(&slug).await?.filter(|team| caller.sees(team.id)).ok_or_else(unknown)?;
        caller.require_in(right, team.id, "team", name)?;
        return Ok(team.id);
    }
    let Some(teams) = caller.teams() else { return Ok(TeamId::FIRST) };
    let may: Vec<TeamId> = teams.filter(|team| caller.may_in(right, *team)).collect();
    match may.as_slice() {
        [team] => Ok(*team),
        _ => Err(FieldErrors::one("team", "say for which of your teams this is").into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::wire::CreateApp;
    use super::*;
    use crate::domain::person::Role;
    use crate::domain::right::{Closed, Reach, Scope};
    use crate::domain::time::Timestamp;
    use crate::store::{self, SubnetPool, TokenId};

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn caller(teams: &[(TeamId, Role)]) -> Caller {
        let teams = Some(teams.iter().copied().collect::<BTreeMap<_, _>>());
        let reach = Reach { teams, scope: Scope::Admin, closed: Closed::NOTHING };
        Caller::Token { id: TokenId(1), name: "test".to_owned(), user: None, reach }
    }

    #[tokio::test]
    async fn lists_show_what_the_teams_of_a_caller_have_and_something_new_is_for_one_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let (writer, reader) = store::open(&path.join("rivetr.db"), &path.join("backup"), NOW).unwrap();
        let mut teams = Vec::new();
        for name in ["one", "two"] {
            let slug = |text: &str| Slug::parse(text).unwrap();
            let team = writer.create_team(slug(name), None, NOW).await.unwrap().id;
            let pool = SubnetPool::parse("10.90.0.0/16").unwrap();
            writer.create_project(team, slug(name), vec![slug("production")], pool).await.unwrap();
            let new = CreateApp {
                name: format!("app-{name}"),
                project: Some(name.to_owned()),
                hosts: vec![format!("{name}.example.org")],
                ..CreateApp::default()
            };
            writer.create_app(new.parse().unwrap(), None, NOW).await.unwrap();
            teams.push(team);
        }
        let [one, two] = teams.as_slice() else { panic!("two teams") };
        let all = Caller::Local { uid: 0, name: "root".to_owned() };
        for (caller, expect) in [
            (caller(&[(*one, Role::Viewer)]), [true, false, false]),
            (caller(&[]), [false; 3]),
            (all.clone(), [true; 3]),
        ] {
            let apps = Seen::apps(&reader, &caller).await.unwrap();
            assert_eq!([apps.has(Some("app-one")), apps.has(Some("app-two")), apps.has(None)], expect);
            let hosts = Seen::hosts(&reader, &caller).await.unwrap();
            let [first, second] = ["one.example.org", "two.example.org"].map(|host| hosts.has(Some(host)));
            assert_eq!([first, second, hosts.has(Some("rivetr.example.org"))], expect);
        }

        let both = caller(&[(*one, Role::Admin), (*two, Role::Developer)]);
        let for_new = async |caller: &Caller, named| {
            team_for_new(&reader, caller, named, Right::Lead).await.map_err(|error| error.status().as_u16())
        };
        assert_eq!(for_new(&both, None).await, Ok(*one), "the only one where it may");
        assert_eq!(for_new(&both, Some("one")).await, Ok(*one));
        assert_eq!(for_new(&both, Some("two")).await, Err(403));
        let many = caller(&[(*one, Role::Admin), (*two, Role::Owner)]);
        assert_eq!(for_new(&many, None).await, Err(422));
        let stranger = caller(&[(TeamId::FIRST, Role::Owner)]);
        assert_eq!(for_new(&stranger, Some("one")).await, Err(422));
        assert_eq!(for_new(&stranger, Some("no-such")).await, Err(422));
        assert_eq!(
            (for_new(&all, None).await, for_new(&all, Some("two")).await),
            (Ok(TeamId::FIRST), Ok(*two))
        );
    }
}
