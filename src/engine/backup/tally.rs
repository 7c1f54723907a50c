//! How many files an archive has, counted as it passes, and whether it has come to its end.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::flow::Failure;

/// The pieces that an archive is made of, in bytes.
const BLOCK: usize = 512;
/// How much is read at once, in bytes.
const PIECE: usize = 64 << 10;
/// What stands in the header of an archive, and where.
const MAGIC: (usize, &[u8]) = (257, b"ustar");
/// How much may be said of an entry before it, in bytes: its name, its attributes.
const RECORDS_MAX: u64 = 16 << 20;

/// What was seen of an archive so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    header: Vec<u8>,
    /// How much of what passes belongs to the entry before, in bytes.
    rest: u64,
    /// What is said of the next entry, as far as it has come; none: this is no such piece.
    records: Option<Vec<u8>>,
    /// The length of the next entry, where that was said before it: its header has no room for it.
    size: Option<u64>,
    /// The next block goes on with the header before it.
    continued: bool,
    empty: u8,
    items: u64,
    broken: bool,
}

/// Whether a file begins as an archive does.
pub(super) fn is_archive(begin: &[u8]) -> bool {
    let (at, magic) = MAGIC;
    begin.get(at..).is_some_and(|rest| rest.starts_with(magic))
}

/// Copies an archive and counts what is in it; how many files that are, if it has come to its end.
pub(super) async fn counted(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> Result<u64, Failure> {
    let mut tally = Tally::default();
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await?;
        let Some(read @ [_, ..]) = piece.get(..read) else { break };
        tally.take(read);
        to.write_all(read).await?;
    }
    // The other side sees the end of it only so.
    to.shutdown().await?;
    tally.whole()
}

impl Tally {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_over() {
            let passed = usize::try_from(self.rest).unwrap_or(usize::MAX).min(bytes.len());
            let wanted = if passed > 0 { passed } else { (BLOCK - self.header.len()).min(bytes.len()) };
            let Some((piece, after)) = bytes.split_at_checked(wanted) else { return };
            bytes = after;
            if passed > 0 {
                if let Some(records) = &mut self.records {
                    records.extend_from_slice(piece);
                }
                self.rest = self.rest.saturating_sub(u64::try_from(passed).unwrap_or(u64::MAX));
                if self.rest == 0
                    && let Some(records) = self.records.take()
                {
                    self.size = size_in(&records).or(self.size);
                }
                continue;
            }
            self.header.extend_from_slice(piece);
            if self.header.len() == BLOCK {
                let header = std::mem::take(&mut self.header);
                self.see(&header);
            }
        }
    }

    /// Two empty blocks end an archive; what fills its last record is none of it.
    fn is_over(&self) -> bool {
        self.broken || self.empty == 2
    }

    fn see(&mut self, header: &[u8]) {
        if std::mem::take(&mut self.continued) {
            self.continued = header.get(504).is_some_and(|more| *more != 0);
            return;
        }
        if header.iter().all(|byte| *byte == 0) {
            self.empty += 1;
            return;
        }
        self.empty = 0;
        let size = header.get(124..136).and_then(number);
        let (Some(size), Some(kind)) = (size.filter(|_| is_sound(header)), header.get(156)) else {
            self.broken = true;
            return;
        };
        // A long name or what else is said of the next entry, and the volume itself, are no files.
        let is_word = matches!(kind, b'L' | b'K' | b'x' | b'g' | b'V');
        let size = if is_word { size } else { self.size.take().unwrap_or(size) };
        if *kind == b'x' {
            self.broken = size > RECORDS_MAX;
            self.records = (size > 0).then(Vec::new);
        }
        // Of links and folders there is only a header, whatever it says of a size.
        let has_data = !matches!(kind, b'1'..=b'6');
        let block = u64::try_from(BLOCK).unwrap_or(u64::MAX);
        self.rest = if has_data { size.div_ceil(block).saturating_mul(block) } else { 0 };
        self.continued = *kind == b'S' && header.get(482).is_some_and(|more| *more != 0);
        let is_root = header.starts_with(b"./\0") || header.starts_with(b".\0");
        if !is_word && !is_root {
            self.items += 1;
        }
    }

    fn whole(&self) -> Result<u64, Failure> {
        if self.broken {
            return Err(Failure("what should be an archive of a volume is none".to_owned()));
        }
        if self.empty < 2 || self.rest > 0 {
            return Err(Failure("the archive of the volume ends in its middle".to_owned()));
        }
        Ok(self.items)
    }
}

/// A number as headers have it: octal digits, or binary where those do not reach.
fn number(field: &[u8]) -> Option<u64> {
    if let (0x80, rest) = field.split_first()? {
        let add = |number: u64, byte: &u8| number.checked_mul(256).map(|number| number | u64::from(*byte));
        return rest.iter().try_fold(0_u64, add);
    }
    let text = std::str::from_utf8(field).ok()?;
    let text = text.trim_matches(['\0', ' ']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// The length of an entry in what is said of it: records of `LENGTH key=value` and a line's end.
fn size_in(mut records: &[u8]) -> Option<u64> {
    let mut size = None;
    while let Some(space) = records.iter().position(|byte| *byte == b' ') {
        let length = std::str::from_utf8(records.get(..space)?).ok()?.parse::<usize>().ok()?;
        let (record, rest) = records.split_at_checked(length)?;
        if let Some(value) = record.get(space + 1..)?.strip_prefix(b"size=") {
            size = std::str::from_utf8(value).ok()?.trim_end_matches('\n').parse().ok();
        }
        records = rest;
    }
    size
}

/// Whether a header has the sum that it says.
fn is_sound(header: &[u8]) -> bool {
    let sum = |(at, byte): (usize, &u8)| u64::from(if (148..156).contains(&at) { b' ' } else { *byte });
    let found: u64 = header.iter().enumerate().map(sum).sum();
    header.get(148..156).and_then(number) == Some(found)
}

#[cfg(test)]
mod tests {
    use tar::{Builder, EntryType, Header};

    use super::*;

    fn entry(builder: &mut Builder<Vec<u8>>, name: &str, kind: EntryType, bytes: &[u8]) {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(u64::try_from(bytes.len()).unwrap());
        header.set_mode(0o644);
        if kind == EntryType::Symlink {
            header.set_link_name("elsewhere").unwrap();
        }
        builder.append_data(&mut header, name, bytes).unwrap();
    }

    fn archive() -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        entry(&mut builder, "./", EntryType::Directory, b"");
        entry(&mut builder, "folder", EntryType::Directory, b"");
        entry(&mut builder, "folder/one", EntryType::Regular, &[7; 700]);
        entry(&mut builder, "folder/empty", EntryType::Regular, b"");
        entry(&mut builder, "link", EntryType::Symlink, b"");
        // Its name needs an entry of its own.
        entry(&mut builder, &"long/".repeat(60), EntryType::Regular, &[0; 1024]);
        builder.into_inner().unwrap()
    }

    async fn count(bytes: &[u8]) -> Result<u64, String> {
        let mut to = Vec::new();
        let counted = counted(bytes, &mut to).await.map_err(|Failure(why)| why);
        assert_eq!(to, bytes, "it passes as it is");
        counted
    }

    #[tokio::test]
    async fn files_are_counted_and_an_end_is_wanted() {
        let archive = archive();
        assert!(is_archive(&archive) && !is_archive(b"PGDMP") && !is_archive(b""));
        assert_eq!(count(&archive).await, Ok(5));
        // What fills the last record is none of it.
        assert_eq!(count(&[&archive[..], &[1; 300]].concat()).await, Ok(5));
        assert_eq!(count(&[0; 1024]).await, Ok(0));
        for cut in [0, 511, 512, 2000, archive.len() - 512, archive.len() - 1025] {
            assert!(count(&archive[..cut]).await.unwrap_err().contains("in its middle"), "{cut}");
        }
        let mut altered = archive.clone();
        altered[3] ^= 1;
        assert!(count(&altered).await.unwrap_err().contains("is none"));
    }

    #[test]
    fn pieces_of_any_length_are_the_same() {
        let archive = archive();
        for length in [1, 7, 511, 513, 1000] {
            let mut tally = Tally::default();
            archive.chunks(length).for_each(|piece| tally.take(piece));
            assert_eq!(tally.whole().ok(), Some(5), "{length}");
        }
    }

    /// What is said of the next entry, with a length that its header does not have.
    fn long(attributes: usize) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        let value = "v".repeat(attributes);
        let said = [("SCHILY.xattr.user.note", value.as_bytes()), ("size", &b"1300"[..])];
        builder.append_pax_extensions(said).unwrap();
        let mut header = Header::new_ustar();
        header.set_path("folder/large").unwrap();
        header.set_size(0);
        header.set_cksum();
        builder.get_mut().extend_from_slice(header.as_bytes());
        builder.get_mut().extend_from_slice(&[8; 1536]);
        let whole = builder.into_inner().unwrap();
        // Without the two empty blocks in its end.
        [&whole[..whole.len() - 2 * BLOCK], &archive()[..]].concat()
    }

    #[tokio::test]
    async fn what_is_said_before_an_entry_counts() {
        for attributes in [0, 10, 400, 2000] {
            let archive = long(attributes);
            assert_eq!(count(&archive).await, Ok(6), "{attributes}");
            let mut tally = Tally::default();
            archive.chunks(7).for_each(|piece| tally.take(piece));
            assert_eq!(tally.whole().ok(), Some(6), "{attributes}");
        }
        let check = |records: &[u8], expect| assert_eq!(size_in(records), expect, "{records:?}");
        check(b"12 size=123\n\0\0", Some(123));
        check(b"10 path=a\n12 size=123\n", Some(123));
        check(b"21 comment=size=99 1\n", None);
        check(b"99 size=123\n", None);
        check(b"x size=123\n", None);
        check(b"", None);
    }

    #[test]
    fn numbers_of_headers() {
        let check = |field: &[u8], expect| assert_eq!(number(field), expect, "{field:?}");
        check(b"00000001234\0", Some(0o1234));
        check(b"\0\0\0\0", Some(0));
        check(&[0x80, 0, 0, 0, 2, 0, 0, 0, 0], Some(2 << 32));
        check(b"0000009\0", None);
        check(&[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0], None);
    }
}
