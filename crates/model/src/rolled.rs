//! Which samples a rollup stands for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::TimeRange;
use crate::content::Content;

/// A day whose samples a rollup stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledDay {
    /// The first time of the day.
    pub start_ms: i64,
    /// The distinct contents of the raw blocks that had samples of the day, ascending.
    pub contents: Vec<Content>,
}

impl RolledDay {
    /// The length of a day. Days begin at its multiples.
    pub const LENGTH_MS: i64 = 24 * 60 * 60 * 1000;

    /// The times of the day.
    ///
    /// # Panics
    /// When the day is at the end of time, which the manifest's decoder refuses.
    pub fn range(&self) -> TimeRange {
        let end_ms = self.start_ms.saturating_add(Self::LENGTH_MS);
        TimeRange::new(self.start_ms, end_ms).expect("a day has an end")
    }

    /// Whether a rollup of the day stands for all samples in raw blocks with these contents.
    ///
    /// It does if it was made of blocks that have been merged since to these, or if these are some
    /// of those that it was made of.
    pub fn stands_for(&self, contents: &BTreeSet<Content>) -> bool {
        let is_part = contents.iter().all(|one| self.contents.contains(one));
        let live = Content::of_merge(contents.iter().copied());
        let rolled = Content::of_merge(self.contents.iter().copied());

        is_part || live == rolled
    }

    /// Returns the content of a rollup of these days: the sum over the days of xxh3-128 of the start
    /// of the day and of the content of its samples, each as its bytes in big-endian order. So
    /// rollups of different days differ, and a merge of rollups keeps the sum.
    pub fn content_of(days: &[Self]) -> Content {
        let of_day = |day: &Self| {
            let samples = Content::of_merge(day.contents.iter().copied());
            let mut hash = Xxh3::new();
            hash.update(&day.start_ms.to_be_bytes());
            hash.update(&samples.0.to_be_bytes());
            Content(hash.digest128())
        };

        Content::of_merge(days.iter().map(of_day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(start_ms: i64, contents: &[u128]) -> RolledDay {
        RolledDay {
            start_ms,
            contents: contents.iter().map(|one| Content(*one)).collect(),
        }
    }

    fn stands(day: &RolledDay, contents: &[u128]) -> bool {
        day.stands_for(&contents.iter().map(|one| Content(*one)).collect())
    }

    #[test]
    fn a_rollup_stands_for_what_it_was_made_of_however_it_was_merged() {
        let rolled = day(0, &[3, 5]);

        assert!(stands(&rolled, &[3, 5]), "the same blocks");
        assert!(stands(&rolled, &[8]), "merged to one");
        assert!(stands(&rolled, &[5]), "one is gone");
        assert!(stands(&rolled, &[]), "all are gone");
        assert!(!stands(&rolled, &[3, 5, 7]), "a late one");
        assert!(!stands(&rolled, &[15]), "merged with a late one");
    }

    #[test]
    fn the_content_of_a_rollup_is_that_of_its_days() {
        let [a, b] = [day(0, &[3, 5]), day(RolledDay::LENGTH_MS, &[8])];
        let of = |days: &[&RolledDay]| {
            let days: Vec<_> = days.iter().copied().cloned().collect();
            RolledDay::content_of(&days)
        };

        assert_ne!(of(&[&a]), of(&[&b]), "another day");
        assert_eq!(of(&[&a, &b]), Content::of_merge([of(&[&a]), of(&[&b])]));
    }
}
