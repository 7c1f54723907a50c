//! The answer to a push while it is being written: lines for the person, then the report for their git.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::engine::push::pkt::{self, Band, FLUSH, Request};

/// How long a silent answer waits before it says that it lives; proxies between give up after a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// An empty packet of the data channel: what git itself sends to keep a push alive.
const NOTHING: &[u8] = b"0005\x01";
/// How long a client may leave lines unread before it counts as gone.
const UNREAD_MAX: Duration = Duration::from_mins(1);
/// Packets that may wait for the client.
const WAITING: usize = 64;
/// The longest line shown to a person, in characters; a longer one is cut.
const LINE_MAX: usize = 2000;

/// The writing end of an answer.
pub struct Answer {
    /// None: nobody reads any more.
    out: Option<mpsc::Sender<Bytes>>,
    side_band: bool,
}

impl Answer {
    /// An answer in a form that the client can read, and its body.
    pub fn new(request: &Request) -> (Self, Body) {
        let side_band = request.can("side-band-64k");
        let (out, packets) = mpsc::channel(WAITING);
        (Self { out: Some(out), side_band }, body(packets, side_band.then_some(KEEP_ALIVE)))
    }

    /// Whether somebody still reads.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.out.as_ref().is_some_and(|out| !out.is_closed())
    }

    /// Shows lines to the person, each after `remote:`.
    pub async fn say(&mut self, text: &str) {
        if !self.side_band {
            return;
        }
        for line in text.lines() {
            let line = readable(line) + "\n";
            self.send(pkt::band(Band::Progress, line.as_bytes())).await;
        }
    }

    /// Tells the client's git what became of each reference, and ends the answer.
    pub async fn end(mut self, references: &[String], refused: Option<&str>) {
        let mut report = pkt::frame(b"unpack ok\n");
        for reference in references {
            let line = match refused {
                None => format!("ok {reference}\n"),
                Some(why) => format!("ng {reference} {}\n", readable(why.lines().next().unwrap_or_default())),
            };
            report.extend(pkt::frame(line.as_bytes()));
        }
        report.extend_from_slice(FLUSH);
        if self.side_band {
            self.send(pkt::band(Band::Data, &report)).await;
            self.send(FLUSH.to_vec()).await;
        } else {
            self.send(report).await;
        }
    }

    async fn send(&mut self, packet: Vec<u8>) {
        let Some(out) = &self.out else { return };
        if !matches!(timeout(UNREAD_MAX, out.send(packet.into())).await, Ok(Ok(()))) {
            self.out = None;
        }
    }
}

/// The packets, and without the side band nothing but them: there is no other way to say that the answer lives.
fn body(packets: mpsc::Receiver<Bytes>, keep_alive: Option<Duration>) -> Body {
    Body::from_stream(stream::unfold(packets, move |mut packets| async move {
        let packet = if let Some(time) = keep_alive {
            match timeout(time, packets.recv()).await {
                Ok(packet) => packet?,
                Err(_) => Bytes::from_static(NOTHING),
            }
        } else {
            packets.recv().await?
        };
        Some((Ok::<_, Infallible>(packet), packets))
    }))
}

/// A line as a terminal may get it: what a carriage return left standing, and no control characters.
fn readable(line: &str) -> String {
    let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
    let shown = line.chars().take(LINE_MAX);
    let mut text = String::new();
    for c in shown {
        if c.is_control() && c != '\t' {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn request(capabilities: &str) -> Request {
        let mut request = Request::default();
        let id = "a".repeat(40);
        request.take(format!("{id} {id} refs/heads/main\0{capabilities}").as_bytes()).unwrap();
        request
    }

    async fn written(capabilities: &str) -> String {
        let (mut answer, body) = Answer::new(&request(capabilities));
        answer.say("one\ntwo 50%\rtwo 100%\r\nthree \u{1b}[31mred").await;
        answer.end(&["refs/heads/main".to_owned()], Some("it failed\nbadly")).await;
        String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn lines_and_report_are_packets() {
        let report = "000eunpack ok\n0021ng refs/heads/main it failed\n0000";
        let lines = "0009\x02one\n000e\x02two 100%\n0019\x02three \\u{1b}[31mred\n";
        assert_eq!(written("report-status side-band-64k").await, format!("{lines}0038\x01{report}0000"));
        assert_eq!(written("report-status").await, report);
    }

    #[tokio::test]
    async fn a_silent_answer_says_that_it_lives() {
        let (out, packets) = mpsc::channel(1);
        let answer = Answer { out: Some(out), side_band: true };
        let mut body = body(packets, Some(Duration::from_millis(1)));
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), NOTHING);
        assert!(answer.is_read());
        drop(body);
        assert!(!answer.is_read());
    }
}
