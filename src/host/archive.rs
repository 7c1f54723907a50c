//! Unpacks what strangers packed: tar.gz and zip, within bounds, beneath one directory and never through a link.
//!
//! What is refused is named with its rule. What was written until then lies in the directory that was handed in, and
//! goes with it. Modes are reduced to whether a file can be executed; owners and times are not taken over.

mod tar;
mod tree;
mod zip;

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use self::tree::Tree;

/// How much an archive may unpack to.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Files, directories and links.
    pub entries: usize,
    /// Bytes of all files together.
    pub bytes: u64,
    /// How many times the archive's own size the files may have together.
    pub ratio: u64,
    /// Below so many bytes the ratio does not count: small archives of like lines pack very well.
    pub ratio_from: u64,
}

impl Default for Limits {
    fn default() -> Self {
        // The largest repositories that people deploy have a tenth of these; text packs 3 to 20 times.
        Self { entries: 200_000, bytes: 8 << 30, ratio: 100, ratio_from: 64 << 20 }
    }
}

/// Why an archive was not unpacked.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// An entry is against the rules.
    #[error("the archive was refused at {entry:?}: {rule}")]
    Refused {
        /// The entry, cut to a readable length.
        entry: String,
        /// Which rule it breaks, and what to do.
        rule: &'static str,
    },
    /// It is not what it says, or was cut off.
    #[error("the archive cannot be read ({0}): pack and send it again")]
    Broken(String),
    /// The files could not be written.
    #[error("the archive could not be unpacked: {0}")]
    Unwritten(#[source] io::Error),
    /// Nobody wants it any more.
    #[error("the unpacking was stopped")]
    Stopped,
}

impl ArchiveError {
    fn refused(entry: &[u8], rule: &'static str) -> Self {
        Self::Refused { entry: String::from_utf8_lossy(entry).chars().take(200).collect(), rule }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err` by its name")]
    fn broken(error: impl ToString) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Which kind of archive begins with these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A tape archive, compressed by gzip.
    TarGz,
    /// A zip file.
    Zip,
}

impl Kind {
    /// Bytes that suffice to tell.
    pub const MAGIC: usize = 4;

    /// Tells by the first bytes.
    #[must_use]
    pub fn of(begin: &[u8]) -> Option<Self> {
        if begin.starts_with(&[0x1f, 0x8b, 8]) {
            return Some(Self::TarGz);
        }
        // The second is a zip without entries.
        (begin.starts_with(b"PK\x03\x04") || begin.starts_with(b"PK\x05\x06")).then_some(Self::Zip)
    }
}

/// Unpacks an archive into an empty directory. Blocks; `stop` ends it between two pieces.
pub fn unpack(
    archive: &Path,
    into: &Path,
    limits: Limits,
    stop: &CancellationToken,
) -> Result<(), ArchiveError> {
    let mut file = File::open(archive).map_err(ArchiveError::broken)?;
    let length = file.metadata().map_err(ArchiveError::broken)?.len();
    let mut begin = Vec::new();
    (&mut file).take(Kind::MAGIC as u64).read_to_end(&mut begin).map_err(ArchiveError::broken)?;
    file.rewind().map_err(ArchiveError::broken)?;
    let bytes = limits.bytes.min(limits.ratio_from.max(length.saturating_mul(limits.ratio)));
    let mut tree = Tree::open(into, limits.entries, bytes, stop.clone())?;
    match Kind::of(&begin) {
        Some(Kind::TarGz) => tar::read(file, &mut tree)?,
        Some(Kind::Zip) => zip::read(&file, length, &mut tree)?,
        None => return Err(ArchiveError::Broken("it is neither tar.gz nor zip".to_owned())),
    }
    tree.finish()
}

#[cfg(test)]
mod tests;
