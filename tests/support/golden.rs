//! Directories that hold what comes of what is written in them: how they are listed, and written anew.

#[path = "anew.rs"]
mod anew;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every directory below `root`, by name.
pub fn directories(root: &Path) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

/// Holds what came of a directory against what it expects, by path in it; or writes that anew where it is asked for.
pub fn check(case: &Path, actual: &BTreeMap<PathBuf, String>, expected: &BTreeMap<PathBuf, String>) {
    if actual == expected {
        return;
    }
    if anew::asked() {
        write_expected(case, expected, actual);
        return;
    }
    let names = |files: &BTreeMap<PathBuf, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(actual), names(expected), "the files of {}", case.display());
    for (path, text) in actual {
        assert_eq!(Some(text), expected.get(path), "{}", case.join(path).display());
    }
}

/// Puts files, by their paths in a directory, in the place of those that it expected until now.
fn write_expected(case: &Path, before: &BTreeMap<PathBuf, String>, files: &BTreeMap<PathBuf, String>) {
    for stale in before.keys() {
        fs::remove_file(case.join(stale)).unwrap();
    }
    for (path, text) in files {
        anew::write(&case.join(path), text);
    }
}
