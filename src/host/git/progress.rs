//! What a program tells of its progress, as lines of a log: of a line that is written over and over, the last state,
//! and one in between now and then while it takes long.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use super::super::process::printable;

/// The longest line that is shown; a longer one is cut.
const LINE_MAX: usize = 4096;
/// How often a line that is written over is shown before it is done.
const SHOWN_EVERY: Duration = Duration::from_secs(5);

/// Hands over what a program says, line by line, and whether the line is done.
pub(super) async fn each_line(
    from: Option<impl AsyncRead + Unpin>,
    mut show: impl FnMut(&str, bool),
) -> std::io::Result<()> {
    let Some(mut from) = from else { return Ok(()) };
    let mut line = Line { bytes: Vec::new(), shown: Instant::now() };
    let mut chunk = Vec::with_capacity(LINE_MAX);
    while from.read_buf(&mut chunk).await? > 0 {
        for byte in &chunk {
            line.take(*byte, &mut show);
        }
        chunk.clear();
    }
    line.done(&mut show);
    Ok(())
}

/// Whether a line of `git fetch` tells of progress. What it complains about is told once, in words of our own: `ssh`
/// for one advises commands that would change nothing here.
pub(super) fn is_progress(line: &str) -> bool {
    ["remote: ", "Receiving objects", "Resolving deltas", "Unpacking objects"]
        .iter()
        .any(|begin| line.starts_with(begin))
}

struct Line {
    bytes: Vec<u8>,
    shown: Instant,
}

impl Line {
    fn take(&mut self, byte: u8, show: &mut impl FnMut(&str, bool)) {
        match byte {
            b'\n' => self.done(show),
            b'\r' => self.written_over(show),
            _ if self.bytes.len() < LINE_MAX => self.bytes.push(byte),
            _ => {}
        }
    }

    /// What follows stands in its place. A program that ends its lines with both is shown none of them twice.
    fn written_over(&mut self, show: &mut impl FnMut(&str, bool)) {
        if self.shown.elapsed() >= SHOWN_EVERY {
            self.show(false, show);
        }
        if self.bytes.last() != Some(&b'\r') {
            self.bytes.push(b'\r');
        }
        if self.bytes.len() >= LINE_MAX {
            self.bytes.clear();
        }
    }

    fn done(&mut self, show: &mut impl FnMut(&str, bool)) {
        self.show(true, show);
        self.bytes.clear();
    }

    fn show(&mut self, is_done: bool, show: &mut impl FnMut(&str, bool)) {
        let text = printable(&String::from_utf8_lossy(&self.bytes));
        if !text.is_empty() {
            show(&text, is_done);
            self.shown = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_written_over_is_shown_now_and_then() {
        let (mut program, ours) = tokio::io::duplex(64);
        let mut lines = Vec::new();
        let write = async move {
            for (text, pause) in
                [("Start\nReceiving: 1%\r", 1), ("Receiving: 2%\r", 6), ("Receiving: 9%\r", 1)]
            {
                program.write_all(text.as_bytes()).await.unwrap();
                tokio::task::yield_now().await;
                advance(Duration::from_secs(pause)).await;
            }
            program.write_all(b"Receiving: 100%, done.\r\n\nend").await.unwrap();
        };
        let read = each_line(Some(ours), |line, is_done| lines.push((line.to_owned(), is_done)));
        tokio::join!(write, async { read.await.unwrap() });
        let lines: Vec<_> = lines.iter().map(|(line, is_done)| (line.as_str(), *is_done)).collect();
        let expect =
            [("Start", true), ("Receiving: 9%", false), ("Receiving: 100%, done.", true), ("end", true)];
        assert_eq!(lines, expect);
    }

    #[tokio::test]
    async fn a_line_without_end_is_cut() {
        let long = "x".repeat(3 * LINE_MAX);
        let mut lines = Vec::new();
        each_line(Some(long.as_bytes()), |line, _| lines.push(line.len())).await.unwrap();
        assert_eq!(lines, [LINE_MAX]);
    }
}
