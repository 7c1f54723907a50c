//! Volumes: which app or service they belong to, how large they are, and away with those that nobody wants any more.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::backups::{self, Alarm};
use super::error::PageError;
use super::form::{Confirm, Errors, Form};
use super::moment::Moment;
use super::shell::{Hx, Shell, Visit};
use super::view;
use super::{Route, Web};
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::app::App;
use crate::domain::backup::Subject;
use crate::domain::name::Slug;
use crate::domain::right::{Reach, Right};
use crate::domain::time::Timestamp;
use crate::domain::volume::{Mount, VolumeId, VolumeOf};
use crate::engine::{Engine, Volume, readable_bytes};

#[derive(Template)]
#[template(path = "volumes/index.html")]
struct Page {
    shell: Shell,
    rows: Vec<Row>,
    measured: bool,
}

/// The list alone.
#[derive(Template)]
#[template(path = "volumes/list.html")]
struct ListPart {
    rows: Vec<Row>,
    measured: bool,
}

/// One volume.
#[derive(Template)]
#[template(path = "volumes/one.html")]
struct OnePage {
    shell: Shell,
    row: Row,
    alarms: Vec<Alarm>,
    errors: Errors,
}

struct Row {
    name: String,
    volume: String,
    of: VolumeOf,
    /// There is such an app or service.
    is_there: bool,
    /// Where an app mounts it.
    path: Option<String>,
    orphaned: bool,
    size: Option<String>,
    created: Option<Moment>,
}

#[derive(Debug, Deserialize)]
struct Detail {
    #[serde(default)]
    sizes: bool,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/volumes", index),
        Route::get("/volumes/{name}", one),
        Route::post("/volumes/{name}/delete", delete).asking_again(),
    ]
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Query(Detail { sizes }): Query<Detail>,
) -> Result<Response, PageError> {
    let owners = Owners::read(&engine).await?;
    let rows = owners.rows(&visit.person, engine.volumes(sizes).await?, engine.now());
    if hx.fragment {
        return view::show(&ListPart { rows, measured: sizes });
    }
    view::show(&Page { shell, rows, measured: sizes })
}

async fn one(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let row = find(&engine, &visit.person, &name).await?;
    let alarms = alarms_of(&engine, &name).await?;
    view::show(&OnePage { shell, row, alarms, errors: Errors::default() })
}

async fn delete(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Form(confirm): Form<Confirm>,
) -> Result<Response, PageError> {
    let row = find(&engine, &visit.person, &name).await?;
    let errors = match confirm.is(&name) {
        Ok(()) => match engine.delete_volume(&name).await {
            Ok(()) => {
                visit.record(Deed::new("volume.deleted", format!("volume {name}"))).await;
                return Ok(view::go(hx, "/volumes"));
            }
            Err(error) => Errors::of_engine(error)?,
        },
        Err(errors) => errors,
    };
    let alarms = alarms_of(&engine, &name).await?;
    view::wrong(&OnePage { shell, row, alarms, errors })
}

async fn alarms_of(engine: &Engine, name: &str) -> Result<Vec<Alarm>, PageError> {
    let volume = VolumeId::parse(name).map_err(|_| PageError::NotFound)?;
    backups::alarms_of(engine, Subject::Volume(volume)).await
}

async fn find(engine: &Engine, person: &Person, name: &str) -> Result<Row, PageError> {
    let owners = Owners::read(engine).await?;
    let mut rows = owners.rows(person, vec![engine.volume(name).await?], engine.now());
    rows.pop().ok_or(PageError::NotFound)
}

/// What volumes are of, as far as it is there.
struct Owners {
    apps: BTreeMap<Slug, App>,
    services: BTreeSet<Slug>,
}

impl Owners {
    async fn read(engine: &Engine) -> Result<Self, PageError> {
        let (apps, services) = tokio::try_join!(engine.reader().apps(), engine.reader().services())?;
        Ok(Self {
            apps: apps.into_iter().map(|app| (app.slug.clone(), app)).collect(),
            services: services.into_iter().map(|service| service.slug).collect(),
        })
    }

    /// Those that a person knows of. What is gone is still its team's, as long as that is known.
    fn rows(&self, person: &Person, volumes: Vec<Volume>, now: Timestamp) -> Vec<Row> {
        let seen = volumes.into_iter().filter(|volume| sees(&person.reach, volume));
        seen.map(|volume| self.row(volume, now)).collect()
    }

    fn row(&self, Volume { id, team: _, orphaned, size, created }: Volume, now: Timestamp) -> Row {
        let app = match id.of() {
            VolumeOf::App(app) => self.apps.get(app),
            VolumeOf::Service(_) => None,
        };
        let mounts = app.map(|app| app.settings.runtime.mounts.as_slice()).unwrap_or_default();
        let is_this = |mount: &&Mount| mount.volume().is_some_and(|name| name.to_string() == id.own());
        Row {
            path: mounts.iter().find(is_this).map(|mount| mount.at.to_string()),
            is_there: match id.of() {
                VolumeOf::App(_) => app.is_some(),
                VolumeOf::Service(service) => self.services.contains(service),
            },
            name: id.to_string(),
            volume: id.own().to_owned(),
            of: id.of().clone(),
            size: size.map(readable_bytes),
            created: created.map(|created| Moment::of(created, now)),
            orphaned,
        }
    }
}

fn sees(reach: &Reach, volume: &Volume) -> bool {
    reach.allows(Right::Administer) || volume.team.is_some_and(|team| reach.sees(team))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::person::{Role, TeamId};
    use crate::domain::right::{Closed, Scope};

    #[test]
    fn volumes_of_others_and_of_nobody_are_for_those_who_see_everything() {
        let teams = Some(BTreeMap::from([(TeamId::FIRST, Role::Viewer)]));
        let own = Reach { teams, scope: Scope::Admin, closed: Closed::NOTHING };
        let of = |team| {
            let id = VolumeId::parse("rivetr-svc-shop_data").unwrap();
            Volume { id, team, orphaned: true, size: None, created: None }
        };
        assert!(sees(&own, &of(Some(TeamId::FIRST))));
        for others in [Some(TeamId(7)), None] {
            assert!(!sees(&own, &of(others)) && sees(&Reach::ALL, &of(others)));
        }
    }

    #[test]
    fn a_size_that_was_not_measured_is_not_nothing() {
        let row = Row {
            name: "rivetr-vol-blog-data".to_owned(),
            volume: "data".to_owned(),
            of: VolumeOf::App(Slug::parse("blog").unwrap()),
            is_there: true,
            path: Some("/<img src=x onerror=alert(1)>".to_owned()),
            orphaned: false,
            size: None,
            created: None,
        };
        let html = ListPart { rows: vec![row], measured: false }.render().unwrap();
        assert!(html.contains("not measured") && !html.contains("0.0") && !html.contains("<img"), "{html}");
    }
}
