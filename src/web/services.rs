//! Services: the list, a new one from a compose file or a repository, and what stands around the tabs of one of them.

mod files;
mod log;
mod one;
mod source;

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use serde::Deserialize;
use serde_json::json;

use super::app::may;
use super::error::PageError;
use super::form::{Errors, Form};
use super::live::{Live, Look, Sent, Viewer};
use super::moment::Moment;
use super::repository::{self, RepositoryFields};
use super::shell::{Hx, Shell, Visit};
use super::usage::ShownUsage;
use super::view::{self, Mark};
use super::{Route, Web};
use crate::api::wire::CreateService;
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::right::Right;
use crate::domain::service::{Revision, RevisionState, Service};
use crate::engine::{Engine, ServiceStatus};
use crate::store::Reader;

#[derive(Template)]
#[template(path = "services/index.html")]
struct Page {
    shell: Shell,
    rows: Vec<Row>,
}

/// What stands above the tabs of a service.
#[derive(Debug, Clone)]
pub(super) struct Head {
    /// Its name.
    pub slug: Slug,
    /// The project it belongs to.
    pub project: Slug,
    /// How it does.
    pub mark: Mark,
    /// Why the last revision did not come up; empty: it did, or is on its way.
    pub failure: String,
    /// A revision is live.
    pub is_live: bool,
    /// The tab that is open: `overview`, `logs`, `domains`, of the settings `files`, `source`, `traffic`, `webhooks`, or none
    /// of these, but a `terminal`.
    pub tab: &'static str,
    /// Somebody stopped it.
    pub stopped: bool,
    /// Its files come from a repository.
    pub follows: bool,
    /// The team whose service it is.
    pub team: TeamId,
}

/// The same as a fragment of its own.
#[derive(Template)]
#[template(path = "services/head.html")]
struct ShownHead<'a> {
    shell: &'a Shell,
    head: &'a Head,
}

struct Row {
    slug: Slug,
    project: Slug,
    mark: Mark,
    containers: usize,
    url: Option<String>,
    changed: Option<Moment>,
}

#[derive(Template)]
#[template(path = "services/new.html")]
struct NewPage {
    shell: Shell,
    fields: Fields,
    projects: Vec<Slug>,
    keys: Vec<String>,
    /// Nothing is kept of a service that is not there yet.
    has_token: bool,
    errors: Errors,
    /// What is wrong with the files, one line each.
    wrong: Vec<files::Wrong>,
}

impl NewPage {
    fn new(shell: Shell, fields: Fields, (projects, keys): Offered, errors: Errors) -> Self {
        let id_of = |name: &str| match name {
            "compose.yaml" => Some("compose".to_owned()),
            ".env" => Some("env".to_owned()),
            _ => None,
        };
        let wrong = files::wrong_in(errors.of("files"), id_of);
        let fields = Fields { repository: fields.repository.without_token(), ..fields };
        Self { shell, fields, projects, keys, has_token: false, errors, wrong }
    }

    fn wrong_lines(&self, id: &str) -> String {
        files::wrong_lines(&self.wrong, id)
    }
}

/// What somebody types.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Fields {
    name: String,
    project: String,
    compose: String,
    env: String,
    #[serde(flatten)]
    repository: RepositoryFields,
    file: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    let own = vec![
        Route::get("/services", index),
        Route::get("/services/new", new),
        Route::post("/services/new", create),
    ];
    own.into_iter()
        .chain(one::routes())
        .chain(files::routes())
        .chain(source::routes())
        .chain(log::routes())
        .collect()
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    let reader = engine.reader();
    let (mut services, newest) = tokio::try_join!(reader.services(), reader.newest_revisions())?;
    services.retain(|service| view::sees(&visit.person, &service.project));
    let row = |service: Service| {
        let latest = newest.get(&service.id);
        Row {
            mark: mark(&service, latest),
            containers: latest.map_or(0, |latest| latest.parts.len()),
            url: engine.service_urls(&service).into_iter().next(),
            changed: latest.map(|latest| Moment::of(latest.created, engine.now())),
            project: service.project.slug,
            slug: service.slug,
        }
    };
    let rows = services.into_iter().map(row).collect();
    view::show(&Page { shell, rows })
}

impl Head {
    /// Whether a page of the settings is open.
    pub fn is_setting(&self) -> bool {
        ["files", "source", "traffic", "webhooks"].contains(&self.tab)
    }

    /// What stands above the tabs of a service of which this is known.
    pub fn of(status: &ServiceStatus, tab: &'static str) -> Self {
        let (service, latest) = (&status.service, status.latest());
        let failed = latest.filter(|latest| latest.state == RevisionState::Failed);
        Self {
            slug: service.slug.clone(),
            project: service.project.slug.clone(),
            mark: mark(service, latest),
            failure: failed.and_then(|latest| latest.failure.clone()).unwrap_or_default(),
            is_live: service.live.is_some(),
            tab,
            stopped: service.stopped,
            follows: service.followed.is_some(),
            team: service.project.team,
        }
    }

    /// The head of a service that follows a repository and is live.
    #[cfg(test)]
    pub fn for_test(tab: &'static str) -> Self {
        let slug = |text| Slug::parse(text).expect("a name");
        Self {
            slug: slug("shop"),
            project: slug("default"),
            mark: Mark { class: "good", icon: "ok", word: "live" },
            failure: String::new(),
            is_live: true,
            tab,
            stopped: false,
            follows: true,
            team: TeamId::FIRST,
        }
    }

    /// Whether the person may start and stop this service.
    pub fn may_deploy(&self, shell: &Shell) -> bool {
        may(shell, Right::Deploy, self.team)
    }

    /// Whether the person may change this service.
    pub fn may_manage(&self, shell: &Shell) -> bool {
        may(shell, Right::Manage, self.team)
    }
}

/// What stands above the tabs, and on the first of them the containers and the revisions, as they change.
pub(super) struct Following {
    pub of: Viewer,
    pub tab: &'static str,
}

impl Look for Following {
    async fn look(&mut self, sent: &mut Sent) -> Result<Vec<Event>, PageError> {
        let Viewer { live: Live { engine, .. }, shell, person, id } = &self.of;
        let service = find(engine, person, id).await?;
        let status = engine.service_status(&service.slug).await?;
        let head = &Head::of(&status, self.tab);
        let mut events: Vec<_> = sent.event("head", &ShownHead { shell, head })?.into_iter().collect();
        if self.tab == "overview" {
            let containers = one::ShownContainers { shell, head, parts: &status.parts };
            let revisions = &one::revisions(engine, &status);
            let revisions = one::ShownRevisions { shell, head, revisions };
            let in_use = one::in_use(&status);
            events.extend(sent.event("containers", &containers)?);
            events.extend(sent.event("usage", &ShownUsage { in_use: &in_use })?);
            events.extend(sent.event("revisions", &revisions)?);
        }
        Ok(events)
    }
}

/// How a service stands, by what was last asked for.
pub(super) fn mark(service: &Service, latest: Option<&Revision>) -> Mark {
    let mark = |class, icon, word| Mark { class, icon, word };
    if service.deleting {
        return mark("moving", "moving", "being deleted");
    }
    if service.stopped {
        return mark("", "stopped", "stopped");
    }
    match latest.map(|latest| latest.state) {
        None => mark("", "unknown", "nothing yet"),
        Some(RevisionState::Failed) => mark("bad", "failed", "last revision failed"),
        Some(state) => revision_mark(state),
    }
}

/// How far a revision is.
fn revision_mark(state: RevisionState) -> Mark {
    let (class, icon) = match state {
        RevisionState::Queued
        | RevisionState::Fetching
        | RevisionState::Pulling
        | RevisionState::Building
        | RevisionState::Starting => ("moving", "moving"),
        RevisionState::Live => ("good", "live"),
        RevisionState::Failed => ("bad", "failed"),
        RevisionState::Superseded => ("", "done"),
    };
    Mark { class, icon, word: state.as_str() }
}

async fn new(
    visit: Visit<Manage>,
    shell: Shell,
    State(reader): State<Reader>,
) -> Result<Response, PageError> {
    let offered = offered(&reader, &visit.person).await?;
    view::show(&NewPage::new(shell, Fields::default(), offered, Errors::default()))
}

async fn create(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let offered = offered(engine.reader(), &visit.person).await?;
    let errors = match asked(&fields, &offered.0) {
        Err(errors) => errors,
        Ok(new) => match engine.create_service(new, visit.person.reach.allows(Right::Administer)).await {
            Ok(made) => {
                let service = made.service;
                let deed = Deed::new("service.created", format!("service {}", service.slug));
                let follows = service.followed.as_ref().map(|followed| followed.git.url.to_string());
                let what = json!({ "project": fields.project, "repository": follows });
                visit.record(deed.of(service.project.team).after(what)).await;
                return Ok(view::go(hx, &format!("/services/{}", service.slug)));
            }
            Err(error) => Errors::of_engine(error)?,
        },
    };
    view::wrong(&NewPage::new(shell, fields, offered, errors))
}

fn asked(fields: &Fields, projects: &[Slug]) -> Result<crate::engine::NewService, Errors> {
    let Fields { name, project, compose, env, repository, file } = fields;
    let repository = source::asked(repository, file, env);
    let files = [("compose.yaml", compose.as_str()), (".env", env.as_str())];
    // With both, what is wrong is said of the repository.
    let files = if repository.is_some() && compose.trim().is_empty() {
        BTreeMap::new()
    } else {
        files::gathered(files)
    };
    let new = CreateService {
        name: name.trim().to_owned(),
        project: Some(project.clone()),
        files,
        repository,
        template: None,
        variables: BTreeMap::new(),
    };
    let new = new.parse().map_err(Errors::from)?;
    if projects.contains(&new.project) {
        Ok(new)
    } else {
        Err(Errors::one("project", "choose one of your projects"))
    }
}

/// The projects that a service may go to, and the keys that may open its repository.
type Offered = (Vec<Slug>, Vec<String>);

async fn offered(reader: &Reader, person: &Person) -> Result<Offered, PageError> {
    let own = |team| person.reach.allows_in(Right::Manage, team);
    let projects = reader.projects().await?.into_iter().filter(|project| own(project.team));
    Ok((projects.map(|project| project.slug).collect(), repository::keys(reader, own).await?))
}

/// A service that a person knows of.
pub(super) async fn find(engine: &Engine, person: &Person, id: &str) -> Result<Service, PageError> {
    let slug = Slug::parse(id).map_err(|_| PageError::NotFound)?;
    let found = engine.reader().service(&slug).await?;
    found.filter(|service| view::sees(person, &service.project)).ok_or(PageError::NotFound)
}
