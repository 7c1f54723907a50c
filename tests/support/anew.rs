//! What tests expect is written anew where a person asks for it: `RIVETR_GOLDEN=write`.

use std::fs;
use std::path::Path;

/// Whether a person asked for what is expected to be written anew.
#[expect(clippy::disallowed_methods, reason = "a switch of the test, not a setting of rivetr")]
pub fn asked() -> bool {
    std::env::var("RIVETR_GOLDEN").is_ok_and(|word| word == "write")
}

/// Puts a text in the place of the one that was expected.
#[expect(clippy::disallowed_methods, reason = "a person asks for it by name, and reviews it with git")]
pub fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder can be made");
    fs::write(path, text).expect("a file can be written");
}
