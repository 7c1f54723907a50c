//! Subordinate user and group ids: what lets a user's containers have users of their own (`man 5 subuid`).
//!
//! Reads texts of the form of `/etc/subuid`; gives away nothing.

use std::path::Path;

use crate::files::{self, FileError};

/// Where the system gives them away.
const FILES: [&str; 2] = ["/etc/subuid", "/etc/subgid"];
/// What one container image may need: 0 to 65535 inside it.
pub const COUNT: u64 = 65536;
/// Where distributions begin to give ranges away.
const FIRST: u64 = 100_000;

/// The files that do not give the user of this process enough.
pub fn lacking(user: &str) -> Result<Vec<&'static str>, FileError> {
    let uid = rustix::process::geteuid().as_raw();
    let mut lacking = Vec::new();
    for path in FILES {
        let text = files::read_text(Path::new(path))?.unwrap_or_default();
        if !enough(&text, user, uid) {
            lacking.push(path);
        }
    }
    Ok(lacking)
}

/// Whether a text of the form of `/etc/subuid` gives this user enough.
#[must_use]
pub fn enough(text: &str, user: &str, uid: u32) -> bool {
    let uid = uid.to_string();
    let own = ranges(text).filter(|(owner, _, _)| *owner == user || *owner == uid);
    own.map(|(_, _, count)| count).sum::<u64>() >= COUNT
}

/// The first id behind all ranges, if there is room for [`COUNT`].
#[must_use]
pub fn first_free(texts: &[&str]) -> Option<u64> {
    let ends =
        texts.iter().flat_map(|text| ranges(text)).map(|(_, first, count)| first.saturating_add(count));
    let first = ends.max().unwrap_or(0).max(FIRST);
    (first.saturating_add(COUNT) < u64::from(u32::MAX)).then_some(first)
}

/// What root would have to run for a user without ids.
#[must_use]
pub fn cure(user: &str) -> String {
    format!("usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user} (or another free range)")
}

fn ranges(text: &str) -> impl Iterator<Item = (&str, u64, u64)> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        Some((fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_subordinate_ids() {
        for (text, expect) in [
            ("", false),
            ("ada:100000:65536\n", false),
            ("rivetr:100000:1000\n", false),
            ("rivetr:100000:65536\n", true),
            ("996:100000:65536\n", true),
            ("rivetr:100000:32768\nrivetr:200000:32768\n", true),
            ("nonsense\nrivetr:x:y\n", false),
        ] {
            assert_eq!(enough(text, "rivetr", 996), expect, "{text:?}");
        }
    }

    #[test]
    fn the_first_free_range() {
        assert_eq!(first_free(&["", ""]), Some(100_000));
        assert_eq!(first_free(&["ada:100000:65536\n", "ada:165536:65536\n"]), Some(231_072));
        assert_eq!(first_free(&["small:5:5\n"]), Some(100_000));
        assert_eq!(first_free(&["all:100000:4294867295\n"]), None);
        assert_eq!(first_free(&["huge:1:18446744073709551615\n"]), None);
    }
}
