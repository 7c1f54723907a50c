//! Files that a person names on the command line, read whole.

use std::io::Read;
use std::path::Path;

use super::failure::{Exit, Failure};

/// A file as text, or standard input for `-`; one that is larger is refused.
pub fn read_small(path: &Path, most: u64) -> Result<String, Failure> {
    let unreadable = |error| Failure::new(Exit::Usage, format!("{} cannot be read: {error}", path.display()));
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(unreadable)?)
    };
    let mut text = String::new();
    source.take(most + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > most {
        let words = format!("{} is larger than {} KiB", path.display(), most >> 10);
        return Err(Failure::new(Exit::Usage, words));
    }
    Ok(text)
}
