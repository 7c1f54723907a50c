//! Unit files that somebody edited: kept aside before they go, and put into a drop-in where that says the same.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{UnitDirectory, UnitsError, check};
use crate::files;
use crate::quadlet::path::UnitPath;

/// The first number of the drop-ins that are made here: behind those that people number from 10 on.
const FIRST: u32 = 50;
/// The last one.
const LAST: u32 = 99;

/// What a unit says, by section and key.
type Said = BTreeMap<(String, String), Vec<String>>;

impl UnitDirectory {
    /// What stands in a unit file now; none: it is not there.
    pub fn text(&self, path: &UnitPath) -> Result<Option<String>, UnitsError> {
        Ok(files::read_text(&self.place(path))?)
    }

    /// Copies a unit file to where nothing of rivetr's changes it; says where. None: it is not there.
    pub fn keep_aside(&self, path: &UnitPath) -> Result<Option<PathBuf>, UnitsError> {
        let Some(text) = self.text(path)? else { return Ok(None) };
        files::make_dirs(&self.aside, 0o700)?;
        let name = |number: u32| self.aside.join(format!("{}.{number}", path.file()));
        let free = (1..u32::MAX).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(u32::MAX));
        files::write_whole(&free, text.as_bytes(), 0o600)?;
        Ok(Some(free))
    }

    /// Writes a drop-in for a Quadlet, beside those that it has; says where.
    pub fn add_dropin(&self, path: &UnitPath, text: &str) -> Result<PathBuf, UnitsError> {
        let free = self.next_dropin(path);
        files::make_dirs(files::parent(&free), 0o755)?;
        files::write_whole(&free, text.as_bytes(), 0o600)?;
        Ok(free)
    }

    /// The name that a drop-in gets here: one that nobody has taken.
    fn next_dropin(&self, path: &UnitPath) -> PathBuf {
        let folder = self.dropins(path);
        let name = |number: u32| folder.join(format!("{number}-local.conf"));
        (FIRST..LAST).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(LAST))
    }

    /// Whether Podman's generator makes the same service of a Quadlet with one more drop-in as of an edited text.
    pub async fn says_the_same(
        &self,
        path: &UnitPath,
        (text, dropin): (&str, &str),
        edited: &str,
    ) -> Result<bool, UnitsError> {
        let with = self.made_of(path, text, Some(dropin)).await?;
        Ok(with.is_some() && with == self.made_of(path, edited, None).await?)
    }

    /// What the generator makes of a text in place of the one that is there, with the drop-ins that are; none: it does
    /// not take it.
    async fn made_of(
        &self,
        path: &UnitPath,
        text: &str,
        dropin: Option<&str>,
    ) -> Result<Option<Said>, UnitsError> {
        let aside = files::temporary_dir(&self.runtime)?;
        let folder = aside.path().join(path.folder().unwrap_or_default());
        let dropins = folder.join(format!("{}.d", path.file()));
        files::make_dirs(&dropins, 0o700)?;
        files::write_whole(&folder.join(path.file()), text.as_bytes(), 0o600)?;
        for (there, text) in self.dropins_of(path)? {
            let name = there.file_name().unwrap_or_default();
            files::write_whole(&dropins.join(name), text.as_bytes(), 0o600)?;
        }
        if let Some(text) = dropin {
            let name = self.next_dropin(path);
            files::write_whole(&dropins.join(name.file_name().unwrap_or_default()), text.as_bytes(), 0o600)?;
        }
        let output = self.generate_before(aside.path()).await?;
        let refused = check::complaints(&output.stderr).iter().any(|problem| problem.file == path.file());
        let made = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(said(&made, &path.unit()).filter(|_| !refused))
    }
}

/// What one unit says among all that the generator printed. A section of which systemd reads nothing (`[X-…]`) and the
/// place that it was made from do not count.
fn said(printed: &str, unit: &str) -> Option<Said> {
    let head = format!("---{unit}---");
    let mut lines = printed.lines();
    lines.find(|line| *line == head)?;
    let (mut said, mut section) = (Said::new(), String::new());
    for line in lines.take_while(|line| !(line.starts_with("---") && line.ends_with("---"))) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=')
            && !line.starts_with(['#', ';'])
            && !section.starts_with("X-")
            && key != "SourcePath"
        {
            let values = said.entry((section.clone(), key.to_owned())).or_default();
            if value.is_empty() {
                values.clear();
            } else {
                values.push(in_any_order(value));
            }
        }
    }
    said.retain(|_, values| !values.is_empty());
    Some(said)
}

/// The words of a value, sorted: what a drop-in adds stands behind what was there, and no option of Podman's minds.
fn in_any_order(value: &str) -> String {
    let mut words: Vec<&str> = value.split_whitespace().collect();
    words.sort_unstable();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_of_a_unit_is_what_systemd_reads() {
        let unit = |body: &str| {
            said(&format!("---a.service---\n{body}\n---b.service---\n[Unit]\nA=b\n"), "a.service")
        };
        let one =
            unit("[X-Container]\nImage=a\n\n[Service]\nMemoryMax=1G\nExecStart=podman run --env=A --env=B a");
        let other = unit(
            "[X-Container]\nImage=b\nImage=a\n\n[Service]\nMemoryMax=2G\nMemoryMax=\nMemoryMax=1G\n# x=y\nExecStart=podman run --env=B --env=A a",
        );
        assert_eq!(one, other);
        assert_ne!(
            one,
            unit("[Service]\nMemoryMax=1G\nMemoryMax=2G\nExecStart=podman run --env=A --env=B a")
        );
        assert_eq!(said("---b.service---\n", "a.service"), None);
        assert_eq!(unit("[Unit]\nSourcePath=/x\nAfter=\n"), Some(Said::new()));
    }
}
