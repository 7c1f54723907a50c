//! Files that a person names on the command line, read whole; `-` is standard input.

use std::io::Read;
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
    let mut bytes = Vec::new();
    source.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        let words = format!("{} is larger than {} KiB", path.display(), most >> 10);
        return Err(Failure::new(Exit::Usage, words));
    }
    Ok(bytes)
}

/// A file as text.
pub fn text(path: &Path, most: u64) -> Result<String, Failure> {
    let not_text = |_| Failure::new(Exit::Usage, format!("{} is not UTF-8", path.display()));
    String::from_utf8(bytes(path, most)?).map_err(not_text)
}
