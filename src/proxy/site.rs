//! The routes of one host: the longest path that a request's path is, or lies below, says who answers.

use std::sync::Arc;

use super::path;
use super::refusal::Refusal;
use super::table::Entry;

/// The routes of one host.
#[derive(Debug, Default)]
pub(super) struct Site {
    /// By path without the slash at its end, in order.
    entries: Vec<(Box<str>, Arc<Entry>)>,
    /// How many segments the longest path has.
    deepest: usize,
    /// Nobody can say which of its paths is meant.
    shut: bool,
}

impl Site {
    /// Whether a path has a route of its own.
    pub(super) fn has(&self, path: &str) -> bool {
        self.place(path).is_ok()
    }

    /// Puts a route in the place of whatever that path has.
    pub(super) fn put(&mut self, path: &str, entry: Arc<Entry>) {
        let path = path.trim_end_matches('/');
        let row = (path.into(), entry);
        match self.place(path) {
            Ok(there) => {
                self.entries.splice(there..=there, [row]);
            }
            Err(place) => self.entries.insert(place, row),
        }
        self.deepest = self.deepest.max(path.matches('/').count());
    }

    /// Lets nobody in any more, at any path.
    pub(super) fn shut(&mut self) {
        self.shut = true;
    }

    /// Who answers for `path`. What some programs would read as a path of another route is refused.
    pub(super) fn find(&self, path: &str) -> Result<Option<&Arc<Entry>>, Refusal> {
        if self.shut {
            return Err(Refusal::Misconfigured);
        }
        let found = self.at(path);
        if self.deepest > 0 && !path::is_plain(path) {
            let same = |read: &str| self.at(read).map(Arc::as_ptr) == found.map(Arc::as_ptr);
            if !same(&path::canonical(path)?) || !same(&path::laxest(path)) {
                return Err(Refusal::Malformed("the path can be read as one of another route"));
            }
        }
        Ok(found)
    }

    fn at(&self, path: &str) -> Option<&Arc<Entry>> {
        // What is asked of the server as a whole (`OPTIONS *`) is asked of the host as a whole.
        let path = if path == "*" { "" } else { path };
        let end = path.match_indices('/').nth(self.deepest).map_or(path.len(), |(end, _)| end);
        let mut part = path.get(..end)?;
        loop {
            if let Ok(place) = self.place(part) {
                return self.entries.get(place).map(|(_, entry)| entry);
            }
            part = part.get(..part.rfind('/')?)?;
        }
    }

    /// Where a path is among the entries, or would be.
    fn place(&self, path: &str) -> Result<usize, usize> {
        let path = path.trim_end_matches('/');
        self.entries.binary_search_by(|(known, _)| known.as_ref().cmp(path))
    }
}

/// Whether `path` may stand in a route: every program reads it alike, and all of it is a path.
pub(super) fn is_route_path(path: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@/".contains(&byte);
    let whole = path == "/" || path.starts_with('/') && !path.ends_with('/');
    whole && path.bytes().all(fits) && path::laxest(path) == path
}
