//! An instance in one archive: a tar that any program reads, with a checksum for each file at its end.
//!
//! What is long comes in parts, so that nobody needs to know beforehand how long it will be, nor holds more than one part
//! in memory: `cat volumes/x.part-*` joins them. It is whole only if the checksums come last and are right.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::files;

/// The longest piece of a file, in bytes.
const PART: usize = 4 << 20;
/// What stands between a name and the number of a part.
const PARTS: &str = ".part-";
/// The file with the checksums, in the form of `sha256sum`.
const SUMS: &str = "SHA256SUMS";
/// More files than any instance has; whoever sends more means no good.
const ENTRIES_MAX: usize = 5_000_000;

/// Writes one.
pub struct BundleWriter<W> {
    to: W,
    builder: Builder<Vec<u8>>,
    sums: String,
}

impl<W: AsyncWrite + Unpin> BundleWriter<W> {
    /// Nothing is written yet.
    pub fn new(to: W) -> Self {
        Self { to, builder: Builder::new(Vec::new()), sums: String::new() }
    }

    /// A file that is there already.
    pub async fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        writeln!(self.sums, "{}  {name}", digits(&Sha256::digest(bytes))).map_err(io::Error::other)?;
        self.write(name, bytes).await
    }

    /// A file of any length.
    pub async fn pour(&mut self, name: &str, mut from: impl AsyncRead + Unpin) -> io::Result<()> {
        let mut part = Vec::with_capacity(PART);
        let mut number = 0_u32;
        loop {
            part.clear();
            let most = u64::try_from(PART).unwrap_or(u64::MAX);
            (&mut from).take(most).read_to_end(&mut part).await?;
            let last = part.len() < PART;
            if number == 0 && last {
                return self.put(name, &part).await;
            }
            if !part.is_empty() {
                self.put(&format!("{name}{PARTS}{number:06}"), &part).await?;
            }
            if last {
                return Ok(());
            }
            number += 1;
        }
    }

    /// Ends it with the checksums.
    pub async fn finish(mut self) -> io::Result<()> {
        let sums = std::mem::take(&mut self.sums);
        self.write(SUMS, sums.as_bytes()).await?;
        self.builder.finish()?;
        self.hand_over().await?;
        self.to.shutdown().await
    }

    async fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_size(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        header.set_mode(0o600);
        header.set_entry_type(EntryType::Regular);
        self.builder.append_data(&mut header, name, bytes)?;
        self.hand_over().await
    }

    async fn hand_over(&mut self) -> io::Result<()> {
        let written = std::mem::take(self.builder.get_mut());
        self.to.write_all(&written).await
    }
}

/// Unpacks one into an empty folder, and checks every byte of it. `first` looks at the first file, before anything else is
/// read.
pub fn unpack(
    from: impl Read,
    folder: &Path,
    first: impl FnOnce(&str, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut archive = Archive::new(from);
    let mut first = Some(first);
    let mut sums = BTreeMap::new();
    let mut said = None;
    for (index, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        let name = entry.path()?.to_str().map(str::to_owned);
        let name = name.filter(|name| is_plain(name)).ok_or_else(|| damaged("a file has no plain name"))?;
        if entry.header().entry_type() != EntryType::Regular || said.is_some() || index > ENTRIES_MAX {
            return Err(damaged(&format!("{name} does not belong there")));
        }
        let size = entry.size();
        if size > u64::try_from(PART).unwrap_or(u64::MAX) && name != SUMS {
            return Err(damaged(&format!("{name} is too long for a part")));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        if let Some(first) = first.take() {
            first(&name, &bytes)?;
        }
        if name == SUMS {
            said = Some(String::from_utf8(bytes).map_err(|_| damaged("the checksums are no text"))?);
            continue;
        }
        sums.insert(name.clone(), digits(&Sha256::digest(&bytes)));
        append(&place(folder, &name)?, &bytes)?;
    }
    let said = said.ok_or_else(|| damaged("it is cut off: the checksums are missing"))?;
    let said: BTreeMap<String, String> = said
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
        .collect();
    if said == sums { Ok(()) } else { Err(damaged("the checksums are not those of the files")) }
}

/// Where a file is unpacked to: the parts of one are joined.
fn place(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let whole = match name.rsplit_once(PARTS) {
        Some((whole, number)) if number.chars().all(|c| c.is_ascii_digit()) => whole,
        Some(_) | None => name,
    };
    let path = folder.join(whole);
    files::make_dirs(files::parent(&path), 0o700).map_err(io::Error::other)?;
    Ok(path)
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut file: File = File::options().append(true).create(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

/// A path below the folder and nothing else.
fn is_plain(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    name.split('/').all(part) && !name.chars().any(char::is_control)
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the archive is damaged: {why}"))
}

fn digits(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bundle(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = BundleWriter::new(&mut bytes);
        for (name, content) in files {
            writer.pour(name, content.as_slice()).await.unwrap();
        }
        writer.finish().await.unwrap();
        bytes
    }

    fn unpacked(bytes: &[u8]) -> io::Result<tempfile::TempDir> {
        let folder = tempfile::tempdir().unwrap();
        unpack(bytes, folder.path(), |_, _| Ok(())).map(|()| folder)
    }

    #[tokio::test]
    async fn what_goes_in_comes_out() {
        let long: Vec<u8> = (0..PART * 2 + 7).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let name = format!("repos/{}.git/objects/pack/pack-{}.pack", "a".repeat(40), "b".repeat(40));
        let files = [
            ("manifest.json", b"{}".to_vec()),
            ("a/empty", Vec::new()),
            (name.as_str(), b"x".to_vec()),
            ("exact", vec![7; PART]),
            ("long", long),
        ];
        let bytes = bundle(&files).await;
        let mut seen = Vec::new();
        let folder = tempfile::tempdir().unwrap();
        unpack(bytes.as_slice(), folder.path(), |name, bytes| {
            seen.push((name.to_owned(), bytes.to_vec()));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [("manifest.json".to_owned(), b"{}".to_vec())]);
        for (name, content) in files {
            assert!(std::fs::read(folder.path().join(name)).unwrap() == content, "{name}");
        }
    }

    #[tokio::test]
    async fn nothing_that_is_not_whole_is_taken() {
        let bytes = bundle(&[("manifest.json", b"{}".to_vec()), ("a", b"content".to_vec())]).await;
        unpacked(&bytes).unwrap();
        for end in (0..bytes.len() - 1024).step_by(512) {
            assert!(unpacked(&bytes[..end]).is_err(), "cut off at {end}");
        }
        let at = bytes.windows(7).position(|part| part == b"content").unwrap();
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(unpacked(&changed).unwrap_err().to_string().contains("checksums"));
    }

    #[test]
    fn nothing_leaves_the_folder() {
        for name in ["../x", "/x", "a/../b", "a//b", "", "a\nb"] {
            assert!(!is_plain(name), "{name:?}");
        }
        assert!(is_plain("repos/blog.git/HEAD"));
    }

    #[tokio::test]
    async fn a_first_file_that_is_refused_ends_it() {
        let bytes = bundle(&[("manifest.json", b"{}".to_vec()), ("a", b"x".to_vec())]).await;
        let folder = tempfile::tempdir().unwrap();
        let refused = unpack(bytes.as_slice(), folder.path(), |_, _| Err(damaged("no")));
        assert!(refused.is_err() && std::fs::read_dir(folder.path()).unwrap().next().is_none());
    }
}
