//! What the service manager itself writes of the runs of services: that one began, and how it ended.

use futures_util::{Stream, StreamExt as _};

use super::{Journal, JournalError, Record, bytes, options, records};
use crate::domain::time::Timestamp;
use crate::host::systemd::ServiceResult;

/// The manager's marks (`sd-messages.h`): a job begins, is done, has failed; a process has exited; a unit has failed.
const STARTING: &str = "7d4958e842da4a758f6c1cdc7b36dcc5";
const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";
const NOT_STARTED: &str = "be02cf6855d2428ba40df7e9d022f03d";
const EXITED: &str = "98e322203f7a4ed290d09fe03c09fe15";
const FAILED: &str = "d9b373ed55a64feb8242e02dbe79a49c";

/// Something that the manager wrote of a service that runs to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunMark {
    /// Its place in the journal.
    pub cursor: String,
    /// When.
    pub at: Timestamp,
    /// The unit.
    pub unit: String,
    /// The run; none: it never came to one.
    pub invocation: Option<String>,
    /// What.
    pub event: RunSign,
}

/// What it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunSign {
    /// It begins.
    Starting,
    /// It has ended well.
    Done,
    /// The main process ended: its exit status, if it was no signal.
    Exited(Option<i32>),
    /// It has failed.
    Failed(ServiceResult),
    /// What it needs could not be started.
    Dependency,
    /// Something of no interest here; the place in the journal is.
    Other,
}

impl Journal {
    /// What the manager wrote since then of all its units, oldest first; after a place in the journal, or since a
    /// moment.
    pub fn runs(
        &self,
        after: Option<&str>,
        since: Timestamp,
    ) -> Result<impl Stream<Item = Result<RunMark, JournalError>> + Send + 'static + use<>, JournalError>
    {
        let mut args = options(None);
        args.push(
            "--output-fields=_SOURCE_REALTIME_TIMESTAMP,MESSAGE_ID,UNIT,USER_UNIT,INVOCATION_ID,\
             USER_INVOCATION_ID,UNIT_RESULT,EXIT_CODE,EXIT_STATUS,JOB_RESULT,COMMAND"
                .to_owned(),
        );
        args.push(match after {
            Some(cursor) => format!("--after-cursor={cursor}"),
            None => format!("--since=@{}", since.0.div_euclid(1000)),
        });
        args.push(format!("_UID={}", self.uid));
        let marks = [STARTING, STARTED, NOT_STARTED, EXITED, FAILED];
        args.extend(marks.map(|mark| format!("MESSAGE_ID={mark}")));
        Ok(records(&args)?.map(|record| record.map(|record| mark(&record))))
    }

    /// What one run of a service wrote, the last lines of it.
    pub async fn run_lines(&self, invocation: &str, count: usize) -> Result<Vec<String>, JournalError> {
        self.lines_of(invocation, count, |record| {
            let by = text(&record.syslog_identifier);
            // Podman's events and conmon's remarks are about the container, and so is its id that `podman rm` says.
            let message = record.message();
            let id = message.trim().len() == 64 && message.trim().chars().all(|c| c.is_ascii_hexdigit());
            !["podman", "conmon"].contains(&by.as_str()) && !id
        })
        .await
    }
}

fn mark(record: &Record) -> RunMark {
    let either = |one, other| {
        let (one, other) = (text(one), text(other));
        if one.is_empty() { other } else { one }
    };
    let result = text(&record.unit_result);
    let status = || (text(&record.exit_code) == "exited").then(|| text(&record.exit_status).parse().ok());
    let event = match text(&record.message_id).as_str() {
        STARTING => RunSign::Starting,
        STARTED => RunSign::Done,
        EXITED if text(&record.command) == "ExecStart" => RunSign::Exited(status().flatten()),
        FAILED => RunSign::Failed(ServiceResult::parse(&result)),
        NOT_STARTED if text(&record.job_result) == "dependency" => RunSign::Dependency,
        _ => RunSign::Other,
    };
    let invocation = either(&record.user_invocation_id, &record.invocation_id);
    RunMark {
        cursor: record.cursor.clone(),
        at: record.at(),
        unit: either(&record.user_unit, &record.unit),
        invocation: Some(invocation).filter(|invocation| !invocation.is_empty()),
        event,
    }
}

fn text(value: &serde_json::Value) -> String {
    String::from_utf8_lossy(&bytes(value)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_257_writes() {
        let check = |record: &str, expect: RunSign, invocation: Option<&str>| {
            let record: Record = serde_json::from_str(record).unwrap();
            let seen = mark(&record);
            assert_eq!((seen.event, seen.invocation.as_deref()), (expect, invocation));
            assert_eq!((seen.unit.as_str(), seen.at), ("rivetr-job-shop_bad.service", Timestamp(1000)));
        };
        let of = |mark: &str, more: &str| {
            format!(
                r#"{{"__CURSOR":"s=1","_SOURCE_REALTIME_TIMESTAMP":"1000000","MESSAGE_ID":"{mark}",
                "USER_UNIT":"rivetr-job-shop_bad.service"{more}}}"#
            )
        };
        let run = r#","USER_INVOCATION_ID":"1eb7""#;
        check(&of(STARTING, run), RunSign::Starting, Some("1eb7"));
        check(&of(STARTED, &format!(r#"{run},"JOB_RESULT":"done""#)), RunSign::Done, Some("1eb7"));
        let exited =
            r#","USER_INVOCATION_ID":"1eb7","EXIT_STATUS":"3","EXIT_CODE":"exited","COMMAND":"ExecStart""#;
        check(&of(EXITED, exited), RunSign::Exited(Some(3)), Some("1eb7"));
        let killed = exited.replace("exited", "killed");
        check(&of(EXITED, &killed), RunSign::Exited(None), Some("1eb7"));
        check(&of(EXITED, &exited.replace("ExecStart", "ExecStop")), RunSign::Other, Some("1eb7"));
        let failed = format!(r#"{run},"UNIT_RESULT":"timeout""#);
        check(&of(FAILED, &failed), RunSign::Failed(ServiceResult::Timeout), Some("1eb7"));
        check(&of(NOT_STARTED, r#","JOB_RESULT":"dependency""#), RunSign::Dependency, None);
        check(&of(NOT_STARTED, r#","JOB_RESULT":"failed""#), RunSign::Other, None);
    }
}
