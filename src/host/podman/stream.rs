//! Commands in a running container whose output or input is a stream of any length.

use std::io;

use bytes::{Buf as _, BytesMut};
use futures_util::TryStreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, split};
use tokio_util::codec::FramedRead;

use super::exec::{Piece, Pieces, Running, Standing};
use super::{Podman, PodmanError};

/// How much of the end of what a command says is kept, in bytes.
const TAIL: usize = 2 << 10;

/// How a command with a stream has ended.
#[derive(Debug)]
pub struct Streamed {
    /// Its exit status.
    pub status: i32,
    /// The end of what it said beside the stream.
    pub said: String,
    /// Why the stream broke off, if not by the command.
    pub broken: Option<io::Error>,
}

impl Podman {
    /// Runs a command and hands on all that it writes; what it says on standard error is kept apart. The variables are
    /// seen by nobody but the command.
    pub async fn pour(
        &self,
        container: &str,
        command: &[String],
        variables: &[String],
        mut to: impl AsyncWrite + Unpin,
    ) -> Result<Streamed, PodmanError> {
        let Running { id, connection } = self.begin(container, command, variables, false, None).await?;
        let mut pieces = FramedRead::new(connection, Pieces { terminal: false });
        let mut said = Said::default();
        let broken = loop {
            match pieces.try_next().await {
                Ok(Some(Piece { stderr: true, bytes })) => said.add(&bytes),
                Ok(Some(Piece { stderr: false, bytes })) => {
                    if let Err(error) = to.write_all(&bytes).await {
                        break Some(error);
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        let broken = match broken {
            None => to.shutdown().await.err(),
            broken => broken,
        };
        self.streamed(&id, said, broken).await
    }

    /// Runs a command and gives it all of a stream to read.
    pub async fn drink(
        &self,
        container: &str,
        command: &[String],
        variables: &[String],
        mut from: impl AsyncRead + Unpin,
    ) -> Result<Streamed, PodmanError> {
        let Running { id, connection } = self.begin(container, command, variables, true, None).await?;
        let (output, mut input) = split(connection);
        let mut pieces = FramedRead::new(output, Pieces { terminal: false });
        let mut said = Said::default();
        let hear = async {
            while let Some(Piece { bytes, .. }) = pieces.try_next().await? {
                said.add(&bytes);
            }
            Ok::<_, io::Error>(())
        };
        let give = async {
            tokio::io::copy(&mut from, &mut input).await?;
            input.shutdown().await
        };
        // A command that has ended reads no more, and its end is what counts.
        let (given, heard) = tokio::join!(give, hear);
        let broken = heard.err().or(given.err());
        self.streamed(&id, said, broken).await
    }

    async fn streamed(
        &self,
        id: &str,
        said: Said,
        broken: Option<io::Error>,
    ) -> Result<Streamed, PodmanError> {
        if broken.is_some() {
            self.end_exec(id).await?;
        }
        let Standing { running, exit_code, .. } = self.exec_standing(id).await?;
        let status = if running { -1 } else { exit_code };
        let said = String::from_utf8_lossy(&said.0).trim().to_owned();
        Ok(Streamed { status, said, broken })
    }
}

/// The end of what a command says.
#[derive(Default)]
struct Said(BytesMut);

impl Said {
    fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        self.0.advance(self.0.len().saturating_sub(TAIL));
    }
}
