//! Reads a zip file by its central directory: stored and deflated entries, without encryption and without the 64-bit
//! form, which smaller bounds than its own make needless (APPNOTE.TXT 6.3).

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use flate2::Crc;
use flate2::read::DeflateDecoder;

use super::ArchiveError;
use super::tree::Tree;

const END: [u8; 4] = *b"PK\x05\x06";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const LOCAL: [u8; 4] = *b"PK\x03\x04";
/// The end of the directory without its comment, and the longest comment, in bytes.
const END_LEN: usize = 22;
const COMMENT_MAX: u64 = 0xffff;
const CENTRAL_LEN: usize = 46;
const LOCAL_LEN: usize = 30;
/// Who packed it, when it was on Unix: then the mode is known.
const UNIX: u8 = 3;
const ENCRYPTED: u16 = 1;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// The type in a mode, and the types there are.
const TYPE: u32 = 0o170_000;
const LINK: u32 = 0o120_000;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SET_ID: u32 = 0o6000;
const EXECUTABLE: u32 = 0o100;

/// What the directory says of an entry.
struct Central {
    name: Vec<u8>,
    mode: Option<u32>,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    offset: u64,
}

pub(super) fn read(file: &File, length: u64, tree: &mut Tree) -> Result<(), ArchiveError> {
    let (count, start) = find_directory(file, length)?;
    let mut directory = BufReader::new(file);
    directory.seek(SeekFrom::Start(start)).map_err(ArchiveError::broken)?;
    for _ in 0..count {
        let entry = Central::read(&mut directory)?;
        take(file, &entry, tree)?;
    }
    Ok(())
}

/// How many entries there are, and where the first is told of.
fn find_directory(file: &File, length: u64) -> Result<(u16, u64), ArchiveError> {
    let from = length.saturating_sub(END_LEN as u64 + COMMENT_MAX);
    let mut tail = vec![0; usize::try_from(length - from).map_err(ArchiveError::broken)?];
    file.read_exact_at(&mut tail, from).map_err(ArchiveError::broken)?;
    let starts = (0..=tail.len().saturating_sub(END_LEN)).rev();
    let end = starts.filter_map(|at| tail.get(at..)).find(|end| {
        // The comment ends with the file: nothing else can be taken for the end.
        end.starts_with(&END)
            && u16_at(end, 20).is_some_and(|comment| END_LEN + usize::from(comment) == end.len())
    });
    let end = end.ok_or_else(|| ArchiveError::broken("it has no directory"))?;
    let found = u16_at(end, 10).zip(u32_at(end, 16));
    let (count, start) = found.ok_or_else(|| ArchiveError::broken("it was cut off"))?;
    if count == u16::MAX || start == u32::MAX {
        return Err(ArchiveError::broken("it has more than 65,534 entries or 4 GiB; send it as tar.gz"));
    }
    Ok((count, u64::from(start)))
}

impl Central {
    fn read(from: &mut impl Read) -> Result<Self, ArchiveError> {
        let head = exactly(from, CENTRAL_LEN)?;
        if !head.starts_with(&CENTRAL) {
            return Err(ArchiveError::broken("its directory is damaged"));
        }
        let short = |at| u16_at(&head, at).unwrap_or_default();
        let long = |at| u32_at(&head, at).unwrap_or_default();
        let name = exactly(from, usize::from(short(28)))?;
        exactly(from, usize::from(short(30)) + usize::from(short(32)))?;
        let by_unix = head.get(5) == Some(&UNIX);
        Ok(Self {
            name,
            mode: by_unix.then(|| long(38) >> 16),
            flags: short(8),
            method: short(10),
            crc: long(16),
            packed: u64::from(long(20)),
            size: u64::from(long(24)),
            offset: u64::from(long(42)),
        })
    }
}

fn take(file: &File, entry: &Central, tree: &mut Tree) -> Result<(), ArchiveError> {
    let refuse = |rule| Err(ArchiveError::refused(&entry.name, rule));
    let mode = entry.mode.unwrap_or(0);
    let kind = mode & TYPE;
    if entry.flags & ENCRYPTED != 0 {
        return refuse("it is encrypted");
    }
    if kind == DIRECTORY || kind == 0 && entry.name.ends_with(b"/") {
        return tree.directory(&entry.name);
    }
    if !matches!(kind, 0 | REGULAR | LINK) {
        return refuse("only files, directories and symbolic links are taken");
    }
    if kind != LINK && mode & SET_ID != 0 {
        return refuse("it would run as its owner (setuid or setgid)");
    }
    let packed = Packed { file, at: data_of(file, entry)?, left: entry.packed };
    let data: Box<dyn Read> = match entry.method {
        STORED => Box::new(packed),
        DEFLATED => Box::new(DeflateDecoder::new(packed)),
        _ => return refuse("it is packed in a way that is not known here: use deflate"),
    };
    let mut data = Summed { data, crc: Crc::new() };
    if kind == LINK {
        let mut target = Vec::new();
        (&mut data).take(4096).read_to_end(&mut target).map_err(ArchiveError::broken)?;
        tree.link(&entry.name, &target)?;
    } else {
        tree.file(&entry.name, mode & EXECUTABLE != 0, entry.size, &mut data)?;
    }
    if data.crc.sum() == entry.crc { Ok(()) } else { refuse("its check sum does not match") }
}

/// Where an entry's bytes begin; what stands before them must tell of the same entry.
fn data_of(file: &File, entry: &Central) -> Result<u64, ArchiveError> {
    let mut head = [0; LOCAL_LEN];
    file.read_exact_at(&mut head, entry.offset).map_err(ArchiveError::broken)?;
    let length = |at| u64::from(u16_at(&head, at).unwrap_or_default());
    let mut name = vec![0; entry.name.len()];
    let after = entry.offset + LOCAL_LEN as u64;
    file.read_exact_at(&mut name, after).map_err(ArchiveError::broken)?;
    if !head.starts_with(&LOCAL) || length(26) != name.len() as u64 || name != entry.name {
        return Err(ArchiveError::refused(&entry.name, "its two headers differ"));
    }
    Ok(after + length(26) + length(28))
}

/// The bytes of one entry as they lie in the file.
struct Packed<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Packed<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        let read = self.file.read_at(into.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// Sums up what is read.
struct Summed<R> {
    data: R,
    crc: Crc,
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.data.read(into)?;
        self.crc.update(into.get(..read).unwrap_or_default());
        Ok(read)
    }
}

fn exactly(from: &mut impl Read, length: usize) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).map_err(ArchiveError::broken)?;
    Ok(bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}
