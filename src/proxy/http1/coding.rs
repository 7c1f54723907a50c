//! How a body is framed: by a length, in chunks (RFC 9112, 7.1), or by the end of its connection.
//!
//! Chunks are read by the letter: a size is hexadecimal digits, a line ends with CR LF.

use http::HeaderMap;
use thiserror::Error;

use super::message;

/// The bytes of all chunk extensions of one body; nobody uses any.
const EXTENSIONS: u32 = 16 * 1024;
/// The bytes of the fields behind the last chunk.
const TRAILERS: usize = 16 * 1024;

/// A body that is not framed as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(in crate::proxy) enum BadCoding {
    /// What should be a chunk is none.
    #[error("a chunk is malformed")]
    Chunk,
    /// Behind the last chunk is more than fields, or too much.
    #[error("the trailers are malformed")]
    Trailers,
    /// The connection ended first.
    #[error("the body broke off")]
    Short,
}

/// Follows a body through the bytes of its connection.
#[derive(Debug)]
pub(in crate::proxy) struct Decoder {
    state: State,
    /// Whether white space may stand behind the size of a chunk, as some servers pad it.
    padded: bool,
    extensions: u32,
    trailers: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length(u64),
    UntilClose,
    Size { size: u64, digits: u8 },
    Padding(u64),
    Extension(u64),
    SizeEnd(u64),
    Chunk(u64),
    ChunkEnd,
    ChunkFeed,
    Trailers,
    Done,
}

/// What was found in some bytes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Decoded {
    /// So many bytes of the body, which now stand in front.
    pub(in crate::proxy) data: usize,
    /// So many bytes were read; what follows them is not of this body.
    pub(in crate::proxy) read: usize,
}

impl Decoder {
    /// A body of so many bytes.
    pub(in crate::proxy) fn length(length: u64) -> Self {
        Self::new(if length == 0 { State::Done } else { State::Length(length) }, false)
    }

    /// The chunks of a client.
    pub(in crate::proxy) fn chunks() -> Self {
        Self::new(State::Size { size: 0, digits: 0 }, false)
    }

    /// The chunks of a target.
    pub(in crate::proxy) fn padded_chunks() -> Self {
        Self::new(State::Size { size: 0, digits: 0 }, true)
    }

    /// All that comes.
    pub(in crate::proxy) fn until_close() -> Self {
        Self::new(State::UntilClose, false)
    }

    fn new(state: State, padded: bool) -> Self {
        Self { state, padded, extensions: 0, trailers: Vec::new() }
    }

    /// Whether nothing more of it is to be read.
    pub(in crate::proxy) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the fields behind it were taken, too.
    pub(in crate::proxy) fn is_over(&self) -> bool {
        // The line that ends them is there where there are none.
        self.is_done() && self.trailers.len() <= 2
    }

    /// How many bytes are left, if that is known.
    pub(in crate::proxy) fn left(&self) -> Option<u64> {
        if let State::Length(left) = self.state { Some(left) } else { self.is_done().then_some(0) }
    }

    /// Reads on. What is of the body is moved to the front of `bytes`.
    pub(in crate::proxy) fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, BadCoding> {
        let (mut data, mut read) = (0, 0);
        while read < bytes.len() && self.state != State::Done {
            let rest = bytes.len() - read;
            let taken = if let State::Length(left) | State::Chunk(left) = &mut self.state {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest);
                *left -= u64::try_from(taken).unwrap_or(*left);
                taken
            } else if self.state == State::UntilClose {
                rest
            } else {
                let byte = bytes.get(read).copied().unwrap_or_default();
                read += 1;
                self.step(byte)?;
                continue;
            };
            if data != read {
                bytes.copy_within(read..read + taken, data);
            }
            (data, read) = (data + taken, read + taken);
            if self.state == State::Length(0) {
                self.state = State::Done;
            } else if self.state == State::Chunk(0) {
                self.state = State::ChunkEnd;
            }
        }
        Ok(Decoded { data, read })
    }

    /// So many bytes of a body of known length were read by others.
    pub(in crate::proxy) fn pass(&mut self, bytes: u64) {
        if let State::Length(left) = &mut self.state {
            *left = left.saturating_sub(bytes);
            if *left == 0 {
                self.state = State::Done;
            }
        }
    }

    /// The connection has ended.
    pub(in crate::proxy) fn close(&mut self) -> Result<(), BadCoding> {
        if !matches!(self.state, State::UntilClose | State::Done) {
            return Err(BadCoding::Short);
        }
        self.state = State::Done;
        Ok(())
    }

    /// The fields behind the last chunk, once.
    pub(in crate::proxy) fn trailers(&mut self) -> Result<Option<HeaderMap>, BadCoding> {
        if !self.is_done() || self.is_over() {
            return Ok(None);
        }
        let fields = message::fields(&std::mem::take(&mut self.trailers).into());
        fields.map(Some).ok_or(BadCoding::Trailers)
    }

    fn step(&mut self, byte: u8) -> Result<(), BadCoding> {
        self.state = match (self.state, byte) {
            (State::Size { size, digits: 1.. } | State::Padding(size) | State::Extension(size), b'\r') => {
                State::SizeEnd(size)
            }
            (State::Size { size, digits: 1.. } | State::Padding(size), b';') => State::Extension(size),
            (State::Size { size, digits: 1.. } | State::Padding(size), b' ' | b'\t') if self.padded => {
                State::Padding(size)
            }
            (State::Size { size, digits: digits @ ..16 }, _) => {
                let digit = char::from(byte).to_digit(16).ok_or(BadCoding::Chunk)?;
                State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (State::Extension(size), b'\t' | b' '..=b'~' | 0x80..) if self.extensions < EXTENSIONS => {
                self.extensions += 1;
                State::Extension(size)
            }
            (State::SizeEnd(0), b'\n') => State::Trailers,
            (State::SizeEnd(size), b'\n') => State::Chunk(size),
            (State::ChunkEnd, b'\r') => State::ChunkFeed,
            (State::ChunkFeed, b'\n') => State::Size { size: 0, digits: 0 },
            (State::Trailers, _) => self.trailer(byte)?,
            _ => return Err(BadCoding::Chunk),
        };
        Ok(())
    }

    fn trailer(&mut self, byte: u8) -> Result<State, BadCoding> {
        if self.trailers.len() >= TRAILERS {
            return Err(BadCoding::Trailers);
        }
        self.trailers.push(byte);
        if byte != b'\n' {
            return Ok(State::Trailers);
        }
        match self.trailers.as_slice() {
            b"\r\n" | [.., b'\n', b'\r', b'\n'] => Ok(State::Done),
            [.., b'\r', b'\n'] => Ok(State::Trailers),
            _ => Err(BadCoding::Trailers),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a decoder makes of bytes that come in pieces: the body, what is left, and the trailers.
    fn run(mut decoder: Decoder, bytes: &[u8], piece: usize) -> Result<(Vec<u8>, usize, usize), BadCoding> {
        let (mut body, mut read) = (Vec::new(), 0);
        for piece in bytes.chunks(piece) {
            let mut piece = piece.to_vec();
            let found = decoder.decode(&mut piece)?;
            body.extend_from_slice(&piece[..found.data]);
            read += found.read;
            if decoder.is_done() {
                break;
            }
        }
        if !decoder.is_done() {
            decoder.close()?;
        }
        let trailers = decoder.trailers()?.map_or(0, |fields| fields.len());
        Ok((body, bytes.len() - read, trailers))
    }

    fn check(decoder: impl Fn() -> Decoder, bytes: &str, expected: Result<(&str, usize, usize), BadCoding>) {
        let expected = expected.map(|(body, left, trailers)| (body.as_bytes().to_vec(), left, trailers));
        for piece in [1, 2, 3, 7, 4096] {
            assert_eq!(run(decoder(), bytes.as_bytes(), piece), expected, "{bytes:?} in pieces of {piece}");
        }
    }

    #[test]
    fn lengths_and_ends() {
        check(|| Decoder::length(5), "helloGET /", Ok(("hello", 5, 0)));
        check(|| Decoder::length(0), "GET /", Ok(("", 5, 0)));
        check(|| Decoder::length(6), "hello", Err(BadCoding::Short));
        check(Decoder::until_close, "hello", Ok(("hello", 0, 0)));
    }

    #[test]
    fn chunks_by_the_letter() {
        let chunks = Decoder::chunks;
        check(chunks, "5\r\nhello\r\n0\r\n\r\nGET /", Ok(("hello", 5, 0)));
        check(chunks, "5;a=\"b c\"\r\nhello\r\n1\r\n!\r\n00\r\nX: y\r\nZ: a\r\n\r\n", Ok(("hello!", 0, 2)));
        check(chunks, "A\r\n0123456789\r\n0000000000000000\r\n\r\n", Ok(("0123456789", 0, 0)));
        for bad in [
            "5\nhello\r\n0\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            "5;a\nb\r\nhello\r\n0\r\n\r\n",
            "5;a\rb\r\nhello\r\n0\r\n\r\n",
            "5;\0\r\nhello\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "+5\r\nhello\r\n0\r\n\r\n",
            "5\r\nhelloXX0\r\n\r\n",
            "5\r\nhello\n0\r\n\r\n",
            "\r\nhello\r\n0\r\n\r\n",
            ";a\r\nhello\r\n0\r\n\r\n",
            "00000000000000005\r\nhello\r\n0\r\n\r\n",
        ] {
            check(chunks, bad, Err(BadCoding::Chunk));
        }
        for bad in ["0\r\nX: y\n\r\n", "0\r\nno colon\r\n\r\n", "0\r\n folded: x\r\n\r\n", "0\r\n\n"] {
            check(chunks, bad, Err(BadCoding::Trailers));
        }
        check(chunks, "5\r\nhel", Err(BadCoding::Short));
        check(chunks, "0\r\n", Err(BadCoding::Short));
        check(chunks, &format!("0\r\nX: {}\r\n\r\n", "y".repeat(TRAILERS)), Err(BadCoding::Trailers));
        check(chunks, &"1;aaaaaaaaaaaaaaa\r\nx\r\n".repeat(1100), Err(BadCoding::Chunk));
    }

    #[test]
    fn a_target_may_pad() {
        check(Decoder::padded_chunks, "5  \r\nhello\r\n0 ;x\r\n\r\n", Ok(("hello", 0, 0)));
        check(Decoder::padded_chunks, "5 5\r\nhello\r\n0\r\n\r\n", Err(BadCoding::Chunk));
        check(Decoder::padded_chunks, " 5\r\nhello\r\n0\r\n\r\n", Err(BadCoding::Chunk));
    }

    proptest! {
        #[test]
        fn what_was_cut_into_chunks_is_whole_again(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            piece in 1_usize..50,
        ) {
            let mut bytes = Vec::new();
            for chunk in &chunks {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\nrest");
            prop_assert_eq!(run(Decoder::chunks(), &bytes, piece).map(|(body, ..)| body), Ok(chunks.concat()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1_usize..50) {
            let _any = run(Decoder::chunks(), &bytes, piece);
        }
    }
}
