//! Files that a person names on the command line, read whole; `-` is standard input.

use std::io::{self, Read};
use std::path::Path;

use super::failure::{Exit, Failure};

/// The bytes of a file; one that is larger than `most` is refused.
pub fn bytes(path: &Path, most: u64) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::new(Exit::Usage, format!("{} cannot be read: {error}", path.display()));
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(unreadable)?)
    };
    bounded(source, most).map_err(unreadable)?.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{} is larger than {} KiB", path.display(), most >> 10))
    })
}

/// All bytes of a source; none if there are more than `most`.
pub fn bounded(source: impl Read, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    source.take(most + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= most))
}

/// A file as text.
pub fn text(path: &Path, most: u64) -> Result<String, Failure> {
    let not_text = |_| Failure::new(Exit::Usage, format!("{} is not UTF-8", path.display()));
    String::from_utf8(bytes(path, most)?).map_err(not_text)
}
