//! Backups: what is backed up in each team, how that goes, and what is not; the backups of one thing, and one of them; and
//! what stands above other pages where a backup failed, is late, empty or broken.

mod history;
mod of;
mod one;
mod places;

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use self::history::Outcome;
use super::error::PageError;
use super::live::Remembered;
use super::moment::Moment;
use super::shell::{Shell, Visit};
use super::view::{self, Mark};
use super::{Route, Web};
use crate::auth::Person;
use crate::auth::gate::Read;
use crate::domain::backup::{Backup, Retention, Schedule, State as Standing, Subject};
use crate::domain::database::DatabaseId;
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::time::Timestamp;
use crate::domain::volume::{VolumeId, VolumeOf};
use crate::engine::{BackupConcern, BackupSource, BackupTrouble, Engine, KeptThing, readable_bytes};
use crate::store::BackupsOf;

#[derive(Template)]
#[template(path = "backups/index.html")]
struct Page {
    shell: Shell,
    groups: Vec<Group>,
}

/// What a team has.
struct Group {
    team: String,
    rows: Vec<Row>,
    /// What has neither a schedule nor a backup.
    bare: Vec<Named>,
}

/// Something with its page.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Named {
    pub name: String,
    /// `database`, `volume`.
    pub kind: &'static str,
    pub href: String,
}

struct Row {
    of: Named,
    mark: Mark,
    /// What somebody should know; empty: nothing.
    trouble: String,
    newest: Option<Moment>,
    size: Option<String>,
    place: String,
    checked: Option<(Mark, Moment, String)>,
    schedule: Option<String>,
    kept: String,
}

/// What is wrong with backups, above the page of what they are of and on the overview.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Alarm {
    pub of: Named,
    pub mark: Mark,
    pub words: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    let parts = [vec![Route::get("/backups", index)], of::routes(), one::routes(), places::routes()];
    parts.into_iter().flatten().collect()
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    let groups = groups(&engine, &visit.person).await?;
    view::show(&Page { shell, groups })
}

async fn groups(engine: &Engine, person: &Person) -> Result<Vec<Group>, PageError> {
    let (board, sources) = tokio::try_join!(engine.backup_board(), engine.backup_sources())?;
    let teams = engine.reader().teams().await?;
    let now = engine.now();
    let mut found = BTreeMap::<TeamId, (Vec<Row>, Vec<Named>)>::new();
    let seen = |team: TeamId| person.reach.sees(team);
    for kept in board.iter().filter(|kept| seen(kept.source.team())) {
        found.entry(kept.source.team()).or_default().0.push(Row::of(kept, now));
    }
    let known: Vec<Subject> = board.iter().map(|kept| kept.source.subject()).collect();
    for source in sources.iter().filter(|source| seen(source.team()) && !known.contains(&source.subject())) {
        found.entry(source.team()).or_default().1.push(Named::of(source));
    }
    let name = |id: TeamId| teams.iter().find(|team| team.id == id).map(|team| team.slug.to_string());
    let group = |(id, (rows, bare))| Some(Group { team: name(id)?, rows, bare });
    let mut groups: Vec<Group> = found.into_iter().filter_map(group).collect();
    groups.sort_by(|one, other| one.team.cmp(&other.team));
    Ok(groups)
}

/// What is wrong with the backups that a person knows of, as long as a page is open: it is asked for anew only once
/// something has become of one.
pub(super) struct Alarms(Remembered<Vec<BackupConcern>>);

impl Alarms {
    /// Of a page that is about to be looked at.
    pub fn new(engine: &Engine) -> Self {
        Self(Remembered::new(engine.backups_stir()))
    }

    /// Those of now.
    pub async fn look(&mut self, engine: &Engine, person: &Person) -> Result<Vec<Alarm>, PageError> {
        let concerns = self.0.get(engine.backup_concerns(BackupsOf::All)).await?;
        let seen = concerns.iter().filter(|concern| person.reach.sees(concern.source.team()));
        Ok(seen.map(Alarm::of).collect())
    }
}

/// What is wrong with the backups of one thing.
pub(super) async fn alarms_of(engine: &Engine, subject: Subject) -> Result<Vec<Alarm>, PageError> {
    Ok(engine.backup_concerns(BackupsOf::One(subject)).await?.iter().map(Alarm::of).collect())
}

/// What is wrong with the backups of the volumes of an app or a service.
pub(super) async fn alarms_of_volumes(engine: &Engine, of: VolumeOf) -> Result<Vec<Alarm>, PageError> {
    Ok(engine.backup_concerns(BackupsOf::Volumes(of)).await?.iter().map(Alarm::of).collect())
}

/// What is wrong with the backups of the volumes of an app.
pub(super) async fn alarms_of_app(engine: &Engine, app: &Slug) -> Result<Vec<Alarm>, PageError> {
    alarms_of_volumes(engine, VolumeOf::App(app.clone())).await
}

impl Alarm {
    fn of(concern: &BackupConcern) -> Self {
        Self {
            of: Named::of(&concern.source),
            mark: mark_of(concern.trouble),
            words: concern.message.clone(),
        }
    }
}

impl Named {
    fn of(source: &BackupSource) -> Self {
        match source {
            BackupSource::Database(database) => {
                Self::database(database.slug.as_str(), database.slug.as_str())
            }
            BackupSource::Volume(volume, _) => Self::volume(volume),
        }
    }

    /// What a backup is of, also where that has another name by now.
    fn of_backup(backup: &Backup) -> Self {
        match &backup.subject {
            Subject::Database(DatabaseId(number)) => Self::database(&backup.name, &number.to_string()),
            Subject::Volume(volume) => Self::volume(volume),
        }
    }

    fn database(name: &str, id: &str) -> Self {
        Self { name: name.to_owned(), kind: "database", href: format!("/databases/{id}/backups") }
    }

    fn volume(volume: &VolumeId) -> Self {
        let (VolumeOf::App(owner) | VolumeOf::Service(owner)) = volume.of();
        let name = format!("{owner}/{}", volume.own());
        Self { name, kind: "volume", href: format!("/volumes/{volume}/backups") }
    }
}

impl Row {
    fn of(kept: &KeptThing, now: Timestamp) -> Self {
        let KeptThing { source, schedule, newest, checked, concern } = kept;
        let mark = match (concern, newest) {
            (Some((trouble, _)), _) => mark_of(*trouble),
            (None, None) => Mark { class: "", icon: "unknown", word: "none yet" },
            (None, Some(newest)) => mark_of_state(&newest.state),
        };
        let place = newest.as_ref().map(|newest| newest.place.to_string());
        let planned = schedule.as_ref().map(|schedule| schedule.place.to_string());
        let file = newest.as_ref().and_then(|newest| Outcome::of(&newest.state, now).file);
        Self {
            of: Named::of(source),
            mark,
            trouble: concern.as_ref().map(|(_, words)| words.clone()).unwrap_or_default(),
            newest: newest.as_ref().map(|newest| Moment::of(newest.created, now)),
            size: file.map(|file| readable_bytes(file.bytes)),
            place: place.or(planned).unwrap_or_default(),
            checked: checked.as_ref().map(|verdict| history::checked(verdict, now)),
            schedule: schedule.as_ref().map(|schedule| schedule.when.to_string()),
            kept: schedule.as_ref().map(kept_words).unwrap_or_default(),
        }
    }
}

/// How far a backup has come.
fn mark_of_state(state: &Standing) -> Mark {
    match state {
        Standing::Queued => Mark { class: "moving", icon: "moving", word: "queued" },
        Standing::Running { .. } => Mark { class: "moving", icon: "moving", word: "being made" },
        Standing::Done { .. } => Mark { class: "good", icon: "ok", word: "done" },
        Standing::Failed { .. } => Mark { class: "bad", icon: "failed", word: "failed" },
    }
}

fn mark_of(trouble: BackupTrouble) -> Mark {
    let mark = |class, icon| Mark { class, icon, word: trouble.word() };
    match trouble {
        BackupTrouble::Failed | BackupTrouble::Broken => mark("bad", "failed"),
        BackupTrouble::Empty | BackupTrouble::Late => mark("warn", "warn"),
    }
}

/// What is kept, in words.
fn kept_words(schedule: &Schedule) -> String {
    let Retention { count, days, bytes } = schedule.retention;
    let words = [
        count.map(|count| format!("the last {count}")),
        days.map(|days| format!("{days} days")),
        bytes.map(|bytes| readable_bytes(bytes.get())),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    if words.is_empty() { "all are kept".to_owned() } else { format!("kept: {}", words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> Named {
        Named { name: "orders".to_owned(), kind: "database", href: "/databases/orders".to_owned() }
    }

    #[test]
    fn what_is_wrong_is_a_word_a_shape_and_text_and_nothing_else() {
        let row = Row {
            of: named(),
            mark: mark_of(BackupTrouble::Late),
            trouble: "<img src=x onerror=alert(1)>".to_owned(),
            newest: None,
            size: None,
            place: "disk".to_owned(),
            checked: None,
            schedule: Some("daily 03:00".to_owned()),
            kept: kept_words(&Schedule::usual()),
        };
        let bare = vec![Named {
            name: "rivetr-vol-blog-data".to_owned(),
            kind: "volume",
            href: "/volumes/x".to_owned(),
        }];
        let groups = vec![Group { team: "main".to_owned(), rows: vec![row], bare }];
        let html = Page { shell: Shell::for_test("root"), groups }.render().unwrap();
        for words in [
            "late",
            "#warn",
            "onerror",
            "daily 03:00",
            "kept: the last 14",
            "not checked yet",
            "rivetr-vol-blog-data",
        ] {
            assert!(html.contains(words), "{words} is not in {html}");
        }
        assert!(!html.contains("<img"), "{html}");
        let html = Page { shell: Shell::for_test("root"), groups: Vec::new() }.render().unwrap();
        assert!(html.contains("nothing to back up"), "{html}");
    }

    #[test]
    fn each_trouble_has_a_word_of_its_own() {
        for (trouble, class, word) in [
            (BackupTrouble::Failed, "bad", "failed"),
            (BackupTrouble::Broken, "bad", "broken"),
            (BackupTrouble::Empty, "warn", "empty"),
            (BackupTrouble::Late, "warn", "late"),
        ] {
            let mark = mark_of(trouble);
            assert_eq!((mark.class, mark.word), (class, word));
        }
    }
}
