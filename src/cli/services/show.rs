//! `rivetr services list`, `show`, `files` and `revisions`.

use clap::Args;

use super::super::domains::{self, Kind};
use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{facts, harmless, or_dash, table, time};
use super::Named;
use super::repository;
use crate::api::wire::{List, Revision, Service, ServiceContainer, ServiceFiles, ServiceStatus};
use crate::domain::name::Slug;

/// The arguments of `rivetr services files`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Files {
    #[command(flatten)]
    service: Named,
    /// Those of this revision, not of the live one
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u32>,
}

impl Files {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { service: Named { name }, revision } = self;
        let query = revision.map_or(String::new(), |number| format!("?revision={number}"));
        let answer = session.client.get(&format!("/api/services/{name}/files{query}")).await?;
        session.show(&answer, |files: ServiceFiles| {
            let mut words = String::new();
            for (name, text) in &files.files {
                words.extend(["# --- ", harmless(name).as_str(), "\n"]);
                words.extend(text.lines().map(|line| format!("{}\n", harmless(line))));
            }
            words
        })
    }
}

pub(super) async fn list(session: &mut Session) -> Result<(), Failure> {
    let answer = session.client.get("/api/services").await?;
    session.show(&answer, |services: List<Service>| {
        if services.items.is_empty() {
            return "There are no services. `rivetr services create NAME --file compose.yaml` makes one.\n"
                .to_owned();
        }
        let row = |service: &Service| {
            [
                service.name.clone(),
                service.project.clone(),
                state(service),
                or_dash(service.revision.map(|number| number.to_string()).as_deref()),
                or_dash(service.urls.first().map(String::as_str)),
            ]
        };
        table(
            ["SERVICE", "PROJECT", "STATE", "REVISION", "URL"],
            &services.items.iter().map(row).collect::<Vec<_>>(),
        )
    })
}

pub(super) async fn one(session: &mut Session, name: &Slug) -> Result<(), Failure> {
    let answer = session.client.get(&format!("/api/services/{name}")).await?;
    session.show(&answer, |status: ServiceStatus| words(&status))
}

pub(super) async fn revisions(session: &mut Session, name: &Slug) -> Result<(), Failure> {
    let answer = session.client.get(&format!("/api/services/{name}/revisions")).await?;
    session.show(&answer, |revisions: List<Revision>| {
        let row = |revision: &Revision| {
            let back = revision.back_to.map(|number| format!("brings back {number}"));
            let commit = revision.commit.as_deref().and_then(|commit| commit.get(..8));
            let commit = commit.map(|commit| format!("commit {commit}"));
            let why = revision.failure.as_deref().and_then(|why| why.lines().next()).map(harmless);
            [
                revision.number.to_string(),
                revision.state.clone(),
                time(&revision.created),
                or_dash(why.or(back).or(commit).as_deref()),
            ]
        };
        table(
            ["REVISION", "STATE", "CREATED", "REMARK"],
            &revisions.items.iter().map(row).collect::<Vec<_>>(),
        )
    })
}

/// How a service stands, in a word or two.
fn state(service: &Service) -> String {
    if service.deleting {
        return "is being deleted".to_owned();
    }
    if service.stopped {
        return "stopped".to_owned();
    }
    match (&service.latest, service.revision) {
        (Some(latest), live) if latest.state == "failed" => {
            let back = live.map_or(String::new(), |live| format!("; {live} runs"));
            format!("revision {} failed{back}", latest.number)
        }
        (Some(latest), _) => latest.state.clone(),
        (None, _) => "nothing yet".to_owned(),
    }
}

fn words(status: &ServiceStatus) -> String {
    let ServiceStatus { service, containers, domains } = status;
    let revision = service.revision.map(|number| number.to_string());
    let mut known = vec![
        ("service", service.name.clone()),
        ("project", service.project.clone()),
        ("state", state(service)),
        ("revision", or_dash(revision.as_deref())),
    ];
    if let Some(followed) = &service.repository {
        known.push(("follows", repository::words(followed)));
    }
    let failure = service.latest.as_ref().and_then(|latest| latest.failure.as_deref());
    if let Some(failure) = failure {
        known.push(("failure", failure.lines().map(harmless).collect::<Vec<_>>().join("\n          ")));
    }
    let mut text = facts(&known);
    let row = |container: &ServiceContainer| {
        let shown = container.units.iter().map(|unit| format!("{} ({})", unit.active_state, unit.sub_state));
        let shown: Vec<String> = shown.collect();
        [
            container.name.clone(),
            or_dash(Some(shown.join(", ")).filter(|text| !text.is_empty()).as_deref()),
            container.image.clone(),
            or_dash(Some(container.published.join(", ")).filter(|text| !text.is_empty()).as_deref()),
        ]
    };
    text.push('\n');
    text.push_str(&table(
        ["CONTAINER", "STATE", "IMAGE", "PUBLISHED"],
        &containers.iter().map(row).collect::<Vec<_>>(),
    ));
    if !domains.is_empty() {
        text.push('\n');
        text.push_str(&domains::list::table_of(Kind::Service, domains));
    }
    text
}
