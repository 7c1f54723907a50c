//! A head as bytes: where it ends, and which framing a request has: one, or none at all.

use bytes::{Buf, BytesMut};

use crate::proxy::refusal::Refusal;

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum After {
    /// A body of this many bytes, and then another head.
    Body(u64),
    /// Chunks; nothing is read after them.
    Chunks,
    /// Whatever both sides agree on.
    Upgrade,
}

/// How much of a head is there.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Scan {
    /// All of it, in so many bytes.
    Whole(usize),
    /// Not all of it yet.
    Partial,
    /// More than anyone needs.
    TooLong,
}

/// Finds the end of a head over several reads.
#[derive(Debug)]
pub(in crate::proxy) struct Scanner {
    /// The bytes that a head may have.
    limit: usize,
    /// Bytes already looked at.
    seen: usize,
    /// Where the line being read began.
    line: usize,
    loose: bool,
}

impl Scanner {
    /// For heads of at most so many bytes.
    pub(in crate::proxy) fn new(limit: usize) -> Self {
        Self { limit, seen: 0, line: 0, loose: false }
    }

    /// Drops the empty lines that may stand before a request (RFC 9112, 2.2).
    pub(in crate::proxy) fn skip_empty_lines(&mut self, bytes: &mut BytesMut) {
        while bytes.starts_with(b"\r\n") {
            bytes.advance(2);
            *self = Self::new(self.limit);
        }
    }

    /// Looks at the bytes that have come since the last call.
    pub(in crate::proxy) fn scan(&mut self, bytes: &[u8]) -> Scan {
        while let Some(offset) = bytes.get(self.seen..).and_then(|rest| memchr::memchr(b'\n', rest)) {
            let end = self.seen + offset;
            self.seen = end + 1;
            let line = bytes.get(self.line..end).unwrap_or_default();
            self.line = self.seen;
            match line {
                b"\r" => return Scan::Whole(self.seen).within(self.limit),
                // Others take this for the end, so it must be one here too.
                b"" => {
                    self.loose = true;
                    return Scan::Whole(self.seen).within(self.limit);
                }
                [.., b'\r'] => {}
                _ => self.loose = true,
            }
        }
        self.seen = bytes.len();
        Scan::Partial.within(self.limit.saturating_sub(self.seen))
    }

    /// Whether a line of what was found ends otherwise than with CR LF.
    pub(in crate::proxy) fn is_loose(&self) -> bool {
        self.loose
    }
}

impl Scan {
    fn within(self, limit: usize) -> Self {
        match self {
            Self::Whole(length) if length > limit => Self::TooLong,
            Self::Partial if limit == 0 => Self::TooLong,
            Self::Whole(_) | Self::Partial | Self::TooLong => self,
        }
    }
}

/// The fields of a request that say how long it is.
#[derive(Default)]
pub(in crate::proxy) struct Framing {
    length: Option<u64>,
    chunked: bool,
    websocket: bool,
}

impl Framing {
    /// Takes in one field.
    pub(in crate::proxy) fn field(&mut self, name: &str, value: &[u8]) -> Result<(), Refusal> {
        match name.len() {
            7 if name.eq_ignore_ascii_case("upgrade") => {
                self.websocket |= value.eq_ignore_ascii_case(b"websocket");
            }
            14 if name.eq_ignore_ascii_case("content-length") => self.length(value)?,
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::Malformed("Transfer-Encoding is not exactly `chunked`"));
                }
                self.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if self.length.is_some() {
            return Err(Refusal::Malformed("Content-Length is given twice"));
        }
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        self.length = Some(length.ok_or(Refusal::Malformed("Content-Length is not a number"))?);
        Ok(())
    }

    /// What they say together, in HTTP/1.0 or HTTP/1.1.
    pub(in crate::proxy) fn after(self, minor: u8) -> Result<After, Refusal> {
        match self {
            Self { chunked: true, .. } if minor == 0 => {
                Err(Refusal::Malformed("there is a Transfer-Encoding in HTTP/1.0"))
            }
            Self { length: Some(_), chunked: true, .. } => {
                Err(Refusal::Malformed("both Content-Length and Transfer-Encoding are given"))
            }
            Self { chunked: true, .. } => Ok(After::Chunks),
            Self { length: None | Some(0), websocket: true, .. } => Ok(After::Upgrade),
            Self { length, .. } => Ok(After::Body(length.unwrap_or(0))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message;
    use super::*;
    use crate::proxy::limits::{FIELD_BYTES, HEAD_BYTES, TARGET_BYTES};

    fn check(head: &str, expected: Result<After, &str>) {
        let mut scanner = Scanner::new(HEAD_BYTES);
        assert_eq!(scanner.scan(head.as_bytes()), Scan::Whole(head.len()), "{head:?}");
        assert!(!scanner.is_loose(), "{head:?}");
        let read = message::request(&head.to_owned().into());
        match (read.after, expected) {
            (Ok(after), Ok(expected)) => assert_eq!(after, expected, "{head:?}"),
            (Err(refusal), Err(words)) => {
                assert!(refusal.to_string().contains(words), "{head:?} gave {refusal}");
            }
            (got, expected) => panic!("{head:?} gave {got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn one_framing() {
        let head = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        for (fields, expected) in [
            ("", Ok(After::Body(0))),
            ("Content-Length: 12\r\n", Ok(After::Body(12))),
            ("content-LENGTH:12 \r\n", Ok(After::Body(12))),
            ("Transfer-Encoding: Chunked\r\n", Ok(After::Chunks)),
            ("Upgrade: websocket\r\n", Ok(After::Upgrade)),
            ("Upgrade: h2c\r\n", Ok(After::Body(0))),
            ("Upgrade: websocket\r\nContent-Length: 3\r\n", Ok(After::Body(3))),
            ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", Err("both")),
            ("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", Err("both")),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Err("twice")),
            ("Content-Length: 5, 5\r\n", Err("not a number")),
            ("Content-Length: +5\r\n", Err("not a number")),
            ("Content-Length: 99999999999999999999\r\n", Err("not a number")),
            ("Content-Length:\r\n", Err("not a number")),
            ("Transfer-Encoding: gzip, chunked\r\n", Err("exactly `chunked`")),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err("exactly")),
            ("Transfer-Encoding: xchunked\r\n", Err("exactly")),
            ("A: b\r\n c: d\r\n", Err("not one of HTTP")),
            ("nonsense\r\n", Err("not one of HTTP")),
        ] {
            check(&head(fields), expected);
        }
    }

    #[test]
    fn sizes() {
        check(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(TARGET_BYTES)), Err("address"));
        check(&format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(FIELD_BYTES)), Err("header"));
        let long = format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(HEAD_BYTES / 6));
        assert_eq!(Scanner::new(HEAD_BYTES).scan(long.as_bytes()), Scan::TooLong);
    }

    #[test]
    fn lines_end_with_both() {
        for head in
            ["GET / HTTP/1.1\r\nHost: a\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\n", "GET / HTTP/1.1\n\n"]
        {
            let mut scanner = Scanner::new(HEAD_BYTES);
            assert_eq!(scanner.scan(head.as_bytes()), Scan::Whole(head.len()), "{head:?}");
            assert!(scanner.is_loose(), "{head:?}");
        }
    }

    #[test]
    fn a_head_in_single_bytes() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        let mut scanner = Scanner::new(HEAD_BYTES);
        for end in 0..head.len() - 4 {
            assert_eq!(scanner.scan(&head[..end]), Scan::Partial);
        }
        assert_eq!(scanner.scan(head), Scan::Whole(head.len() - 4));
    }
}
