//! Backups that are handed in and handed out, as they are written: streams of any length.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::spawn_blocking;
use tokio_util::io::SyncIoBridge;

use super::super::{Engine, EngineError};
use super::flow::Failure;
use super::tally::{counted, is_archive};
use super::tools;
use crate::domain::backup::{Backup, BackupId, Form, Place, Reason, Source, State, Stored};
use crate::store::NewBackup;
use crate::vault::stream::{self, Packed};

/// How much waits between who reads a file and who sends it, in bytes.
const PIPE: usize = 256 << 10;
/// How many bytes say whether it is a file of the right form.
const MAGIC: usize = 512;

impl Engine {
    /// Takes in what was written out elsewhere, as a backup of something, from which it can be restored.
    pub async fn import_backup<R>(&self, of: &Source, mut body: R) -> Result<Backup, EngineError>
    where
        R: AsyncRead + Unpin + Send,
    {
        let form = of.form();
        let mut begin = vec![0; MAGIC];
        let mut length = 0;
        while let Some(rest @ [_, ..]) = begin.get_mut(length..) {
            match body.read(rest).await.map_err(|error| broken(&error))? {
                0 => break,
                read => length += read,
            }
        }
        begin.truncate(length);
        let begins = tools::begins(form);
        let fits = match form {
            Form::Tar => is_archive(&begin),
            Form::Postgres | Form::Sql | Form::MongoArchive | Form::Rdb => {
                begins.is_empty() || begins.iter().any(|magic| begin.starts_with(magic))
            }
        };
        if begin.is_empty() || !fits {
            let message = match form {
                Form::Postgres => "this is no file of pg_dump --format=custom",
                Form::Rdb => "this is no RDB file of Redis or Valkey",
                Form::Tar => "this is no tar: one that is compressed has to be expanded first",
                Form::Sql | Form::MongoArchive => "there is nothing in it",
            };
            return Err(EngineError::Invalid { field: "body", message: message.to_owned() });
        }
        let identity = self.newest_identity().await?;
        let new = NewBackup {
            subject: of.subject(),
            name: of.name(),
            team: of.team(),
            reason: Reason::Imported,
            place: Place::Disk,
            form,
            recipient: identity.recipient().to_string(),
            hold: None,
        };
        let backup = self.0.writer.queue_backup(new, self.now()).await?;
        let (id, now) = (backup.id, self.now());
        self.0.writer.move_backup(id, move |state| state.begin(now)).await?;
        let mut items = None;
        let (begin, body, counts) = (begin.as_slice(), &mut body, &mut items);
        let source = |mut to: DuplexStream| async move {
            let mut whole = begin.chain(body);
            if form == Form::Tar {
                *counts = Some(counted(whole, to).await?);
                return Ok(());
            }
            tokio::io::copy(&mut whole, &mut to).await?;
            Ok::<_, Failure>(to.shutdown().await?)
        };
        let packed = self.write_file(&backup, identity.recipient(), source).await;
        let now = self.now();
        let ended = match packed {
            Ok(Packed { plain, stored, sha256 }) => {
                let file = Stored { plain, bytes: stored, items, sha256 };
                self.0.writer.move_backup(id, move |state| state.finish(file, now)).await
            }
            Err(Failure(reason)) => self.0.writer.move_backup(id, move |state| state.fail(reason, now)).await,
        };
        self.stir_backups();
        match ended?.state {
            State::Failed { reason, .. } => Err(EngineError::Invalid { field: "body", message: reason }),
            State::Queued | State::Running { .. } | State::Done { .. } => self.backup(id).await,
        }
    }

    /// A backup's file as it lies there, or with `plain` what it holds, to be sent. A file that is broken ends the stream
    /// with an error.
    pub async fn download_backup(
        &self,
        id: BackupId,
        plain: bool,
    ) -> Result<(Backup, impl AsyncRead + Send + Unpin + use<>), EngineError> {
        let backup = self.backup(id).await?;
        if !matches!(backup.state, State::Done { .. }) {
            let message = format!("backup {} is {}, so there is no file", id.0, backup.state.word());
            return Err(EngineError::Conflict { field: "backup", message });
        }
        let identity = self.identity(&backup.recipient).await?;
        let file = self.open_backup_file(&backup.place, &backup.file()).await?;
        let (to, from) = duplex(PIPE);
        let to = SyncIoBridge::new(to);
        let reading = spawn_blocking(move || {
            let (mut file, mut to) = (file, to);
            if plain {
                stream::copy(&mut stream::unpack(file, &identity)?, &mut to)
            } else {
                stream::copy(&mut file, &mut to)
            }
        });
        Ok((backup, Ending::new(from, reading)))
    }
}

/// A pipe whose end is an error if the other side came to one.
pub(in super::super) struct Ending {
    from: DuplexStream,
    reading: Option<tokio::task::JoinHandle<io::Result<u64>>>,
}

impl Ending {
    /// A pipe, and who writes into its other end.
    pub(in super::super) fn new(
        from: DuplexStream,
        writing: tokio::task::JoinHandle<io::Result<u64>>,
    ) -> Self {
        Self { from, reading: Some(writing) }
    }
}

impl AsyncRead for Ending {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        into: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        let before = into.filled().len();
        std::task::ready!(std::pin::Pin::new(&mut self.from).poll_read(context, into))?;
        if into.filled().len() > before {
            return std::task::Poll::Ready(Ok(()));
        }
        let Some(reading) = &mut self.reading else { return std::task::Poll::Ready(Ok(())) };
        let ended = std::task::ready!(std::pin::Pin::new(reading).poll(context));
        self.reading = None;
        std::task::Poll::Ready(ended.map_err(io::Error::other).and_then(|ended| ended.map(drop)))
    }
}

fn broken(error: &io::Error) -> EngineError {
    EngineError::Invalid { field: "body", message: format!("the upload broke off: {error}") }
}
