//! What the clients of Redis and Valkey leave behind a file of all that the server holds: where it is sent as it is made,
//! forty hexadecimal digits mark its end, and a client that writes to its standard output does not take them off.
//!
//! The file itself ends with the byte 255 and eight bytes of a checksum, so that none ends with forty such digits.

use std::io::{self, Read};

/// How long the mark is.
const MARK: usize = 40;
/// How much is read at once, in bytes.
const PIECE: usize = 64 << 10;

/// All that a reader has, but for the mark at its end.
pub(super) struct Unmarked<R> {
    from: R,
    held: Vec<u8>,
    ended: bool,
}

impl<R: Read> Unmarked<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, held: Vec::new(), ended: false }
    }

    fn fill(&mut self) -> io::Result<()> {
        let begin = self.held.len();
        self.held.resize(begin + PIECE, 0);
        let read = self.held.get_mut(begin..).map_or(Ok(0), |room| self.from.read(room));
        self.held.truncate(begin + read.as_ref().copied().unwrap_or_default());
        self.ended = read? == 0;
        let is_mark = self.held.len() == MARK && self.held.iter().all(u8::is_ascii_hexdigit);
        if self.ended && is_mark {
            self.held.clear();
        }
        Ok(())
    }
}

impl<R: Read> Read for Unmarked<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while !self.ended && self.held.len() <= MARK {
            match self.fill() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                filled => filled?,
            }
        }
        let kept = if self.ended { 0 } else { MARK };
        let given = (self.held.len() - kept).min(to.len());
        for (place, byte) in to.iter_mut().zip(self.held.drain(..given)) {
            *place = byte;
        }
        Ok(given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives what it has in pieces of this many bytes.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(to.len()).min(self.0.len());
            to[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    #[test]
    fn only_a_mark_at_the_end_is_taken_off() {
        let mark = "0123456789abcdef0123456789abcdef01234567".as_bytes();
        let file: Vec<u8> = (0..70_000_u32).map(|number| number.to_le_bytes()[0]).chain([255; 9]).collect();
        let hexadecimal = b"ab".repeat(60);
        for (sent, expect) in [
            ([&file, mark].concat(), file.clone()),
            (file.clone(), file.clone()),
            ([mark, &file].concat(), [mark, &file].concat()),
            ([&file[..200], mark].concat(), file[..200].to_vec()),
            (Vec::new(), Vec::new()),
            (b"short".to_vec(), b"short".to_vec()),
            (hexadecimal.clone(), hexadecimal[..80].to_vec()),
        ] {
            // Small ones meet each place of the mark, and are slow with what is much larger.
            let pieces: &[usize] = if sent.len() < 1_000 { &[1, 39, 40, 41] } else { &[997, 100_000] };
            for &piece in pieces {
                let mut seen = Vec::new();
                Unmarked::new(Slowly(&sent, piece)).read_to_end(&mut seen).unwrap();
                assert!(seen == expect, "{} of {} bytes in pieces of {piece}", seen.len(), sent.len());
            }
        }
    }
}
