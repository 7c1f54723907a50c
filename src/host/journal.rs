//! What containers and units have printed, read from the system's journal.
//!
//! By one `journalctl` a reader: no library to link, and the journal's own format stays its own matter.
//! Keeps nothing and never writes there.

mod runs;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{Stream, StreamExt, TryStreamExt as _, stream};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use tokio::process::ChildStdout;
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};

use crate::domain::time::Timestamp;

use super::process::{ProcessError, Running, Spawn, printable};
use super::systemd::InvocationId;

pub use self::runs::{RunMark, RunSign};

/// The longest record read, in bytes of JSON; conmon cuts lines into pieces of 8 KiB.
const RECORD_MAX: usize = 4 << 20;

/// The longest line put together from pieces, in bytes; what is longer comes as several lines.
const LINE_MAX: usize = 1 << 20;

/// What is known of a failed unit is to be had at once.
const AT_ONCE_LIMIT: Duration = Duration::from_secs(10);

/// By which a manager marks that the kernel killed a process of a unit for want of memory
/// (`SD_MESSAGE_UNIT_OUT_OF_MEMORY` of sd-messages.h).
const OUT_OF_MEMORY: &str = "MESSAGE_ID=fe6faa94e7774663a0da52717891d8ef";

/// Why the journal could not be read.
#[derive(Debug, Error)]
pub enum JournalError {
    /// `journalctl` failed.
    #[error(
        "the journal could not be read: {0}. A service user reads it as a member of the group systemd-journal"
    )]
    Reader(#[from] ProcessError),
    /// Its output broke off.
    #[error("the journal could not be read: {0}")]
    Output(#[source] LinesCodecError),
}

/// What to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The containers, by name. Of containers that are gone too.
    pub containers: Vec<String>,
    /// Only the last so many records; `None` for all.
    pub lines: Option<usize>,
    /// Whether to go on with what is printed from now on.
    pub follow: bool,
    /// Only what comes after this place.
    pub after_cursor: Option<String>,
}

/// One line that a container has printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its place in the journal.
    pub cursor: String,
    /// When it was printed.
    pub at: Timestamp,
    /// The container's name.
    pub container: String,
    /// Where to.
    pub stream: OutputStream,
    /// The line, without its end. What is not UTF-8 is replaced.
    pub text: String,
}

/// The two that a process prints to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The journal, as far as it is about one user's containers.
#[derive(Debug, Clone, Copy)]
pub struct Journal {
    uid: u32,
}

impl Journal {
    /// For the user whose containers these are: any other could write lines under the same names.
    #[must_use]
    pub fn new(uid: u32) -> Self {
        Self { uid }
    }

    /// The lines asked for, oldest first. Ends with the last one, or never if it is to follow.
    pub fn read(
        &self,
        query: &Query,
    ) -> Result<impl Stream<Item = Result<LogLine, JournalError>> + Send + 'static + use<>, JournalError>
    {
        let Query { containers, lines, follow, after_cursor } = query;
        let mut args = options(*lines);
        args.push(
            "--output-fields=MESSAGE,PRIORITY,CONTAINER_NAME,CONTAINER_ID_FULL,CONTAINER_PARTIAL_MESSAGE,\
             _SOURCE_REALTIME_TIMESTAMP"
                .to_owned(),
        );
        args.extend(follow.then(|| "--follow".to_owned()));
        args.extend(after_cursor.iter().map(|cursor| format!("--after-cursor={cursor}")));
        args.push(format!("_UID={}", self.uid));
        args.extend(containers.iter().map(|name| format!("CONTAINER_NAME={name}")));
        let mut pieces = Pieces::default();
        let lines = records(&args)?.filter_map(move |record| {
            std::future::ready(match record {
                Ok(record) => pieces.add(record).map(Ok),
                Err(error) => Some(Err(error)),
            })
        });
        Ok(lines)
    }

    /// What containers last printed since they were made; what is older comes from others of these names. If it is
    /// nothing, the last lines of a run.
    pub async fn last_printed(
        &self,
        containers: Vec<String>,
        since: Timestamp,
        run: Option<&InvocationId>,
        count: usize,
    ) -> Result<Vec<String>, JournalError> {
        let query = Query { containers, lines: Some(count), follow: false, after_cursor: None };
        let printed: Vec<LogLine> = self.read(&query)?.try_collect().await?;
        let own = printed.into_iter().filter(|line| line.at >= since).map(|line| line.text);
        let own: Vec<String> = own.collect();
        match run {
            Some(run) if own.is_empty() => self.last_lines(run, count).await,
            Some(_) | None => Ok(own),
        }
    }

    /// The last lines of one run of a unit: what it printed, and what systemd had to say about it.
    pub async fn last_lines(&self, run: &InvocationId, count: usize) -> Result<Vec<String>, JournalError> {
        self.lines_of(run.as_str(), count, |_| true).await
    }

    async fn lines_of(
        &self,
        id: &str,
        count: usize,
        counts: impl Fn(&Record) -> bool,
    ) -> Result<Vec<String>, JournalError> {
        let mut args = options(Some(count));
        args.push("--output-fields=MESSAGE,SYSLOG_IDENTIFIER".to_owned());
        // A plus between fields means "or". Of the two last ones the manager writes one.
        args.extend([
            format!("_SYSTEMD_INVOCATION_ID={id}"),
            "+".to_owned(),
            format!("USER_INVOCATION_ID={id}"),
            "+".to_owned(),
            format!("INVOCATION_ID={id}"),
        ]);
        let found = found(args).await?.into_iter().filter(counts);
        let texts = found.map(|record| printable(&record.message()));
        Ok(texts.filter(|text| !text.is_empty()).collect())
    }

    /// When the kernel last killed a process of a unit for want of memory, as the unit's manager noted it.
    pub async fn out_of_memory(&self, unit: &str) -> Result<Option<Timestamp>, JournalError> {
        let mut args = options(Some(1));
        args.push("--output-fields=_SOURCE_REALTIME_TIMESTAMP".to_owned());
        // Of the two fields the manager writes one.
        let noted =
            |field| [format!("_UID={}", self.uid), OUT_OF_MEMORY.to_owned(), format!("{field}={unit}")];
        args.extend(noted("USER_UNIT"));
        args.push("+".to_owned());
        args.extend(noted("UNIT"));
        Ok(found(args).await?.first().map(Record::at))
    }
}

async fn found(args: Vec<String>) -> Result<Vec<Record>, JournalError> {
    let output = Spawn::new("journalctl").args(args).limit(AT_ONCE_LIMIT).run().await?;
    let records = output.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    Ok(records.filter_map(parse).collect())
}

fn options(lines: Option<usize>) -> Vec<String> {
    let lines = lines.map_or_else(|| "--lines=all".to_owned(), |count| format!("--lines={count}"));
    ["--output=json", "--all", "--no-pager", lines.as_str()].map(str::to_owned).to_vec()
}

fn records(
    args: &[String],
) -> Result<impl Stream<Item = Result<Record, JournalError>> + Send + 'static + use<>, JournalError> {
    let mut running = Spawn::new("journalctl").args(args).stream()?;
    let codec = LinesCodec::new_with_max_length(RECORD_MAX);
    let lines = running.stdout.take().map(|stdout| FramedRead::new(stdout, codec));
    Ok(stream::unfold((lines, running), next_record))
}

fn parse(line: &[u8]) -> Option<Record> {
    match serde_json::from_slice(line) {
        Ok(record) => Some(record),
        Err(error) => {
            tracing::warn!(%error, "a record of the journal could not be read");
            None
        }
    }
}

type Reading = (Option<FramedRead<ChildStdout, LinesCodec>>, Running);

async fn next_record((lines, mut running): Reading) -> Option<(Result<Record, JournalError>, Reading)> {
    let mut lines = lines?;
    loop {
        match lines.next().await {
            Some(Ok(line)) => {
                if let Some(record) = parse(line.as_bytes()) {
                    return Some((Ok(record), (Some(lines), running)));
                }
            }
            Some(Err(LinesCodecError::MaxLineLengthExceeded)) => {
                tracing::warn!(limit = RECORD_MAX, "a record of the journal was too long to be read");
            }
            Some(Err(error)) => return Some((Err(JournalError::Output(error)), (None, running))),
            None => {
                drop(lines);
                let error = running.wait().await.err()?;
                return Some((Err(error.into()), (None, running)));
            }
        }
    }
}

/// A record as `journalctl -o json --all` prints it: each value a text, an array of bytes where it is not
/// UTF-8, or an array of those where a field stands there more than once.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", default)]
struct Record {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    received: Value,
    #[serde(rename = "_SOURCE_REALTIME_TIMESTAMP")]
    printed: Value,
    message: Value,
    priority: Value,
    container_name: Value,
    container_id_full: Value,
    container_partial_message: Value,
    syslog_identifier: Value,
    message_id: Value,
    unit: Value,
    user_unit: Value,
    invocation_id: Value,
    user_invocation_id: Value,
    unit_result: Value,
    exit_code: Value,
    exit_status: Value,
    job_result: Value,
    command: Value,
}

impl Record {
    fn message(&self) -> String {
        String::from_utf8_lossy(&bytes(&self.message)).into_owned()
    }

    fn at(&self) -> Timestamp {
        let microseconds = [&self.printed, &self.received].into_iter().find_map(|value| {
            std::str::from_utf8(&bytes(value)).ok().and_then(|text| text.parse::<i64>().ok())
        });
        Timestamp(microseconds.unwrap_or(0) / 1000)
    }

    /// conmon gives standard error the priority "err" (3).
    fn stream(&self) -> OutputStream {
        match bytes(&self.priority).as_slice() {
            [b'0'..=b'3'] => OutputStream::Stderr,
            _ => OutputStream::Stdout,
        }
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text.clone().into_bytes(),
        Value::Array(items) => match items.first() {
            Some(first @ (Value::String(_) | Value::Array(_))) => bytes(first),
            _ => items.iter().filter_map(|item| u8::try_from(item.as_u64()?).ok()).collect(),
        },
        Value::Number(number) => number.to_string().into_bytes(),
        Value::Null | Value::Bool(_) | Value::Object(_) => Vec::new(),
    }
}

/// Pieces of lines that wait for their end.
#[derive(Default)]
struct Pieces(HashMap<(Vec<u8>, OutputStream), Vec<u8>>);

impl Pieces {
    /// The line that this record ends, if it does.
    fn add(&mut self, record: Record) -> Option<LogLine> {
        let container_id = bytes(&record.container_id_full);
        if container_id.is_empty() {
            // Podman's own events carry the name too.
            return None;
        }
        let stream = record.stream();
        let key = (container_id, stream);
        let mut text = self.0.remove(&key).unwrap_or_default();
        text.extend(bytes(&record.message));
        let partial = bytes(&record.container_partial_message) == b"true";
        if partial && text.len() < LINE_MAX {
            self.0.insert(key, text);
            return None;
        }
        while text.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
            text.pop();
        }
        Some(LogLine {
            at: record.at(),
            container: String::from_utf8_lossy(&bytes(&record.container_name)).into_owned(),
            stream,
            text: String::from_utf8_lossy(&text).into_owned(),
            cursor: record.cursor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(records: &[&str]) -> Vec<(String, OutputStream)> {
        let mut pieces = Pieces::default();
        let parsed = records.iter().map(|record| serde_json::from_str(record).unwrap());
        parsed.filter_map(|record| pieces.add(record)).map(|line| (line.text, line.stream)).collect()
    }

    #[test]
    fn a_line_with_all_its_fields() {
        let record = r#"{"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795433822823999","PRIORITY":"6",
            "_SOURCE_REALTIME_TIMESTAMP":"1795433822823000","MESSAGE":"hello\n","CONTAINER_NAME":"rivetr-app-blog-7",
            "CONTAINER_ID_FULL":"abc"}"#;
        let line = Pieces::default().add(serde_json::from_str(record).unwrap()).unwrap();
        let expected = LogLine {
            cursor: "s=1;i=2".into(),
            at: Timestamp(1_795_433_822_823),
            container: "rivetr-app-blog-7".into(),
            stream: OutputStream::Stdout,
            text: "hello".into(),
        };
        assert_eq!(line, expected);
    }

    #[test]
    fn values_come_in_many_shapes() {
        for (message, text) in [
            (r#""plain\n""#, "plain"),
            (r"[104,105,255,10]", "hi\u{fffd}"),
            (r#"["first","second"]"#, "first"),
            (r#"[[104,105],"x"]"#, "hi"),
            ("null", ""),
            (r#""  kept  ""#, "  kept  "),
        ] {
            let record = format!(r#"{{"CONTAINER_ID_FULL":"a","MESSAGE":{message}}}"#);
            assert_eq!(lines(&[&record]), [(text.to_owned(), OutputStream::Stdout)], "{message}");
        }
    }

    #[test]
    fn pieces_are_put_together_per_container_and_stream() {
        let piece = |id: &str, priority: &str, message: &str, partial: bool| {
            let partial = if partial { r#","CONTAINER_PARTIAL_MESSAGE":"true""# } else { "" };
            format!(
                r#"{{"CONTAINER_ID_FULL":"{id}","PRIORITY":"{priority}","MESSAGE":"{message}"{partial}}}"#
            )
        };
        let records = [
            piece("a", "6", "one ", true),
            piece("a", "3", "error ", true),
            piece("b", "6", "other\\n", false),
            piece("a", "6", "two ", true),
            piece("a", "6", "three\\n", false),
            piece("a", "3", "end\\n", false),
        ];
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        let expected = [
            ("other".to_owned(), OutputStream::Stdout),
            ("one two three".to_owned(), OutputStream::Stdout),
            ("error end".to_owned(), OutputStream::Stderr),
        ];
        assert_eq!(lines(&records), expected);
    }

    #[test]
    fn a_line_without_end_does_not_grow_for_ever() {
        let piece = format!(
            r#"{{"CONTAINER_ID_FULL":"a","CONTAINER_PARTIAL_MESSAGE":"true","MESSAGE":"{}"}}"#,
            "x".repeat(LINE_MAX / 4)
        );
        let cut = lines(&[piece.as_str(); 9]);
        assert_eq!(cut.iter().map(|(text, _)| text.len()).collect::<Vec<_>>(), [LINE_MAX, LINE_MAX]);
    }

    #[test]
    fn what_no_container_printed_is_left_out() {
        assert_eq!(lines(&[r#"{"CONTAINER_NAME":"a","MESSAGE":"container start"}"#]), []);
    }
}
