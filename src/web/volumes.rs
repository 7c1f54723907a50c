//! Volumes: which app they belong to, how large they are, and away with those that nobody wants any more.

use std::collections::BTreeMap;

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
use crate::domain::right::Right;
use crate::domain::volume::VolumeId;
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
    app: Slug,
    /// There is such an app.
    is_there: bool,
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
    let seen = Sight::of(&engine, &visit.person).await?;
    let rows = seen.rows(&engine, engine.volumes(sizes).await?);
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
    let seen = Sight::of(engine, person).await?;
    let mut rows = seen.rows(engine, vec![engine.volume(name).await?]);
    rows.pop().ok_or(PageError::NotFound)
}

/// Whose volumes a person knows of.
struct Sight {
    all: BTreeMap<Slug, App>,
    seen: Vec<Slug>,
    everything: bool,
}

impl Sight {
    async fn of(engine: &Engine, person: &Person) -> Result<Self, PageError> {
        let apps = engine.reader().apps().await?;
        let teams = engine.reader().app_teams().await?.into_iter();
        Ok(Self {
            seen: teams.filter(|(_, team)| person.reach.sees(*team)).map(|(app, _)| app).collect(),
            all: apps.into_iter().map(|app| (app.slug.clone(), app)).collect(),
            everything: person.reach.allows(Right::Administer),
        })
    }

    /// An app that is gone is still its team's, as long as that is known.
    fn sees(&self, app: &Slug) -> bool {
        self.everything || self.seen.contains(app)
    }

    fn rows(&self, engine: &Engine, volumes: Vec<Volume>) -> Vec<Row> {
        let now = engine.now();
        let seen = volumes.into_iter().filter(|volume| self.sees(&volume.app));
        seen.map(|Volume { name, app, volume, orphaned, size, created }| {
            let owner = self.all.get(&app);
            let mounts = owner.map(|owner| owner.settings.runtime.mounts.as_slice()).unwrap_or_default();
            let mount = mounts.iter().find(|mount| mount.volume() == Some(&volume));
            Row {
                path: mount.map(|mount| mount.at.to_string()),
                is_there: owner.is_some(),
                volume: volume.to_string(),
                size: size.map(readable_bytes),
                created: created.map(|created| Moment::of(created, now)),
                name,
                app,
                orphaned,
            }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_of_others_and_of_nobody_are_for_those_who_see_everything() {
        let slug = |text| Slug::parse(text).unwrap();
        let sight = |everything| Sight { all: BTreeMap::new(), seen: vec![slug("mine")], everything };
        assert!(sight(false).sees(&slug("mine")) && !sight(false).sees(&slug("gone")));
        assert!(sight(true).sees(&slug("gone")));
    }

    #[test]
    fn a_size_that_was_not_measured_is_not_nothing() {
        let row = Row {
            name: "rivetr-vol-blog-data".to_owned(),
            volume: "data".to_owned(),
            app: Slug::parse("blog").unwrap(),
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
