//! HTTP/2 as RFC 9113 and RFC 7541 want it of a server, rule by rule: what breaks a rule ends the stream or the
//! connection with the right reason, and what breaks none is answered. The cases are those of h2spec in our own words.

use futures_util::StreamExt;

use super::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GET, GOAWAY, HEADERS, PADDED, PING, POST,
    PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, Talk, WHOLE, WINDOW_UPDATE, WITH_PRIORITY, block, frame,
    preface,
};
use super::smuggling::recorder;
use super::*;

mod cases;
mod deviations;

/// Cases that are tried side by side.
const AT_ONCE: usize = 8;
/// What is asked to see whether the connection is still there.
const SIGN: [u8; 8] = *b"are you?";

/// What is answered before it was asked.
const UNASKED: [u8; 8] = *b"unasked!";

const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const REFUSED: u32 = 7;
const COMPRESSION: u32 = 9;

/// One rule, and how it is seen to be kept.
struct Case {
    rule: &'static str,
    /// Without a preface of its own it begins with the first step.
    bare: bool,
    steps: Vec<Step>,
    expected: Expected,
}

enum Step {
    Send(Vec<u8>),
    /// Wait for a frame of this kind on this stream.
    Await(u8, u32),
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    /// The connection ends; if the reason is said it is one of these.
    Ends(&'static [u32]),
    /// The stream is reset for one of these reasons, or its request is refused; or else the connection ends so.
    Resets(u32, &'static [u32]),
    /// The request of this stream is answered with 200.
    Answer(u32),
    /// The connection goes on.
    Alive,
    /// The next DATA is so long.
    Data(usize),
}

fn case(rule: &'static str, frames: &[Vec<u8>], expected: Expected) -> Case {
    Case { rule, bare: false, steps: vec![Step::Send(frames.concat())], expected }
}

#[tokio::test]
async fn every_rule_is_kept() {
    let (address, _target, _heard) = recorder().await;
    let proxy = Proxy::start(Limits::default(), &[("a.test", address)]).await;
    let mut cases = cases::all();
    for (rule, instead, _why) in deviations::ALL {
        let of_the_rule = |case: &&mut Case| case.rule == rule;
        cases.iter_mut().find(of_the_rule).unwrap_or_else(|| panic!("no case is {rule}")).expected = instead;
    }
    assert!(cases.len() > 130, "{} cases", cases.len());
    let broken: Vec<String> = futures_util::stream::iter(&cases)
        .map(|case| case.try_out(&proxy))
        .buffered(AT_ONCE)
        .filter_map(async |broken| broken.err())
        .collect()
        .await;
    assert!(broken.is_empty(), "{} of {}:\n{}", broken.len(), cases.len(), broken.join("\n"));
    // Whatever they did, others are served.
    let next = case("the next one", &[frame(HEADERS, WHOLE, 1, block(&GET))], Expected::Answer(1));
    next.try_out(&proxy).await.unwrap();
}

impl Case {
    async fn try_out(&self, proxy: &Proxy) -> Result<(), String> {
        let mut talk = if self.bare { Talk::begin(proxy).await } else { Talk::greet(proxy).await };
        let mut seen = Vec::new();
        for step in &self.steps {
            match step {
                Step::Send(bytes) => talk.send(bytes).await,
                Step::Await(kind, stream) => {
                    while let Some(frame) = timeout(SURELY, talk.next()).await.expect(self.rule) {
                        if (frame.kind, frame.stream) == (*kind, *stream) {
                            break;
                        }
                        seen.push(frame);
                    }
                }
            }
        }
        if matches!(self.expected, Expected::Alive) {
            talk.send(&frame(PING, 0, 0, SIGN)).await;
        }
        loop {
            let Ok(next) = timeout(SURELY, talk.next()).await else {
                return Err(format!("{}: nothing comes after {seen:?}", self.rule));
            };
            if let Some(kept) = self.expected.judge(next.as_ref()) {
                let told = || format!("{}: not {:?} but {next:?} after {seen:?}", self.rule, self.expected);
                return if kept { Ok(()) } else { Err(told()) };
            }
            seen.extend(next);
        }
    }
}

impl Expected {
    /// Whether the rule is kept, once that is certain.
    fn judge(&self, frame: Option<&Frame>) -> Option<bool> {
        let Some(frame) = frame else { return Some(matches!(self, Self::Ends(_) | Self::Resets(..))) };
        let given = |codes: &[u32]| frame.code().is_some_and(|code| codes.contains(&code));
        match (self, frame.kind) {
            (Self::Ends(codes) | Self::Resets(_, codes), GOAWAY) => Some(given(codes)),
            (Self::Resets(stream, codes), RST_STREAM) if frame.stream == *stream => Some(given(codes)),
            (Self::Resets(stream, _), HEADERS) if frame.stream == *stream => {
                Some(frame.status() != Some(200))
            }
            (Self::Answer(stream), HEADERS) if frame.stream == *stream => Some(frame.status() == Some(200)),
            (Self::Answer(stream), RST_STREAM) if frame.stream == *stream => Some(false),
            (Self::Alive, PING) if frame.payload == SIGN => Some(frame.flags & ACK != 0),
            (Self::Alive, PING) if frame.payload == UNASKED => Some(false),
            (Self::Data(length), DATA) => Some(frame.payload.len() == *length),
            (_, GOAWAY) => Some(false),
            _ => None,
        }
    }
}
