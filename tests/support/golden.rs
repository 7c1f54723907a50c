//! Directories that hold what comes of what is written in them: how they are listed, and written anew.

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
    if writes_anew() {
        write_expected(case, expected, actual);
        return;
    }
    let names = |files: &BTreeMap<PathBuf, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(actual), names(expected), "the files of {}", case.display());
    for (path, text) in actual {
        assert_eq!(Some(text), expected.get(path), "{}", case.join(path).display());
    }
}

/// Whether a person asked for what is expected to be written anew.
#[expect(clippy::disallowed_methods, reason = "a switch of the test, not a setting of rivetr")]
fn writes_anew() -> bool {
    std::env::var("RIVETR_GOLDEN").is_ok_and(|word| word == "write")
}

/// Puts files, by their paths in a directory, in the place of those that it expected until now.
#[expect(clippy::disallowed_methods, reason = "a person asks for it by name, and reviews it with git")]
fn write_expected(case: &Path, before: &BTreeMap<PathBuf, String>, files: &BTreeMap<PathBuf, String>) {
    for stale in before.keys() {
        fs::remove_file(case.join(stale)).unwrap();
    }
    for (path, text) in files {
        let path = case.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}
