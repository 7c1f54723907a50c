//! The backups of one thing, as a tab of a database and as a page of a volume: taken now or by a schedule, and all that there
//! are. The forms have the names, the limits and the messages of the API, which reads them.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::response::sse::Event;
use serde::Deserialize;

use super::history::{History, HistoryPart};
use super::{Alarm, alarms_of};
use crate::api::backup::{scheduling, taking};
use crate::api::wire::{AskedBackup, BackupSchedule, TakeBackup};
use crate::auth::Person;
use crate::auth::gate::{Deploy, Manage, Read};
use crate::domain::backup::{Reason, Schedule};
use crate::domain::database::Database;
use crate::domain::right::Right;
use crate::domain::runtime::amount::{bytes, shown};
use crate::domain::volume::{VolumeId, VolumeOf};
use crate::engine::{BackupSource, Engine, ShownBackup};
use crate::web::error::PageError;
use crate::web::form::{Errors, Form};
use crate::web::live::{Live, Look, Remembered, Sent};
use crate::web::shell::{Hx, Shell, Visit};
use crate::web::{Route, Web, app, database, view};

/// The fields of the page's forms, under which their errors are shown.
const FIELDS: [&str; 8] =
    ["place", "to", "at", "keep_count", "keep_days", "keep_bytes", "check_days", "hold"];

/// Something that is backed up and has a page of its own.
trait Kept: Sized + Send + Sync + 'static {
    /// Where its backups stand, and where they are followed.
    const PAGE: &'static str;
    const LIVE: &'static str;
    const SCHEDULE: &'static str;
    const UNSCHEDULE: &'static str;

    /// The one of that name, if the person may know of it.
    fn find(
        engine: &Engine,
        person: &Person,
        name: &str,
    ) -> impl Future<Output = Result<Self, PageError>> + Send;

    /// The same, to the engine.
    fn source(&self) -> BackupSource;

    /// The page of the thing itself.
    fn path(&self) -> String;

    /// The page around what is known of its backups.
    fn page(
        &self,
        engine: &Engine,
        shell: Shell,
        board: Board,
    ) -> impl Future<Output = Result<Response, PageError>> + Send;
}

/// A volume, with whose it is.
struct Volume {
    id: VolumeId,
    source: BackupSource,
}

/// What is known of the backups of one thing, and the forms around it.
#[expect(clippy::struct_excessive_bools, reason = "what its templates ask")]
struct Board {
    base: String,
    /// Its name on the command line.
    name: String,
    is_volume: bool,
    alarms: Vec<Alarm>,
    history: History,
    places: Vec<String>,
    /// Where the next one by hand goes to, if nothing else is said.
    place: String,
    scheduled: bool,
    fields: Fields,
    saved: bool,
    may_take: bool,
    may_manage: bool,
    errors: Errors,
}

#[derive(Template)]
#[template(path = "backups/database.html")]
struct DatabasePage {
    shell: Shell,
    head: database::Head,
    board: Board,
}

#[derive(Template)]
#[template(path = "backups/volume.html")]
struct VolumePage {
    shell: Shell,
    name: String,
    own: String,
    /// The app or service, and its page.
    owner: (String, String),
    board: Board,
}

/// A schedule as it is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    at: String,
    place: String,
    keep_count: String,
    keep_days: String,
    keep_bytes: String,
    check_days: String,
    hold: String,
}

/// Where to, typed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct To {
    to: String,
}

/// What a page is told behind the question mark.
#[derive(Debug, Default, Deserialize)]
struct Told {
    #[serde(default)]
    saved: bool,
}

/// The routes of databases' and of volumes' backups.
pub(super) fn routes() -> Vec<Route<Web>> {
    [of::<Database>(), of::<Volume>()].into_iter().flatten().collect()
}

fn of<K: Kept>() -> Vec<Route<Web>> {
    vec![
        Route::get(K::PAGE, index::<K>),
        Route::get(K::LIVE, watch::<K>),
        Route::post(K::PAGE, take::<K>),
        Route::post(K::SCHEDULE, schedule::<K>),
        Route::post(K::UNSCHEDULE, unschedule::<K>),
    ]
}

async fn index<K: Kept>(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Query(Told { saved }): Query<Told>,
) -> Result<Response, PageError> {
    let kept = K::find(&engine, &visit.person, &name).await?;
    let board = Board { saved, ..Board::of(&engine, &shell, &kept).await? };
    kept.page(&engine, shell, board).await
}

async fn take<K: Kept>(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Form(To { to }): Form<To>,
) -> Result<Response, PageError> {
    let kept = K::find(&engine, &visit.person, &name).await?;
    let wish = TakeBackup { place: Some(to).filter(|to| !to.is_empty()), ..TakeBackup::default() };
    let errors = match wish.parse() {
        Ok(AskedBackup { place, hold }) => {
            match engine.take_backup(&kept.source(), place, Reason::Asked, hold).await {
                Ok(backup) => {
                    visit.record(taking(&backup)).await;
                    return Ok(view::go(hx, &format!("{}/backups", kept.path())));
                }
                Err(error) => Errors::of_engine(error)?,
            }
        }
        Err(errors) => errors.into(),
    };
    let errors = errors.at(|field| if field == "place" { "to" } else { field });
    refused(&engine, shell, &kept, None, errors).await
}

async fn schedule<K: Kept>(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let kept = K::find(&engine, &visit.person, &name).await?;
    let source = kept.source();
    let errors = match fields.schedule() {
        Ok(schedule) => match engine.set_schedule(&source, Some(schedule.clone())).await {
            Ok(()) => {
                visit.record(scheduling(&source, Some(&schedule))).await;
                return Ok(view::go(hx, &format!("{}/backups?saved=true", kept.path())));
            }
            Err(error) => Errors::of_engine(error)?,
        },
        Err(errors) => errors,
    };
    refused(&engine, shell, &kept, Some(fields), errors).await
}

async fn unschedule<K: Kept>(
    visit: Visit<Manage>,
    hx: Hx,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let kept = K::find(&engine, &visit.person, &name).await?;
    let source = kept.source();
    engine.set_schedule(&source, None).await?;
    visit.record(scheduling(&source, None)).await;
    Ok(view::go(hx, &format!("{}/backups", kept.path())))
}

/// The page with what could not be done, and with what was typed.
async fn refused<K: Kept>(
    engine: &Engine,
    shell: Shell,
    kept: &K,
    typed: Option<Fields>,
    errors: Errors,
) -> Result<Response, PageError> {
    let board = Board::of(engine, &shell, kept).await?;
    let fields = typed.unwrap_or_else(|| board.fields.clone());
    kept.page(engine, shell, Board { fields, errors, ..board }).await
}

async fn watch<K: Kept>(
    visit: Visit<Read>,
    shell: Shell,
    State(live): State<Live>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let engine = live.engine.clone();
    let source = K::find(&engine, &visit.person, &id).await?.source();
    let known = Remembered::new(engine.backups_stir());
    let events = live.follow(Following { engine, shell, source, known });
    Ok(live.answer(visit.person, events))
}

/// The list of backups as it changes: it is asked for anew only once something has become of one.
struct Following {
    engine: Engine,
    shell: Shell,
    source: BackupSource,
    known: Remembered<Vec<ShownBackup>>,
}

impl Look for Following {
    async fn look(&mut self, sent: &mut Sent) -> Result<Vec<Event>, PageError> {
        let Self { engine, shell, source, known } = self;
        let history = &History::of(known.get(engine.backups_of(source)).await?, engine.now());
        Ok(sent.event("history", &HistoryPart { shell, history })?.into_iter().collect())
    }
}

impl Kept for Database {
    const PAGE: &'static str = "/databases/{id}/backups";
    const LIVE: &'static str = "/live/databases/{id}/backups";
    const SCHEDULE: &'static str = "/databases/{id}/backups/schedule";
    const UNSCHEDULE: &'static str = "/databases/{id}/backups/unschedule";

    async fn find(engine: &Engine, person: &Person, name: &str) -> Result<Self, PageError> {
        database::find(engine.reader(), person, name).await
    }

    fn source(&self) -> BackupSource {
        BackupSource::Database(Box::new(self.clone()))
    }

    fn path(&self) -> String {
        format!("/databases/{}", self.slug)
    }

    async fn page(&self, engine: &Engine, shell: Shell, board: Board) -> Result<Response, PageError> {
        let head = database::head(engine, self, "backups").await?;
        board.answer(|board| DatabasePage { shell, head, board })
    }
}

impl Kept for Volume {
    const PAGE: &'static str = "/volumes/{name}/backups";
    const LIVE: &'static str = "/live/volumes/{name}/backups";
    const SCHEDULE: &'static str = "/volumes/{name}/backups/schedule";
    const UNSCHEDULE: &'static str = "/volumes/{name}/backups/unschedule";

    async fn find(engine: &Engine, person: &Person, name: &str) -> Result<Self, PageError> {
        let source = engine.volume_source(name).await?;
        match &source {
            BackupSource::Volume(id, team) if person.reach.sees(*team) => Ok(Self { id: id.clone(), source }),
            BackupSource::Volume(..) | BackupSource::Database(_) => Err(PageError::NotFound),
        }
    }

    fn source(&self) -> BackupSource {
        self.source.clone()
    }

    fn path(&self) -> String {
        format!("/volumes/{}", self.id)
    }

    async fn page(&self, _: &Engine, shell: Shell, board: Board) -> Result<Response, PageError> {
        let owner = match self.id.of() {
            VolumeOf::App(app) => (app.to_string(), format!("/apps/{app}")),
            VolumeOf::Service(service) => (service.to_string(), format!("/services/{service}")),
        };
        let (name, own) = (self.id.to_string(), self.id.own().to_owned());
        board.answer(|board| VolumePage { shell, name, own, owner, board })
    }
}

impl Board {
    async fn of<K: Kept>(engine: &Engine, shell: &Shell, kept: &K) -> Result<Self, PageError> {
        let source = kept.source();
        let schedule = engine.schedule_of(&source).await?;
        let places = engine.destinations().await?.into_iter().map(|place| place.name.to_string());
        let fields = Fields::of(schedule.as_ref().unwrap_or(&Schedule::usual()));
        Ok(Self {
            base: kept.path(),
            name: source.name(),
            is_volume: matches!(source, BackupSource::Volume(..)),
            alarms: alarms_of(engine, source.subject()).await?,
            history: History::of(&engine.backups_of(&source).await?, engine.now()),
            places: std::iter::once("disk".to_owned()).chain(places).collect(),
            place: fields.place.clone(),
            scheduled: schedule.is_some(),
            fields,
            saved: false,
            may_take: app::may(shell, Right::Deploy, source.team()),
            may_manage: app::may(shell, Right::Manage, source.team()),
            errors: Errors::default(),
        })
    }

    /// The page around it, as that of a form that was refused if anything is wrong.
    fn answer<T: Template>(self, page: impl FnOnce(Self) -> T) -> Result<Response, PageError> {
        if self.errors.is_empty() { view::show(&page(self)) } else { view::wrong(&page(self)) }
    }

    /// What is wrong and belongs to no field.
    fn wrong(&self) -> Vec<&str> {
        self.errors.others(&FIELDS)
    }
}

impl Fields {
    fn of(schedule: &Schedule) -> Self {
        let BackupSchedule { at, place, keep_count, keep_days, keep_bytes, check_days, hold } =
            BackupSchedule::from(schedule);
        let text = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
        Self {
            at,
            place,
            keep_count: text(keep_count),
            keep_days: text(keep_days),
            keep_bytes: keep_bytes.map(shown).unwrap_or_default(),
            check_days: text(check_days.map(u32::from)),
            hold: hold.unwrap_or_default(),
        }
    }

    /// The schedule that the form asks for.
    fn schedule(&self) -> Result<Schedule, Errors> {
        let mut wrong = Vec::new();
        let mut number = |field: &str, text: &str| match text.trim() {
            "" => None,
            text => text.parse::<u32>().map_err(|_| wrong.push((field.to_owned(), COUNT.to_owned()))).ok(),
        };
        let keep_count = number("keep_count", &self.keep_count);
        let keep_days = number("keep_days", &self.keep_days);
        let check_days =
            number("check_days", &self.check_days).map(|days| u16::try_from(days).unwrap_or(u16::MAX));
        let keep_bytes = match self.keep_bytes.trim() {
            "" => None,
            text => {
                let read = bytes(text);
                if read.is_none() {
                    wrong.push((
                        "keep_bytes".to_owned(),
                        "write it as 500M or 20G, or leave it out".to_owned(),
                    ));
                }
                read
            }
        };
        let hold = Some(self.hold.clone()).filter(|hold| !hold.is_empty());
        let (at, place) = (self.at.trim().to_owned(), self.place.clone());
        let wish = BackupSchedule { at, place, keep_count, keep_days, keep_bytes, check_days, hold };
        match wish.parse() {
            Ok(schedule) if wrong.is_empty() => Ok(schedule),
            Ok(_) => Err(Errors::of_fields(wrong)),
            Err(errors) => Err(Errors::of_fields(errors.0.into_iter().chain(wrong))),
        }
    }
}

/// What is said of a number that is none.
const COUNT: &str = "write a number from 1 on, or leave it out";

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use super::*;

    fn typed(change: impl FnOnce(&mut Fields)) -> Result<Schedule, Errors> {
        let mut fields = Fields::of(&Schedule::usual());
        change(&mut fields);
        fields.schedule()
    }

    #[test]
    fn what_is_shown_of_a_schedule_is_that_schedule() {
        assert_eq!(typed(|_| {}), Ok(Schedule::usual()));
        let asked = typed(|fields| {
            "every 6 hours".clone_into(&mut fields.at);
            "20G".clone_into(&mut fields.keep_bytes);
            fields.check_days.clear();
            "stop".clone_into(&mut fields.hold);
        })
        .unwrap();
        assert_eq!(Fields::of(&asked).schedule(), Ok(asked.clone()));
        assert_eq!((asked.retention.bytes.map(NonZero::get), asked.check_days), (Some(20 << 30), None));
    }

    #[test]
    fn each_field_says_what_is_wrong_with_it() {
        let errors = typed(|fields| {
            "now and then".clone_into(&mut fields.at);
            "many".clone_into(&mut fields.keep_count);
            "0".clone_into(&mut fields.keep_days);
            "-1".clone_into(&mut fields.keep_bytes);
            "400".clone_into(&mut fields.check_days);
        })
        .unwrap_err();
        for field in ["at", "keep_count", "keep_days", "keep_bytes", "check_days"] {
            assert!(!errors.of(field).is_empty(), "{field}: {errors:?}");
        }
        assert!(errors.others(&FIELDS).is_empty(), "{errors:?}");
    }
}
