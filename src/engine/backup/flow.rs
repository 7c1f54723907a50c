//! The way of the bytes: out of a server, through compression and seal, to where a backup lies; and back. At no time is
//! more of it in memory than a few pieces, and one part of an upload.

use std::io::{self, Read, Write as _};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, DuplexStream, duplex};
use tokio::task::spawn_blocking;
use tokio_util::io::SyncIoBridge;

use super::super::{Engine, EngineError};
use super::mark::Unmarked;
use super::tools::Tool;
use crate::domain::backup::{Backup, Form, Place};
use crate::host::podman::Streamed;
use crate::remote::s3::{S3Error, Upload};
use crate::vault::age::{Identity, Recipient};
use crate::vault::stream::{self, Packed};

/// How much waits between two who work side by side, in bytes.
const PIPE: usize = 256 << 10;

/// Why nothing came of it, in words for people.
#[derive(Debug)]
pub(super) struct Failure(pub String);

impl<E: std::fmt::Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl Engine {
    /// Makes the file of a backup from what `source` writes into the pipe that it is given. The file has its name only
    /// once the source has said that all is well.
    pub(super) async fn write_file<F>(
        &self,
        backup: &Backup,
        recipient: Recipient,
        source: impl FnOnce(DuplexStream) -> F,
    ) -> Result<Packed, Failure>
    where
        F: Future<Output = Result<(), Failure>>,
    {
        let (plain_in, plain_out) = duplex(PIPE);
        let from = SyncIoBridge::new(plain_out);
        let from: Box<dyn Read + Send> =
            if backup.form == Form::Rdb { Box::new(Unmarked::new(from)) } else { Box::new(from) };
        match &backup.place {
            Place::Disk => {
                let incoming = self.machine().backups.begin()?;
                let file = incoming.file()?;
                let packing = spawn_blocking(move || {
                    let (mut from, mut file) = (from, file);
                    let packed = stream::pack(&mut from, &mut file, &recipient)?;
                    file.flush()?;
                    file.sync_all()?;
                    Ok::<_, io::Error>(packed)
                });
                let (written, packed) = tokio::join!(source(plain_in), packing);
                let packed = told(written, packed?)?;
                self.failpoint("backup-written");
                self.machine().backups.keep(incoming, &backup.file())?;
                Ok(packed)
            }
            Place::Storage(name) => {
                let mut upload = self.storage(name).await?.upload(&backup.file());
                let (sealed_in, sealed_out) = duplex(PIPE);
                let packing = spawn_blocking(move || {
                    let (mut from, to) = (from, SyncIoBridge::new(sealed_in));
                    stream::pack(&mut from, to, &recipient)
                });
                let (written, packed, sent) =
                    tokio::join!(source(plain_in), packing, send(&mut upload, sealed_out));
                let packed = match sent {
                    Ok(()) => told(written, packed?),
                    Err(error) => Err(error.into()),
                };
                self.failpoint("backup-written");
                match packed {
                    Ok(packed) => upload.finish().await.map(|()| packed).map_err(Failure::from),
                    Err(failure) => {
                        upload.abort().await;
                        Err(failure)
                    }
                }
            }
        }
    }

    /// Lets a tool write a database's data into a pipe.
    pub(super) async fn pour(
        &self,
        container: &str,
        tool: &Tool,
        to: impl AsyncWrite + Unpin,
    ) -> Result<(), Failure> {
        let Tool { command, variables } = tool;
        ended(command, self.machine().podman.pour(container, command, variables, to).await?)
    }

    /// Lets a tool read what a backup holds.
    pub(super) async fn drink(
        &self,
        container: &str,
        tool: &Tool,
        from: impl AsyncRead + Unpin,
    ) -> Result<(), Failure> {
        let Tool { command, variables } = tool;
        ended(command, self.machine().podman.drink(container, command, variables, from).await?)
    }

    /// Opens the file of a backup and hands what it holds to `sink` through a pipe. Only if both say that all is well,
    /// all of it was read and is what was sealed.
    pub(super) async fn read_file<F>(
        &self,
        backup: &Backup,
        identity: Identity,
        sink: impl FnOnce(DuplexStream) -> F,
    ) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Failure>>,
    {
        let (plain_in, plain_out) = duplex(PIPE);
        let file = self.open_backup_file(&backup.place, &backup.file()).await?;
        let to = SyncIoBridge::new(plain_in);
        let unpacking = spawn_blocking(move || {
            let mut to = to;
            stream::copy(&mut stream::unpack(file, &identity)?, &mut to).map(drop)
        });
        let (read, unpacked) = tokio::join!(sink(plain_out), unpacking);
        told(read, unpacked?)
    }
}

/// What is said of two who work side by side: where one broke off because of the other, that other has the reason.
fn told<T>(far: Result<(), Failure>, near: io::Result<T>) -> Result<T, Failure> {
    match (far, near) {
        (Ok(()), near) => near.map_err(Failure::from),
        (Err(_), Err(near)) if near.kind() != io::ErrorKind::BrokenPipe => Err(near.into()),
        (Err(far), _) => Err(far),
    }
}

async fn send(upload: &mut Upload, mut from: DuplexStream) -> Result<(), S3Error> {
    let mut piece = vec![0; PIPE / 4];
    loop {
        let read = from.read(&mut piece).await.map_err(|error| S3Error::Here(error.to_string()))?;
        let Some(read @ [_, ..]) = piece.get(..read) else { return Ok(()) };
        upload.write(read).await?;
    }
}

fn ended(command: &[String], streamed: Streamed) -> Result<(), Failure> {
    let Streamed { status, said, broken } = streamed;
    let program = command.first().map_or("the tool", String::as_str);
    match (status, broken) {
        (0, None) => Ok(()),
        (0, Some(error)) => Err(Failure(format!("{program} broke off: {error}"))),
        (status, _) if said.is_empty() => Err(Failure(format!("{program} ended with status {status}"))),
        (status, _) => Err(Failure(format!("{program} ended with status {status}: {said}"))),
    }
}

impl From<Failure> for EngineError {
    fn from(Failure(message): Failure) -> Self {
        Self::Conflict { field: "backup", message }
    }
}
