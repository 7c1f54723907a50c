//! Where the converted units go: a folder, standard output, or one JSON document.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;

use super::super::failure::{Exit, Failure};
use crate::compose::Notice;
use crate::files;
use crate::quadlet::stack::{REMARK_END, WrittenFile};

/// Of the folder of units, which anybody may read.
const FOLDER_MODE: u32 = 0o755;
/// Of folders in it: they hold secrets.
const INNER_MODE: u32 = 0o700;

/// Writes all files, or none where one would replace what somebody else wrote. Removes nothing.
pub(super) fn write(directory: &Path, written: &BTreeMap<String, WrittenFile>) -> Result<(), Failure> {
    let failed = |error: files::FileError| Failure::new(Exit::Failed, error.to_string());
    let units = written.keys().filter(|name| !name.contains('/'));
    for name in units {
        let path = directory.join(name);
        let there = files::read_text(&path).map_err(failed)?;
        if there.is_some_and(|text| !text.lines().next().unwrap_or_default().ends_with(REMARK_END)) {
            let message = format!("{} is there already, and not written by rivetr", path.display());
            return Err(Failure::new(Exit::Failed, message).cure("move it away, or choose another folder"));
        }
    }
    files::make_dirs(directory, FOLDER_MODE).map_err(failed)?;
    for (name, WrittenFile { text, mode }) in written {
        let path = directory.join(name);
        if let Some(folder) = path.parent() {
            files::make_dirs(folder, INNER_MODE).map_err(failed)?;
        }
        files::write_whole(&path, text.as_bytes(), *mode).map_err(failed)?;
    }
    Ok(())
}

/// Prints all files, each below a comment with its name.
pub(super) fn print(written: &BTreeMap<String, WrittenFile>, output: &mut dyn Write) -> io::Result<()> {
    let mut gap = "";
    for (name, WrittenFile { text, mode: _ }) in written {
        let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
        write!(output, "{gap}# --- {name}\n{text}{end}")?;
        gap = "\n";
    }
    Ok(())
}

/// Prints one JSON document with all files and remarks.
pub(super) fn document(
    written: &BTreeMap<String, WrittenFile>,
    warnings: &[Notice],
    output: &mut dyn Write,
) -> io::Result<()> {
    let files = written
        .iter()
        .map(|(name, file)| json!({ "name": name, "mode": format!("{:04o}", file.mode), "text": file.text }));
    let warnings = warnings.iter().map(|notice| {
        json!({
            "file": notice.file.display().to_string(),
            "line": notice.line,
            "key": notice.key,
            "message": notice.message,
        })
    });
    let (files, warnings): (Vec<_>, Vec<_>) = (files.collect(), warnings.collect());
    writeln!(output, "{}", json!({ "files": files, "warnings": warnings }))
}
