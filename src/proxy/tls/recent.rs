//! What was used last, up to so many, for all workers at once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Values by name; when there are too many, the one that was not used for longest makes room.
#[derive(Debug)]
pub(super) struct Recent<V> {
    limit: usize,
    kept: Mutex<Kept<V>>,
}

#[derive(Debug)]
struct Kept<V> {
    /// Grows with each use.
    now: u64,
    values: HashMap<String, (V, u64)>,
}

impl<V: Clone> Recent<V> {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, kept: Mutex::new(Kept { now: 0, values: HashMap::new() }) }
    }

    pub(super) fn get(&self, name: &str) -> Option<V> {
        let mut kept = self.lock();
        kept.now += 1;
        let now = kept.now;
        let (value, used) = kept.values.get_mut(name)?;
        *used = now;
        Some(value.clone())
    }

    pub(super) fn put(&self, name: &str, value: V) {
        let mut kept = self.lock();
        kept.now += 1;
        let now = kept.now;
        if kept.values.len() >= self.limit && !kept.values.contains_key(name) {
            let oldest = kept.values.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| name.clone());
            oldest.and_then(|oldest| kept.values.remove(&oldest));
        }
        kept.values.insert(name.to_owned(), (value, now));
    }

    /// Forgets what `keep` does not want.
    pub(super) fn retain(&self, mut keep: impl FnMut(&str, &V) -> bool) {
        self.lock().values.retain(|name, (value, _)| keep(name, value));
    }

    fn lock(&self) -> MutexGuard<'_, Kept<V>> {
        // Each change is one statement, so a panic elsewhere does not spoil it.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_was_not_used_for_longest_makes_room() {
        let recent = Recent::new(2);
        recent.put("a", 1);
        recent.put("b", 2);
        assert_eq!(recent.get("a"), Some(1));
        recent.put("c", 3);
        assert_eq!(["a", "b", "c"].map(|name| recent.get(name)), [Some(1), None, Some(3)]);
        recent.put("c", 4);
        assert_eq!(["a", "c"].map(|name| recent.get(name)), [Some(1), Some(4)]);
        recent.retain(|name, _| name == "c");
        assert_eq!(["a", "c"].map(|name| recent.get(name)), [None, Some(4)]);
    }
}
