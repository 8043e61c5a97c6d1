//! Label names and values that are collected within the budget of a query.

use std::collections::BTreeSet;

use duramen_qos::Exceeded;

use crate::reads::Reads;

/// A set of label names or values. It reserves memory before it grows. The memory stays reserved
/// until the selection is dropped.
#[derive(Debug)]
pub struct Texts<'a> {
    found: BTreeSet<String>,
    reads: &'a Reads,
    /// What is reserved and not used yet.
    spare: usize,
}

impl<'a> Texts<'a> {
    /// Roughly what a text of a set takes besides its bytes, also while sets are joined.
    const ELEMENT_BYTES: usize = 80;
    /// The most that is reserved in advance.
    const SPARE_BYTES_MAX: usize = 64 << 10;

    /// Makes an empty set in the budget of a selection.
    pub const fn within(reads: &'a Reads) -> Self {
        Self {
            found: BTreeSet::new(),
            reads,
            spare: 0,
        }
    }

    pub fn insert(&mut self, text: &str) -> Result<(), Exceeded> {
        if self.found.contains(text) {
            return Ok(());
        }

        let bytes = Self::bytes_of(text);
        if self.spare < bytes {
            self.reserve(bytes)?;
        }

        self.spare -= bytes;
        self.found.insert(text.to_owned());
        Ok(())
    }

    pub fn extend<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>) -> Result<(), Exceeded> {
        texts.into_iter().try_for_each(|text| self.insert(text))
    }

    /// Returns the set.
    pub fn finish(self) -> BTreeSet<String> {
        self.reads.release(self.spare);
        self.found
    }

    /// Joins two sets that were collected for the selection of `reads`. What was reserved for texts
    /// in both is given back once.
    pub fn union(
        reads: &Reads,
        mut texts: BTreeSet<String>,
        mut more: BTreeSet<String>,
    ) -> BTreeSet<String> {
        let bytes =
            |set: &BTreeSet<String>| -> usize { set.iter().map(|text| Self::bytes_of(text)).sum() };

        let both = bytes(&texts) + bytes(&more);
        texts.append(&mut more);
        reads.release(both - bytes(&texts));
        texts
    }

    const fn bytes_of(text: &str) -> usize {
        text.len() + Self::ELEMENT_BYTES
    }

    /// Reserves at least `bytes`, and up to a fixed number more, because a reservation for each
    /// text would take longer than the text.
    fn reserve(&mut self, bytes: usize) -> Result<(), Exceeded> {
        if self.reads.hold(Self::SPARE_BYTES_MAX).is_ok() {
            self.spare += Self::SPARE_BYTES_MAX;
        }

        if self.spare < bytes {
            self.reads.hold(bytes)?;
            self.spare += bytes;
        }

        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use duramen_qos::{Account, Budget};

    use super::*;

    #[test]
    fn a_set_holds_what_its_texts_take_and_a_union_each_text_once() {
        let budget = Budget::of_query(&Account::unbounded(), 1 << 20);
        let reads = Reads::within(&budget);
        let set = |texts: &[&str]| {
            let mut set = Texts::within(&reads);
            set.extend(texts.iter().copied()).unwrap();
            set.finish()
        };

        let first = set(&["a", "bb", "a"]);
        assert_eq!(budget.held(), 2 * Texts::ELEMENT_BYTES + 3);

        let second = set(&["bb", "c"]);
        let both = Texts::union(&reads, first, second);
        assert!(both.iter().eq(["a", "bb", "c"]));
        assert_eq!(budget.held(), 3 * Texts::ELEMENT_BYTES + 4);
    }

    #[test]
    fn a_set_uses_its_budget_to_the_last_text_and_then_fails() {
        const TEXTS: usize = 10;

        let budget = Budget::of_query(&Account::unbounded(), TEXTS * (Texts::ELEMENT_BYTES + 1));
        let reads = Reads::within(&budget);
        let mut set = Texts::within(&reads);

        for text in "0123456789".split("").filter(|text| !text.is_empty()) {
            set.insert(text).unwrap();
        }

        assert_eq!(set.insert("x").unwrap_err().limit(), "memory_bytes_max");
        set.insert("9").unwrap();
    }
}
