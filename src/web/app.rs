//! An app: what stands around all of its tabs, the first two of them, and what is done with an app as it is. The tabs
//! that change it lie in files of their own.

mod act;
mod deployments;
mod overview;

use askama::Template;
use axum::response::sse::Event;

use super::error::PageError;
use super::live::{Live, Look, Sent, Viewer};
use super::shell::Shell;
use super::view::{self, Mark};
use super::{Route, Web};
use crate::auth::Person;
use crate::domain::app::{App, AppId, Wish};
use crate::domain::deployment::State;
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::right::Right;
use crate::engine::{Engine, Standing};
use crate::store::Reader;

/// What stands above the tabs of an app.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// Its name.
    pub slug: Slug,
    /// The project it belongs to.
    pub project: Slug,
    /// The environment of that project.
    pub environment: Slug,
    /// How it does.
    pub mark: Mark,
    /// Where people find it first.
    pub url: Option<String>,
    /// The tab that is open: `overview`, `deployments`, `logs`, `variables`, `domains`, `settings`.
    pub tab: &'static str,
    /// Something of it was live, so it can be restarted, stopped and started.
    pub was_live: bool,
    /// Somebody stopped it.
    pub stopped: bool,
    /// Nothing can be done with it any more.
    pub deleting: bool,
    /// The team whose app it is.
    pub team: TeamId,
    /// Unit files of it that somebody changed by hand.
    pub edited: Vec<String>,
}

/// The same as a fragment of its own.
#[derive(Template)]
#[template(path = "app/head.html")]
pub(super) struct ShownHead<'a> {
    pub shell: &'a Shell,
    pub head: &'a Head,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    [overview::routes(), deployments::routes(), act::routes()].into_iter().flatten().collect()
}

impl Head {
    /// Whether the person may deploy this app.
    pub fn may_deploy(&self, shell: &Shell) -> bool {
        may(shell, Right::Deploy, self.team)
    }

    /// Whether the person may change this app.
    pub fn may_manage(&self, shell: &Shell) -> bool {
        may(shell, Right::Manage, self.team)
    }
}

/// Whether the person of a page may do this in that team.
pub(super) fn may(shell: &Shell, right: Right, team: TeamId) -> bool {
    shell.person.as_ref().is_some_and(|person| person.reach.allows_in(right, team))
}

/// The app of a name or a number, if the person may know of it. A name made of digits is a name first.
pub(super) async fn find(reader: &Reader, person: &Person, id: &str) -> Result<App, PageError> {
    let mut found = match Slug::parse(id) {
        Ok(slug) => reader.app(&slug).await?,
        Err(_) => None,
    };
    if let (None, Ok(number)) = (&found, id.parse()) {
        found = reader.app_by_id(AppId(number)).await?;
    }
    found.filter(|app| view::sees(person, &app.project)).ok_or(PageError::NotFound)
}

/// What stands above the tabs of an app now.
pub(super) async fn head(engine: &Engine, app: &App, tab: &'static str) -> Result<Head, PageError> {
    let standing = engine.standing(app).await?;
    Ok(Head {
        slug: app.slug.clone(),
        project: app.project.slug.clone(),
        environment: app.environment.clone(),
        mark: mark(standing),
        url: engine.urls(app).into_iter().next(),
        tab,
        was_live: app.live.is_some(),
        stopped: app.wish == Wish::Stop || standing == Standing::Down,
        deleting: app.deleting,
        team: app.project.team,
        edited: engine.edited_of_app(&app.slug).await?,
    })
}

/// What stands above the tabs as it changes.
pub(super) struct Following {
    pub of: Viewer,
    pub tab: &'static str,
}

impl Look for Following {
    async fn look(&mut self, sent: &mut Sent) -> Result<Vec<Event>, PageError> {
        let Viewer { live: Live { engine, reader, .. }, shell, person, id } = &self.of;
        let app = find(reader, person, id).await?;
        let head = head(engine, &app, self.tab).await?;
        Ok(sent.event("head", &ShownHead { shell, head: &head })?.into_iter().collect())
    }
}

/// How an app does, as people see it.
pub(super) fn mark(standing: Standing) -> Mark {
    let mark = |class, icon, word| Mark { class, icon, word };
    match standing {
        Standing::Running => mark("good", "live", "running"),
        Standing::Partly => mark("warn", "warn", "partly running"),
        Standing::Restarting => mark("warn", "warn", "starting again"),
        Standing::Failed => mark("bad", "failed", "failed"),
        Standing::Down => mark("warn", "stopped", "not running"),
        Standing::Stopped => mark("", "stopped", "stopped"),
        Standing::Starting => mark("moving", "moving", "starting"),
        Standing::Deploying(state) => mark("moving", "moving", step(state)),
        Standing::Never => mark("", "unknown", "never deployed"),
        Standing::Deleting => mark("moving", "moving", "being deleted"),
        Standing::Unknown => mark("", "unknown", "unknown"),
    }
}

/// What a deployment does, in the mark of its app.
fn step(state: State) -> &'static str {
    match state {
        State::Queued => "deploying: queued",
        State::Fetching => "deploying: fetching",
        State::Building => "deploying: building",
        State::Starting => "deploying: starting",
        State::Checking => "deploying: checking",
        State::Switching => "deploying: switching",
        State::Retiring | State::Live | State::Failed | State::Cancelled | State::Superseded => {
            "deploying: retiring the old"
        }
    }
}
