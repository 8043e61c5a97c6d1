//! The regexes of one request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Error, GoRegex, RegexCache};

/// Parses the regexes of one request. Each pattern is parsed and compiled once, however often the
/// request contains it. The cost of all patterns together is limited.
#[derive(Debug)]
pub struct Regexes {
    bytes_max: usize,
    cache: Option<(Arc<RegexCache>, Arc<str>)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    read: HashMap<Box<str>, GoRegex>,
    bytes: usize,
}

impl Regexes {
    /// All regexes together may cost `bytes_max`, as [`GoRegex::bytes`] counts it.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            cache: None,
            state: Mutex::default(),
        }
    }

    /// Uses regexes from the cache that `owner` has used before. The cost that is counted for the
    /// request does not depend on the cache.
    #[must_use]
    pub fn cached(self, cache: Arc<RegexCache>, owner: Arc<str>) -> Self {
        Self {
            cache: Some((cache, owner)),
            ..self
        }
    }

    /// Parses a pattern.
    ///
    /// # Errors
    /// The pattern's own error, or [`Error::Together`].
    pub fn read(&self, pattern: &str) -> Result<GoRegex, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = state.read.get(pattern) {
            return Ok(known.clone());
        }

        let cached = self
            .cache
            .as_ref()
            .and_then(|(cache, owner)| cache.get(owner, pattern));

        let is_new = cached.is_none();
        let regex = cached.map_or_else(|| GoRegex::parse(pattern), Ok)?;

        let bytes = state.bytes.saturating_add(regex.bytes());
        if bytes > self.bytes_max {
            return Err(Error::Together {
                bytes,
                max: self.bytes_max,
            });
        }

        state.bytes = bytes;
        state.read.insert(Box::from(pattern), regex.clone());
        drop(state);

        if is_new && let Some((cache, owner)) = &self.cache {
            cache.insert(owner, &regex);
        }

        Ok(regex)
    }

    /// The regexes so far that need an automaton.
    pub fn automata(&self) -> Vec<GoRegex> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state
            .read
            .values()
            .filter(|regex| regex.needs_automaton())
            .cloned()
            .collect()
    }

    /// The cost of all regexes so far.
    pub fn bytes(&self) -> usize {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
    }
}

impl Default for Regexes {
    /// A limit for requests that have no limit of their own.
    fn default() -> Self {
        Self::new(128 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_counts_once_and_together_they_are_bounded() {
        let one = GoRegex::parse(r"\pL{60}").unwrap().bytes();
        let regexes = Regexes::new(2 * one);

        for _ in 0..5000 {
            regexes.read(r"\pL{60}").unwrap();
        }

        assert_eq!(regexes.bytes(), one);

        regexes.read(r"\pN{60}").unwrap();

        let refused = regexes.read(r"\pL{61}").unwrap_err();
        assert_eq!(refused.limit(), Some("regex_bytes_max"));

        assert!(
            refused
                .to_string()
                .contains(&format!("regex_bytes_max=`{}`", 2 * one)),
            "{refused}"
        );

        assert_eq!(regexes.automata().len(), 2);
        assert!(regexes.read(r"\pL{60}").is_ok(), "what was read stays");
    }

    #[test]
    fn what_was_used_before_is_not_compiled_again_and_costs_the_same() {
        let cache = Arc::new(RegexCache::new(1 << 20));
        let owned =
            |owner: &str| Regexes::new(1 << 20).cached(Arc::clone(&cache), Arc::from(owner));
        let first = owned("a").read("a[0-9]+").unwrap();
        let again = owned("a");

        assert!(Arc::ptr_eq(
            &first.inner,
            &again.read("a[0-9]+").unwrap().inner
        ));

        assert_eq!(again.bytes(), first.bytes());
        assert!(!Arc::ptr_eq(
            &first.inner,
            &owned("b").read("a[0-9]+").unwrap().inner
        ));
    }
}
