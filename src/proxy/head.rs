//! The head of a request as bytes: where it ends, and what hyper would not tell about how it is framed.
//!
//! Stricter than hyper and never laxer: a line ends with CRLF and nothing else, one framing, sizes bounded.

use bytes::{Buf, BytesMut};

use super::limits::{FIELD_BYTES, HEAD_BYTES, TARGET_BYTES};
use super::refusal::Refusal;

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// A body of this many bytes, and then another head.
    Body(u64),
    /// Chunks; hyper finds their end, so nothing is read after them.
    Chunks,
    /// Whatever both sides agree on.
    Upgrade,
}

/// How much of a head is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// All of it, in so many bytes.
    Whole(usize),
    /// Not all of it yet.
    Partial,
    /// More than anyone needs.
    TooLong,
}

/// Finds the end of a head over several reads.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// Bytes already looked at.
    seen: usize,
    /// Where the line being read began.
    line: usize,
    bare_line_feed: bool,
}

impl Scanner {
    /// Drops the empty lines that may stand before a request (RFC 9112, 2.2).
    pub(super) fn skip_empty_lines(&mut self, bytes: &mut BytesMut) {
        while bytes.starts_with(b"\r\n") {
            bytes.advance(2);
            *self = Self::default();
        }
    }

    /// Looks at the bytes that have come since the last call.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Scan {
        while let Some(offset) = bytes.get(self.seen..).and_then(|rest| rest.iter().position(|b| *b == b'\n'))
        {
            let end = self.seen + offset;
            self.seen = end + 1;
            let line = bytes.get(self.line..end).unwrap_or_default();
            self.line = self.seen;
            match line {
                b"\r" => return Scan::Whole(self.seen).within(HEAD_BYTES),
                // hyper takes this for the end, so it must be one here too.
                b"" => {
                    self.bare_line_feed = true;
                    return Scan::Whole(self.seen).within(HEAD_BYTES);
                }
                [.., b'\r'] => {}
                _ => self.bare_line_feed = true,
            }
        }
        self.seen = bytes.len();
        Scan::Partial.within(HEAD_BYTES.saturating_sub(self.seen))
    }

    /// What follows the whole head that was found, or why it is refused.
    pub(super) fn judge(&self, head: &[u8]) -> Result<After, Refusal> {
        if self.bare_line_feed {
            return Err(Refusal::Malformed("a line does not end with CR LF"));
        }
        let mut lines = head.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let target = lines.next().and_then(|line| line.split(|b| *b == b' ').nth(1)).unwrap_or_default();
        if target.len() > TARGET_BYTES {
            return Err(Refusal::TargetTooLong);
        }
        let mut framing = Framing::default();
        for line in lines.filter(|line| !line.is_empty()) {
            framing.field(line)?;
        }
        framing.after()
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

/// The fields that say how long a message is.
#[derive(Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
    websocket: bool,
}

impl Framing {
    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if line.len() > FIELD_BYTES {
            return Err(Refusal::HeadTooLarge);
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else {
            return Err(Refusal::Malformed("a header field has no colon"));
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.websocket |= value.eq_ignore_ascii_case(b"websocket");
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.length(value)?,
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::Malformed("Transfer-Encoding is not exactly `chunked`"));
                }
                self.chunked = true;
            }
            _ if line.starts_with(b" ") || line.starts_with(b"\t") => {
                return Err(Refusal::Malformed("a header field is folded over lines"));
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

    fn after(self) -> Result<After, Refusal> {
        match self {
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
    use super::*;

    fn check(head: &str, expected: Result<After, &str>) {
        let mut scanner = Scanner::default();
        assert_eq!(scanner.scan(head.as_bytes()), Scan::Whole(head.len()), "{head:?}");
        match (scanner.judge(head.as_bytes()), expected) {
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
            ("Content-Length: 5\n", Err("CR LF")),
            ("A: b\r\n c: d\r\n", Err("folded")),
            ("nonsense\r\n", Err("no colon")),
        ] {
            check(&head(fields), expected);
        }
    }

    #[test]
    fn sizes() {
        check(&format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(TARGET_BYTES)), Err("address"));
        check(&format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(FIELD_BYTES)), Err("header"));
        let long = format!("GET / HTTP/1.1\r\n{}", "A: b\r\n".repeat(HEAD_BYTES / 6));
        assert_eq!(Scanner::default().scan(long.as_bytes()), Scan::TooLong);
    }

    #[test]
    fn a_head_in_single_bytes() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nrest";
        let mut scanner = Scanner::default();
        for end in 0..head.len() - 4 {
            assert_eq!(scanner.scan(&head[..end]), Scan::Partial);
        }
        assert_eq!(scanner.scan(head), Scan::Whole(head.len() - 4));
    }
}
