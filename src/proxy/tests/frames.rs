//! HTTP/2 in bytes: frames and fields that no library would send, and what comes back.

use tokio_rustls::client::TlsStream;

use super::secure::{VERSIONS, client};
use super::*;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 0x1;
pub(super) const END_STREAM: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
/// Of HEADERS: a priority stands before the fields.
pub(super) const WITH_PRIORITY: u8 = 0x20;
/// A whole request in one frame.
pub(super) const WHOLE: u8 = END_STREAM | END_HEADERS;

/// The pseudo-fields of `GET https://a.test/`.
pub(super) const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "a.test")];
pub(super) const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "https"), (":path", "/"), (":authority", "a.test")];

/// A frame as it stands in the stream (RFC 9113, 4.1).
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The preface of a client and empty settings.
pub(super) fn preface() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, [])[..]].concat()
}

/// Fields as literals that are not indexed and not in Huffman's code (RFC 7541, 6.2.2).
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| [&[0][..], &text(name), &text(value)].concat()).collect()
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    match text.len().checked_sub(127) {
        None => bytes.push(u8::try_from(text.len()).unwrap()),
        Some(mut more) => {
            bytes.push(127);
            while more >= 128 {
                bytes.push(u8::try_from(more % 128).unwrap() | 128);
                more /= 128;
            }
            bytes.push(u8::try_from(more).unwrap());
        }
    }
    [&bytes, text.as_bytes()].concat()
}

/// What the proxy sent.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The reason in a `RST_STREAM` or a `GOAWAY`.
    pub(super) fn code(&self) -> Option<u32> {
        let at = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        Some(u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap()))
    }

    /// The status in HEADERS, of those that have a number of their own (RFC 7541, appendix A).
    pub(super) fn status(&self) -> Option<u16> {
        let known = [200, 204, 206, 304, 400, 404, 500];
        // Before it a new size of the table may be told.
        let mut fields =
            self.payload.iter().skip_while(|byte| **byte >> 5 == 1).filter(|_| self.kind == HEADERS);
        let first = usize::from(*fields.next()?);
        known.get(first.checked_sub(0x88)?).copied()
    }
}

/// A connection with TLS on which HTTP/2 is spoken.
pub(super) struct Talk(TlsStream<TcpStream>);

impl Talk {
    pub(super) async fn begin(proxy: &Proxy) -> Self {
        Self(proxy.greet(&client(&VERSIONS, &[b"h2"]), "a.test").await.unwrap())
    }

    /// The proxy may have heard enough before all was said.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        let _heard = async {
            self.0.write_all(bytes).await?;
            self.0.flush().await
        }
        .await;
    }

    /// The next frame; none at the end of the connection.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        let reading = async {
            self.0.read_exact(&mut head).await?;
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            self.0.read_exact(&mut payload).await?;
            Ok::<_, std::io::Error>(payload)
        };
        let payload = reading.await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Greets, and waits until the proxy has said its settings and taken these.
    pub(super) async fn greet(proxy: &Proxy) -> Self {
        let mut talk = Self::begin(proxy).await;
        talk.send(&preface()).await;
        let (mut said, mut taken) = (false, false);
        while !said || !taken {
            let frame = timeout(SURELY, talk.next()).await.expect("a frame").expect("settings");
            if frame.kind == SETTINGS {
                if frame.flags & ACK == 0 { said = true } else { taken = true }
            }
        }
        talk.send(&frame(SETTINGS, ACK, 0, [])).await;
        talk
    }
}
