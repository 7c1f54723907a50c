//! One command in a container that runs, to its end: its status and the last it said. No terminal, no input.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::raw::{self, Answer};
use super::{Podman, PodmanError};

/// How a command in a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// Its exit status.
    pub status: i32,
    /// The last line that it wrote, if any.
    pub last_line: Option<String>,
}

impl Podman {
    /// Runs a command in a container and waits until it has ended; none: it had not within `limit`. It is not ended
    /// then: Podman's API has no way to.
    pub async fn execute(
        &self,
        container: &str,
        command: &[String],
        limit: Duration,
    ) -> Result<Option<Executed>, PodmanError> {
        match timeout(limit, self.run_in(container, command)).await {
            Ok(executed) => executed.map(Some),
            Err(_elapsed) => Ok(None),
        }
    }

    async fn run_in(&self, container: &str, command: &[String]) -> Result<Executed, PodmanError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Made {
            id: String,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Ended {
            exit_code: i32,
        }
        let what = format!("run {} in {container}", command.first().map_or("a command", String::as_str));
        let path = format!("/libpod/containers/{}/exec", raw::encode(container));
        let wish = json!({ "Cmd": command, "AttachStdout": true, "AttachStderr": true });
        let made: Made = self.post(&what, &path, &wish).await?.read(&what)?;
        let path = format!("/libpod/exec/{}", raw::encode(&made.id));
        // The answer ends with the command.
        let said = self.post(&what, &format!("{path}/start"), &json!({ "Detach": false })).await?;
        let ended = self.raw.ask(&what, Method::GET, &format!("{path}/json")).await?.accepted(&what)?;
        let Ended { exit_code } = ended.read(&what)?;
        Ok(Executed { status: exit_code, last_line: last_line(&said.body) })
    }

    async fn post(&self, what: &str, path: &str, body: &serde_json::Value) -> Result<Answer, PodmanError> {
        self.raw.send(what, Method::POST, path, Bytes::from(body.to_string())).await?.accepted(what)
    }
}

/// Output comes in pieces, each behind eight bytes: the stream, three zeros, the length with its highest byte first.
fn last_line(output: &[u8]) -> Option<String> {
    let mut text = Vec::new();
    let mut rest = output;
    while let Some(([_stream, _, _, _, length @ ..], after)) = rest.split_first_chunk::<8>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX).min(after.len());
        let (piece, next) = after.split_at(length);
        text.extend_from_slice(piece);
        rest = next;
    }
    let text = String::from_utf8_lossy(&text);
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_found_in_pieces() {
        let piece = |stream: u8, text: &str| {
            let length = u32::try_from(text.len()).unwrap().to_be_bytes();
            [&[stream, 0, 0, 0][..], &length, text.as_bytes()].concat()
        };
        for (output, expect) in [
            (vec![], None),
            (vec![1, 0, 0], None),
            ([piece(1, "first\nsec"), piece(2, "ond \n\n")].concat(), Some("second")),
            ([1, 0, 0, 0, 255, 255, 255, 255, b'x'].to_vec(), Some("x")),
        ] {
            assert_eq!(last_line(&output).as_deref(), expect, "{output:?}");
        }
    }
}
