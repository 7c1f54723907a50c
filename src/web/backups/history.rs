//! Backups in a list, and how far each has come.

use askama::Template;

use super::mark_of_state;
use crate::domain::backup::{Backup, Reason, Restore, State, Stored, Target, Verdict};
use crate::domain::time::Timestamp;
use crate::engine::{ShownBackup, readable_bytes};
use crate::web::moment::Moment;
use crate::web::shell::Shell;
use crate::web::view::Mark;

/// The backups of one thing, newest first.
pub(super) struct History {
    pub rows: Vec<Row>,
}

/// The list alone.
#[derive(Template)]
#[template(path = "backups/history.html")]
pub(super) struct HistoryPart<'a> {
    pub shell: &'a Shell,
    pub history: &'a History,
}

/// A backup in the list.
pub(super) struct Row {
    pub id: i64,
    pub mark: Mark,
    /// Why it failed.
    pub failure: String,
    pub created: Moment,
    pub size: Option<String>,
    /// How many tables, keys or files there are in it.
    pub items: Option<u64>,
    pub place: String,
    pub reason: &'static str,
    pub checked: Option<(Mark, Moment)>,
    /// What is being done with it, if anything is.
    pub doing: Option<&'static str>,
}

/// What came of a backup as far as it has come.
pub(super) struct Outcome {
    /// Why it failed; empty: it has not.
    pub failure: String,
    /// What is known of its file.
    pub file: Option<Stored>,
    /// What came of its check.
    pub checked: Option<(Mark, Moment, String)>,
}

impl Outcome {
    pub(super) fn of(state: &State, now: Timestamp) -> Self {
        let nothing = Self { failure: String::new(), file: None, checked: None };
        match state {
            State::Queued | State::Running { .. } => nothing,
            State::Failed { reason, .. } => Self { failure: reason.clone(), ..nothing },
            State::Done { file, verdict, .. } => Self {
                file: Some(*file),
                checked: verdict.as_ref().map(|verdict| checked(verdict, now)),
                ..nothing
            },
        }
    }
}

/// A check in words: what came of it, when, and what was found.
pub(super) fn checked(verdict: &Verdict, now: Timestamp) -> (Mark, Moment, String) {
    let mark = if verdict.good {
        Mark { class: "good", icon: "ok", word: "good" }
    } else {
        Mark { class: "bad", icon: "failed", word: "broken" }
    };
    (mark, Moment::of(verdict.at, now), verdict.found.clone())
}

impl History {
    pub(super) fn of(shown: &[ShownBackup], now: Timestamp) -> Self {
        Self { rows: shown.iter().map(|shown| Row::of(shown, now)).collect() }
    }
}

impl Row {
    fn of(shown: &ShownBackup, now: Timestamp) -> Self {
        let ShownBackup { backup, restores } = shown;
        let Outcome { failure, file, checked } = Outcome::of(&backup.state, now);
        Self {
            id: backup.id.0,
            mark: mark_of_state(&backup.state),
            failure,
            created: Moment::of(backup.created, now),
            size: file.map(|file| readable_bytes(file.bytes)),
            items: file.and_then(|file| file.items),
            place: backup.place.to_string(),
            reason: reason(backup),
            checked: checked.map(|(mark, at, _)| (mark, at)),
            doing: restores.iter().find_map(doing),
        }
    }
}

/// Why it was made, in words.
pub(super) fn reason(backup: &Backup) -> &'static str {
    match backup.reason {
        Reason::Asked => "asked for",
        Reason::Scheduled => "by schedule",
        Reason::Before => "before a change",
        Reason::Imported => "handed in",
    }
}

/// What a restore that has not ended does.
fn doing(restore: &Restore) -> Option<&'static str> {
    restore.ended.is_none().then_some(match restore.target {
        Target::Check => "being checked",
        Target::InPlace | Target::New(_) | Target::NewVolume(_) => "being restored",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::backup::{BackupId, Form, Place, RestoreId, Subject};
    use crate::domain::database::DatabaseId;
    use crate::domain::person::TeamId;

    #[test]
    fn why_one_failed_is_text_and_what_is_under_way_is_said() {
        let backup = Backup {
            id: BackupId(7),
            subject: Subject::Database(DatabaseId(1)),
            name: "orders".to_owned(),
            team: TeamId::FIRST,
            reason: Reason::Before,
            place: Place::Disk,
            form: Form::Postgres,
            recipient: "age1".to_owned(),
            hold: None,
            created: Timestamp(0),
            state: State::Failed { at: Timestamp(1), reason: "<img src=x onerror=alert(1)>".to_owned() },
        };
        let restore = Restore {
            id: RestoreId(1),
            backup: BackupId(7),
            target: Target::Check,
            created: Timestamp(2),
            swapped: false,
            ended: None,
        };
        let row = Row::of(&ShownBackup { backup, restores: vec![restore] }, Timestamp(3));
        let html = HistoryPart { shell: &Shell::for_test("root"), history: &History { rows: vec![row] } };
        let html = html.render().unwrap();
        for words in ["/backups/7", "failed", "onerror", "before a change", "being checked"] {
            assert!(html.contains(words), "{words} is not in {html}");
        }
        assert!(!html.contains("<img"), "{html}");
    }
}
