//! Rules that were checked before: a new table takes those that have not changed, and with them the passwords that are
//! known already.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Rules;
use super::password::Guard;
use super::policy::{Policy, RuleError};

/// The checked rules of this process, each once, by what they were written as.
#[derive(Debug)]
pub(in crate::proxy) struct Book {
    guard: Arc<Guard>,
    policies: Mutex<HashMap<String, Arc<Policy>>>,
}

impl Default for Book {
    fn default() -> Self {
        Self { guard: Guard::new(), policies: Mutex::default() }
    }
}

impl Book {
    /// The checked form of `rules`; none if they say nothing.
    pub(in crate::proxy) fn policy(&self, rules: &Rules) -> Result<Option<Arc<Policy>>, RuleError> {
        if *rules == Rules::default() {
            return Ok(None);
        }
        let written = serde_json::to_string(rules)
            .map_err(|error| RuleError::new("rules", "", format!("they cannot be written: {error}")))?;
        if let Some(known) = self.lock().get(&written) {
            return Ok(Some(Arc::clone(known)));
        }
        let policy = Arc::new(Policy::check(rules, &self.guard)?);
        self.lock().insert(written, Arc::clone(&policy));
        Ok(Some(policy))
    }

    /// Forgets the rules that no table and no request holds any more.
    pub(in crate::proxy) fn tidy(&self) {
        self.lock().retain(|_, policy| Arc::strong_count(policy) > 1);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Policy>>> {
        // The map is whole between any two statements here, so a panic elsewhere does not spoil it.
        self.policies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_checked_once_and_forgotten_with_their_last_holder() {
        let book = Book::default();
        assert!(book.policy(&Rules::default()).unwrap().is_none());
        let rules = Rules { https_only: true, ..Rules::default() };
        let (one, two) = (book.policy(&rules).unwrap().unwrap(), book.policy(&rules).unwrap().unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        drop(one);
        book.tidy();
        assert_eq!(book.lock().len(), 1);
        drop(two);
        book.tidy();
        assert!(book.lock().is_empty());
        let wrong = Rules { allow: vec!["10.0.0.0/33".into()], ..Rules::default() };
        assert!(book.policy(&wrong).is_err());
        assert!(book.lock().is_empty());
    }
}
