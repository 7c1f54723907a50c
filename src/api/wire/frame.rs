//! What goes over a connection once `exec` was granted: frames of one byte that says what, four that say how long
//! (big-endian), and the bytes. Standard input, window sizes and the end of input go in; standard output, standard
//! error and the end come out.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio_util::codec::{Decoder, Encoder};
use utoipa::ToSchema;

/// A command to run in a container; frames are what follows the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Give it a terminal of so many rows and columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<Window>,
}

/// The size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Its height.
    pub rows: u16,
    /// Its width.
    pub columns: u16,
}

/// The protocol, as it is asked for in the field `Upgrade`.
pub const PROTOCOL: &str = "rivetr-exec";
/// The longest frame, in bytes.
const FRAME_MAX: usize = 1 << 20;
const HEAD: usize = 5;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// For standard input; empty: it ends.
    Input(Bytes),
    /// From standard output, or from the terminal.
    Output(Bytes),
    /// From standard error.
    Error(Bytes),
    /// The terminal has this size now.
    Window(Window),
    /// The command has ended with this status.
    Exit(i32),
    /// The session broke off, and why.
    Broken(String),
}

/// Reads and writes frames.
#[derive(Debug, Clone, Copy, Default)]
pub struct Frames;

impl Encoder<Frame> for Frames {
    type Error = io::Error;

    fn encode(&mut self, frame: Frame, to: &mut BytesMut) -> io::Result<()> {
        let (kind, bytes) = match frame {
            Frame::Input(bytes) => (0, bytes),
            Frame::Output(bytes) => (1, bytes),
            Frame::Error(bytes) => (2, bytes),
            Frame::Window(Window { rows, columns }) => {
                let [a, b] = rows.to_be_bytes();
                let [c, d] = columns.to_be_bytes();
                (3, Bytes::copy_from_slice(&[a, b, c, d]))
            }
            Frame::Exit(status) => (4, Bytes::copy_from_slice(&status.to_be_bytes())),
            Frame::Broken(why) => (5, Bytes::from(why)),
        };
        let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= FRAME_MAX);
        let length = length.ok_or_else(|| wrong("a frame is too long"))?;
        to.reserve(HEAD + bytes.len());
        to.put_u8(kind);
        to.put_u32(length);
        to.put(bytes);
        Ok(())
    }
}

impl Decoder for Frames {
    type Item = Frame;
    type Error = io::Error;

    fn decode(&mut self, from: &mut BytesMut) -> io::Result<Option<Frame>> {
        let Some([kind, a, b, c, d]) = from.first_chunk::<HEAD>().copied() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > FRAME_MAX {
            return Err(wrong("a frame is too long"));
        }
        if from.len() < HEAD + length {
            return Ok(None);
        }
        from.advance(HEAD);
        let bytes = from.split_to(length).freeze();
        let four = || bytes.first_chunk::<4>().copied().filter(|_| length == 4);
        let frame = match kind {
            0 => Some(Frame::Input(bytes)),
            1 => Some(Frame::Output(bytes)),
            2 => Some(Frame::Error(bytes)),
            3 => four().map(|[a, b, c, d]| {
                let (rows, columns) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                Frame::Window(Window { rows, columns })
            }),
            4 => four().map(|status| Frame::Exit(i32::from_be_bytes(status))),
            5 => Some(Frame::Broken(String::from_utf8_lossy(&bytes).into_owned())),
            _ => None,
        };
        frame.map(Some).ok_or_else(|| wrong("a frame is not understood"))
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_come_as_they_were_sent_in_pieces_too() {
        let frames = [
            Frame::Input(Bytes::from_static(b"ls\n")),
            Frame::Input(Bytes::new()),
            Frame::Output(Bytes::from_static(&[0, 255])),
            Frame::Error(Bytes::from_static(b"no")),
            Frame::Window(Window { rows: 24, columns: 300 }),
            Frame::Exit(-1),
            Frame::Broken("gone".to_owned()),
        ];
        let mut sent = BytesMut::new();
        for frame in frames.clone() {
            Frames.encode(frame, &mut sent).unwrap();
        }
        let (mut arrived, mut seen) = (BytesMut::new(), Vec::new());
        for byte in sent {
            arrived.put_u8(byte);
            seen.extend(Frames.decode(&mut arrived).unwrap());
        }
        assert_eq!(seen, frames);
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bad in
            [&[9, 0, 0, 0, 0][..], &[0, 255, 0, 0, 0], &[3, 0, 0, 0, 1, 0], &[4, 0, 0, 0, 5, 0, 0, 0, 0, 0]]
        {
            assert!(Frames.decode(&mut BytesMut::from(bad)).is_err(), "{bad:?}");
        }
        let long = Frame::Output(vec![0; FRAME_MAX + 1].into());
        assert!(Frames.encode(long, &mut BytesMut::new()).is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_strangers_send_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut bytes = BytesMut::from(&*bytes);
            while let Ok(Some(_)) = Frames.decode(&mut bytes) {}
        }
    }
}
