//! Where the lines go: a file, or the journal under a name of its own.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::files::{FileError, LogFile};

/// Where journald takes entries with fields (systemd's "Journal Native Protocol").
const JOURNAL: &str = "/run/systemd/journal/socket";
/// What stands before each line: the name to find them by, and that they are nothing to worry about.
const FIELDS: &[u8] = b"SYSLOG_IDENTIFIER=rivetr-access\nPRIORITY=6\nMESSAGE=";

/// Why lines were not written.
#[derive(Debug, Error)]
pub(super) enum SinkError {
    #[error(
        "{0}; the proxy may write below its own log directory alone, which is /var/log/rivetr for the package"
    )]
    File(#[from] FileError),
    #[error(
        "cannot write to the journal at {path}: {source}; set [proxy] access_log_file where there is none"
    )]
    Journal { path: PathBuf, source: io::Error },
}

/// Takes whole lines. Opened when it is first written to, and again after each failure.
#[derive(Debug)]
pub(super) enum Sink {
    File { path: PathBuf, file: Option<LogFile>, torn: bool },
    Journal { path: PathBuf, socket: Option<UnixDatagram> },
}

impl Sink {
    /// The file, or the journal.
    pub(super) fn new(file: Option<&Path>) -> Self {
        match file {
            Some(path) => Self::File { path: path.to_owned(), file: None, torn: false },
            None => Self::journal(JOURNAL),
        }
    }

    fn journal(path: impl Into<PathBuf>) -> Self {
        Self::Journal { path: path.into(), socket: None }
    }

    /// Lets go of what is open.
    pub(super) fn reopen(&mut self) {
        match self {
            Self::File { file, .. } => *file = None,
            Self::Journal { socket, .. } => *socket = None,
        }
    }

    /// Writes lines, each with its end.
    pub(super) fn write(&mut self, lines: &[u8]) -> Result<(), SinkError> {
        let written = match self {
            Self::File { path, file, torn } => to_file(path, file, torn, lines).map_err(SinkError::File),
            Self::Journal { path, socket } => to_journal(path, socket, lines)
                .map_err(|source| SinkError::Journal { path: path.clone(), source }),
        };
        if written.is_err() {
            self.reopen();
        }
        written
    }
}

fn to_file(path: &Path, open: &mut Option<LogFile>, torn: &mut bool, lines: &[u8]) -> Result<(), FileError> {
    let file = match open {
        Some(file) => file,
        None => open.insert(LogFile::append(path)?),
    };
    // What was written of a line before the disk was full stays there, and the next one begins below it.
    if std::mem::replace(torn, true) {
        file.lines(b"\n")?;
    }
    file.lines(lines)?;
    *torn = false;
    Ok(())
}

fn to_journal(path: &Path, open: &mut Option<UnixDatagram>, lines: &[u8]) -> io::Result<()> {
    let socket = if let Some(socket) = open {
        socket
    } else {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        open.insert(socket)
    };
    let mut entry = FIELDS.to_vec();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        entry.truncate(FIELDS.len());
        entry.extend_from_slice(line);
        socket.send(&entry)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_gets_an_entry_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let mut sink = Sink::journal(&path);
        let refused = sink.write(b"{}\n").unwrap_err().to_string();
        assert!(refused.contains("[proxy] access_log_file"), "{refused}");
        let journal = UnixDatagram::bind(&path).unwrap();
        sink.write(b"{\"a\":1}\n{\"b\":2}\n").unwrap();
        for expect in ["{\"a\":1}", "{\"b\":2}"] {
            let mut entry = [0; 256];
            let length = journal.recv(&mut entry).unwrap();
            let expect = format!("SYSLOG_IDENTIFIER=rivetr-access\nPRIORITY=6\nMESSAGE={expect}\n");
            assert_eq!(std::str::from_utf8(&entry[..length]).unwrap(), expect);
        }
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
        let mut sink = Sink::new(Some(&path));
        sink.write(b"1\n2\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        sink.write(b"3\n").unwrap();
        sink.reopen();
        sink.write(b"4\n").unwrap();
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!((read(&moved), read(&path)), ("1\n2\n3\n".to_owned(), "4\n".to_owned()));

        let mut nowhere = Sink::new(Some(&dir.path().join("none/access.log")));
        let refused = nowhere.write(b"1\n").unwrap_err().to_string();
        assert!(refused.contains("none/access.log") && refused.contains("/var/log/rivetr"), "{refused}");
    }
}
