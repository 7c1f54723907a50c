//! What leaves this installation as a file of any length: compressed with Zstandard, sealed in the age format.
//!
//! Both ways in constant memory. It blocks: callers give it a thread.

use std::io::{self, Read, Write};

use ring::digest::{Context, Digest, SHA256};

use super::age::{self, Identity, NotOpened, Opener, Recipient, Sealer};

/// How hard it tries: the program's own default, beyond which dumps get hardly smaller and much slower.
const LEVEL: i32 = 3;
/// The largest window that a file may ask for, as a power of two in bytes: 8 MiB, which is what level 19 asks for.
const WINDOW_MAX: u32 = 23;
/// How much is read at a time, in bytes.
const PIECE: usize = 64 << 10;

/// What was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// How many bytes went in.
    pub plain: u64,
    /// How many came out.
    pub stored: u64,
    /// The SHA-256 of what came out.
    pub sha256: [u8; 32],
}

/// Compresses and seals all of `from` into `to`.
pub fn pack(from: &mut impl Read, to: impl Write, recipient: &Recipient) -> io::Result<Packed> {
    let sealer = Sealer::new(Measured::new(to), recipient)?;
    let mut encoder = zstd::Encoder::new(sealer, LEVEL)?;
    encoder.include_checksum(true)?;
    let plain = copy(from, &mut encoder)?;
    let measured = encoder.finish()?.finish()?;
    Ok(Packed { plain, stored: measured.bytes, sha256: measured.sha256() })
}

/// Opens and expands what [`pack`] made, as it is read. It is whole once the end has been reached without an error.
pub fn unpack<R: Read>(from: R, identity: &Identity) -> io::Result<impl Read + use<R>> {
    let mut decoder = zstd::Decoder::new(Opener::new(from, identity)?)?;
    decoder.window_log_max(WINDOW_MAX)?;
    Ok(Unpacked(decoder))
}

/// Passes on what one seal holds under another, which is whole only if the first one was.
pub fn reseal<R: Read, W: Write>(mut from: Opener<R>, mut to: Sealer<W>) -> io::Result<W> {
    copy(&mut from, &mut to)?;
    to.finish()
}

/// Copies in pieces; how many bytes there were.
pub fn copy(from: &mut (impl Read + ?Sized), to: &mut (impl Write + ?Sized)) -> io::Result<u64> {
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        let read = match from.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let Some(read @ [_, ..]) = piece.get(..read) else { return Ok(bytes) };
        to.write_all(read)?;
        bytes += u64::try_from(read.len()).unwrap_or(0);
    }
}

struct Unpacked<R: Read>(R);

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // A frame that is not whole although its seal is.
        self.0
            .read(into)
            .map_err(|error| age::instead(error, io::ErrorKind::UnexpectedEof, NotOpened::Damaged))
    }
}

/// Counts and digests what is written through it.
pub struct Measured<W> {
    to: W,
    digest: Context,
    /// How many bytes have passed.
    pub bytes: u64,
}

impl<W> Measured<W> {
    /// Nothing has passed yet.
    #[must_use]
    pub fn new(to: W) -> Self {
        Self { to, digest: Context::new(&SHA256), bytes: 0 }
    }

    /// The SHA-256 of all that has passed.
    #[must_use]
    pub fn sha256(self) -> [u8; 32] {
        let digest: Digest = self.digest.finish();
        digest.as_ref().try_into().unwrap_or_default()
    }
}

impl<W: Write> Write for Measured<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or_default());
        self.bytes += u64::try_from(written).unwrap_or(0);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_smaller_and_comes_back() {
        let identity = Identity::generate().unwrap();
        let text = b"INSERT INTO customer VALUES (1, 'Ada');\n".repeat(20_000);
        let mut file = Vec::new();
        let packed = pack(&mut &*text, &mut file, &identity.recipient()).unwrap();
        assert_eq!((packed.plain, packed.stored), (800_000, u64::try_from(file.len()).unwrap()));
        assert!(packed.stored < 20_000, "{}", packed.stored);
        assert_eq!(packed.sha256, ring::digest::digest(&SHA256, &file).as_ref());
        let mut back = Vec::new();
        unpack(&*file, &identity).unwrap().read_to_end(&mut back).unwrap();
        assert!(back == text);
        // Compressed, so a cut shows in the seal and not in the frame.
        let mut cut = unpack(&file[..file.len() - 1], &identity).unwrap();
        let error = cut.read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("changed or cut off"), "{error}");
    }

    #[test]
    fn nothing_is_a_file_too() {
        let identity = Identity::generate().unwrap();
        let mut file = Vec::new();
        assert_eq!(pack(&mut &b""[..], &mut file, &identity.recipient()).unwrap().plain, 0);
        let mut back = Vec::new();
        unpack(&*file, &identity).unwrap().read_to_end(&mut back).unwrap();
        assert!(back.is_empty());
    }

    /// What was sealed by somebody who has the public half, and is no frame or half a frame.
    #[test]
    fn a_seal_alone_is_not_believed() {
        let identity = Identity::generate().unwrap();
        let frame = zstd::encode_all(&b"canary"[..], 3).unwrap();
        for text in [&b"no frame"[..], &frame[..frame.len() - 3]] {
            let mut sealer = Sealer::new(Vec::new(), &identity.recipient()).unwrap();
            sealer.write_all(text).unwrap();
            let file = sealer.finish().unwrap();
            assert!(unpack(&*file, &identity).unwrap().read_to_end(&mut Vec::new()).is_err());
        }
    }
}
