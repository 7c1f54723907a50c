//! Backups in a list, and how far each has come.

use askama::Template;

use super::{good_or_broken, mark_of_state};
use crate::domain::backup::{Backup, Reason, Restore, State, Target};
use crate::domain::time::Timestamp;
use crate::engine::{BackupSource, Engine, ShownBackup, readable_bytes};
use crate::web::error::PageError;
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

impl History {
    pub(super) async fn of(engine: &Engine, source: &BackupSource) -> Result<Self, PageError> {
        let now = engine.now();
        let shown = engine.backups_of(source).await?;
        Ok(Self { rows: shown.iter().map(|shown| Row::of(shown, now)).collect() })
    }
}

impl Row {
    fn of(shown: &ShownBackup, now: Timestamp) -> Self {
        let ShownBackup { backup, restores } = shown;
        let (mut failure, mut size, mut items, mut checked) = (String::new(), None, None, None);
        match &backup.state {
            State::Queued | State::Running { .. } => {}
            State::Failed { reason, .. } => reason.clone_into(&mut failure),
            State::Done { file, verdict, .. } => {
                (size, items) = (Some(readable_bytes(file.bytes)), file.items);
                checked = verdict
                    .as_ref()
                    .map(|verdict| (good_or_broken(verdict.good), Moment::of(verdict.at, now)));
            }
        }
        Self {
            id: backup.id.0,
            mark: mark_of_state(&backup.state),
            failure,
            created: Moment::of(backup.created, now),
            size,
            items,
            place: backup.place.to_string(),
            reason: reason(backup),
            checked,
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
