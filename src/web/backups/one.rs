//! One backup: what is known of it, what was restored from it, and what can be done with it.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::history::{Outcome, reason};
use super::{Named, mark_of_state};
use crate::api::backup::{deed, handout, restoring};
use crate::api::wire;
use crate::auth::gate::{Manage, Read};
use crate::domain::backup::{Backup, BackupId, Hold, Restore, Subject, Target};
use crate::domain::image::Digest;
use crate::domain::right::Right;
use crate::domain::time::Timestamp;
use crate::engine::{Engine, ShownBackup, readable_bytes};
use crate::web::error::PageError;
use crate::web::form::{Confirm, Errors, Form};
use crate::web::live::{Live, Look, Sent, Viewer};
use crate::web::moment::{Moment, took};
use crate::web::shell::{Hx, Shell, Visit};
use crate::web::view::Mark;
use crate::web::{Route, Web, app, view};

#[derive(Template)]
#[template(path = "backups/one.html")]
struct Page {
    shell: Shell,
    one: One,
    /// The name of the new database or volume, as it was typed.
    name: String,
    may_manage: bool,
    errors: Errors,
}

/// How it does, alone.
#[derive(Template)]
#[template(path = "backups/standing.html")]
struct StandingPart<'a> {
    shell: &'a Shell,
    one: &'a One,
}

/// What can be done with it once it is there, alone.
#[derive(Template)]
#[template(path = "backups/actions.html")]
struct ActionsPart<'a> {
    shell: &'a Shell,
    one: &'a One,
    name: &'static str,
    errors: Errors,
}

/// What is known of a backup.
struct One {
    id: i64,
    of: Named,
    /// What is typed before it takes the place of what is there.
    full: String,
    mark: Mark,
    failure: String,
    created: Moment,
    reason: &'static str,
    place: String,
    file: String,
    recipient: String,
    held: Option<&'static str>,
    stored: Option<Stored>,
    checked: Option<(Mark, Moment, String)>,
    restores: Vec<RestoreRow>,
}

/// What is known of its file.
struct Stored {
    size: String,
    plain: String,
    items: Option<u64>,
    sha256: String,
}

/// A restore or a check.
struct RestoreRow {
    what: String,
    /// The page of what came of it.
    href: Option<String>,
    mark: Mark,
    failure: String,
    began: Moment,
    took: Option<String>,
}

/// What is to be restored, typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    target: String,
    name: String,
    confirm: String,
}

/// How the file is handed out.
#[derive(Debug, Default, Deserialize)]
struct Handout {
    #[serde(default)]
    plain: bool,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/backups/{id}", show),
        Route::get("/live/backups/{id}", watch),
        Route::get("/backups/{id}/file", file),
        Route::post("/backups/{id}/check", check),
        Route::post("/backups/{id}/restore", restore).asking_again(),
        Route::post("/backups/{id}/delete", delete).asking_again(),
    ]
}

async fn show(
    _: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    view::show(&page(&engine, shell, &find(&engine, &id).await?, String::new(), Errors::default()))
}

async fn watch(
    visit: Visit<Read>,
    shell: Shell,
    State(live): State<Live>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    find(&live.engine, &id).await?;
    let of = Viewer { live: live.clone(), shell, person: visit.person.clone(), id };
    let events = live.follow(Following(of));
    Ok(live.answer(visit.person, events))
}

/// A backup as it comes on.
struct Following(Viewer);

impl Look for Following {
    async fn look(&mut self, sent: &mut Sent) -> Result<Vec<Event>, PageError> {
        let Viewer { live: Live { engine, .. }, shell, id, .. } = &self.0;
        let found = find(engine, id).await?;
        let one = &One::of(&found, engine.now());
        let mut events: Vec<_> = sent.event("standing", &StandingPart { shell, one })?.into_iter().collect();
        // Only where the page was made before there was something to restore has it a place for these.
        if one.is_there() && app::may(shell, Right::Manage, found.backup.team) {
            events.extend(
                sent.event("actions", &ActionsPart { shell, one, name: "", errors: Errors::default() })?,
            );
        }
        Ok(events)
    }
}

async fn file(
    visit: Visit<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(Handout { plain }): Query<Handout>,
) -> Result<Response, PageError> {
    let (deed, file) = handout(&engine, number(&id)?, plain).await?;
    visit.record(deed).await;
    Ok(file.into_response())
}

async fn check(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let shown = find(&engine, &id).await?;
    carry_out(&engine, visit, (shell, hx), shown, String::new(), Ok(Target::Check)).await
}

async fn restore(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(Wanted { target, name, confirm }): Form<Wanted>,
) -> Result<Response, PageError> {
    let shown = find(&engine, &id).await?;
    let name = name.trim().to_owned();
    let named = (target == "new").then(|| name.clone());
    let wish = wire::RestoreBackup { target, name: named }.parse(&shown.backup.subject);
    let target = match wish.map_err(Errors::from) {
        Ok(Target::InPlace) => Confirm { confirm }.is(&shown.backup.name).map(|()| Target::InPlace),
        other => other,
    };
    carry_out(&engine, visit, (shell, hx), shown, name, target).await
}

/// Begins a restore or a check, or says why not.
async fn carry_out(
    engine: &Engine,
    visit: Visit<Manage>,
    (shell, hx): (Shell, Hx),
    shown: ShownBackup,
    name: String,
    target: Result<Target, Errors>,
) -> Result<Response, PageError> {
    let backup = &shown.backup;
    let errors = match target {
        Ok(target) => match engine.restore_backup(backup.id, target).await {
            Ok(begun) => {
                visit.record(restoring(backup, &wire::Restore::from(&begun))).await;
                return Ok(view::go(hx, &format!("/backups/{}", backup.id.0)));
            }
            Err(error) => Errors::of_engine(error)?,
        },
        Err(errors) => errors,
    };
    view::wrong(&page(engine, shell, &shown, name, errors))
}

async fn delete(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(confirm): Form<Confirm>,
) -> Result<Response, PageError> {
    let shown = find(&engine, &id).await?;
    let errors = match confirm.is(&shown.backup.id.0.to_string()) {
        Ok(()) => match engine.delete_backup(shown.backup.id).await {
            Ok(backup) => {
                visit.record(deed("backup.deleted", &backup)).await;
                return Ok(view::go(hx, &Named::of_backup(&backup).href));
            }
            Err(error) => Errors::of_engine(error)?,
        },
        Err(errors) => errors.at(|_| "number"),
    };
    view::wrong(&page(&engine, shell, &shown, String::new(), errors))
}

/// A backup with what was restored from it. The gate has seen whose it is.
async fn find(engine: &Engine, id: &str) -> Result<ShownBackup, PageError> {
    let backup = engine.backup(number(id)?).await?;
    let restores = engine.reader().restores_of(backup.id).await?;
    Ok(ShownBackup { backup, restores })
}

fn number(id: &str) -> Result<BackupId, PageError> {
    id.parse().map(BackupId).map_err(|_| PageError::NotFound)
}

fn page(engine: &Engine, shell: Shell, shown: &ShownBackup, name: String, errors: Errors) -> Page {
    let may_manage = app::may(&shell, Right::Manage, shown.backup.team);
    Page { one: One::of(shown, engine.now()), shell, name, may_manage, errors }
}

impl Page {
    /// What is wrong and belongs to no field.
    fn wrong(&self) -> Vec<&str> {
        self.errors.others(&["name", "confirm", "number"])
    }
}

impl One {
    fn of(ShownBackup { backup, restores }: &ShownBackup, now: Timestamp) -> Self {
        let Outcome { failure, file, checked } = Outcome::of(&backup.state, now);
        let stored = file.map(|file| Stored {
            size: readable_bytes(file.bytes),
            plain: readable_bytes(file.plain),
            items: file.items,
            sha256: Digest::of_sum(file.sha256).digits().to_owned(),
        });
        Self {
            id: backup.id.0,
            of: Named::of_backup(backup),
            full: backup.name.clone(),
            mark: mark_of_state(&backup.state),
            failure,
            created: Moment::of(backup.created, now),
            reason: reason(backup),
            place: backup.place.to_string(),
            file: backup.file(),
            recipient: backup.recipient.clone(),
            held: backup.hold.map(|hold| match hold {
                Hold::Pause => "paused while its files were copied",
                Hold::Stop => "stopped while its files were copied",
            }),
            stored,
            checked,
            restores: restores.iter().map(|restore| RestoreRow::of(backup, restore, now)).collect(),
        }
    }

    /// There is a file, and so something to restore.
    fn is_there(&self) -> bool {
        self.stored.is_some()
    }

    fn is_volume(&self) -> bool {
        self.of.kind == "volume"
    }
}

impl RestoreRow {
    fn of(backup: &Backup, restore: &Restore, now: Timestamp) -> Self {
        let is_database = matches!(backup.subject, Subject::Database(_));
        let (what, href) = match &restore.target {
            Target::Check => ("a check".to_owned(), None),
            Target::InPlace => (format!("into {}", backup.name), None),
            Target::New(name) => (format!("into {name}"), Some(format!("/databases/{name}"))),
            Target::NewVolume(name) => (format!("into the volume {name}"), None),
        };
        let mark = match &restore.ended {
            None => Mark { class: "moving", icon: "moving", word: "under way" },
            Some((_, None)) => Mark { class: "good", icon: "ok", word: "done" },
            Some((_, Some(_))) => Mark { class: "bad", icon: "failed", word: "failed" },
        };
        let done = mark.class == "good";
        let (ended, failure) = restore.ended.clone().unzip();
        Self {
            what,
            href: href.filter(|_| done && is_database),
            mark,
            failure: failure.flatten().unwrap_or_default(),
            began: Moment::of(restore.created, now),
            took: ended.map(|ended| took(ended.millis_since(restore.created))),
        }
    }
}
