//! Which files of a repository matter to an app: globs over paths, for pushes that change something else.
//!
//! It only looks at names. Which files a push changes is for whoever read the push.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::name::InvalidName;

/// The most patterns of one app: each file of a push is held against all of them.
pub const PATTERNS_MAX: usize = 50;
/// The longest pattern, in bytes.
const PATTERN_MAX: usize = 200;

/// Patterns such as `api/**`, and with `!` before them what they leave out. None at all: every file matters.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    patterns: Vec<String>,
    wanted: GlobSet,
    left_out: GlobSet,
}

impl Watch {
    /// Takes patterns in which `*` and `?` stay within one folder and `**` goes through all of them.
    pub fn parse<S: AsRef<str>>(patterns: &[S]) -> Result<Self, InvalidName> {
        let patterns: Vec<String> = patterns.iter().map(|pattern| pattern.as_ref().to_owned()).collect();
        if patterns.len() > PATTERNS_MAX {
            return Err(refuse(&patterns.len().to_string(), "name at most 50 patterns"));
        }
        let (left_out, wanted): (Vec<_>, Vec<_>) =
            patterns.iter().partition(|pattern| pattern.starts_with('!'));
        // What is only left out is left out of everything.
        let all = "**".to_owned();
        let wanted = if wanted.is_empty() && !left_out.is_empty() { vec![&all] } else { wanted };
        Ok(Self { wanted: compile(&wanted)?, left_out: compile(&left_out)?, patterns })
    }

    /// The patterns as they were given.
    #[must_use]
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether every file matters.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether this file matters; its path is that in the repository.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        self.is_everything() || self.wanted.is_match(path) && !self.left_out.is_match(path)
    }
}

impl PartialEq for Watch {
    fn eq(&self, other: &Self) -> bool {
        self.patterns == other.patterns
    }
}

impl Eq for Watch {}

fn compile(patterns: &[&String]) -> Result<GlobSet, InvalidName> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = pattern.strip_prefix('!').unwrap_or(pattern);
        if glob.is_empty() || glob.len() > PATTERN_MAX || glob.starts_with('/') || glob.contains('\0') {
            return Err(refuse(pattern, "use 1 to 200 characters, relative to the repository: api/**"));
        }
        let built = GlobBuilder::new(glob).literal_separator(true).build();
        set.add(built.map_err(|_| refuse(pattern, "write a glob such as api/** or *.md"))?);
    }
    set.build().map_err(|_| refuse("", "these patterns are too many or too large together"))
}

fn refuse(pattern: &str, rule: &'static str) -> InvalidName {
    InvalidName::new("pattern", pattern, rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: &[&str], path: &str, covered: bool) {
        assert_eq!(Watch::parse(patterns).unwrap().covers(path), covered, "{patterns:?} {path}");
    }

    #[test]
    fn paths() {
        check(&[], "anything/at all", true);
        check(&["api/**"], "api/src/main.rs", true);
        check(&["api/**"], "api/x", true);
        check(&["api/**"], "web/api/x", false);
        check(&["**/api/**"], "web/api/x", true);
        check(&["*.md"], "README.md", true);
        check(&["*.md"], "docs/README.md", false);
        check(&["**/*.md"], "README.md", true);
        check(&["a?/{b,c}/[0-9]"], "aX/c/7", true);
        check(&["a?/{b,c}/[0-9]"], "a//c/7", false);
        check(&["api/**", "!**/*.md"], "api/README.md", false);
        check(&["api/**", "!**/*.md"], "api/main.rs", true);
        check(&["!docs/**"], "docs/x", false);
        check(&["!docs/**"], "src/x", true);
    }

    #[test]
    fn patterns_that_are_none() {
        let long = "x".repeat(PATTERN_MAX + 1);
        for bad in ["", "!", "/api/**", "[", "{a", "a\0b", long.as_str()] {
            assert!(Watch::parse(&[bad]).is_err(), "{bad:?}");
        }
        assert!(Watch::parse(&vec!["a"; PATTERNS_MAX + 1]).is_err());
    }
}
