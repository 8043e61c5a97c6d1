//! The exemplars of one generation, of all series together no more than so many.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use duramen_model::{Exemplar, Labels, TimeRange};
use roaring::RoaringBitmap;

use super::registry::Slot;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    /// Those of a series by time, and then by value and labels: equal ones are one.
    series: BTreeMap<Slot, BTreeSet<Held>>,
    /// Each series with how many it has and the time of its oldest: the last has the most, and among those the oldest.
    ranks: BTreeSet<Rank>,
    count: usize,
    memory: usize,
}

/// Time, bits of the value, encoded labels.
type Held = (i64, u64, Box<[u8]>);
type Rank = (usize, Reverse<i64>, Slot);

/// What became of an offered exemplar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    Stored,
    /// An equal one was held.
    Repeated,
}

impl Exemplars {
    /// Offers an exemplar. [`Exemplars::shrink`] holds the limit.
    pub(crate) fn push(&mut self, slot: Slot, ts_ms: i64, value: f64, labels: Vec<u8>) -> Offered {
        let held = self.series.entry(slot).or_default();
        let (before, bytes) = (rank(slot, held), labels.len());
        if !held.insert((ts_ms, value.to_bits(), labels.into_boxed_slice())) {
            return Offered::Repeated;
        }
        match before {
            Some(before) => _ = self.ranks.remove(&before),
            None => self.memory += SERIES,
        }
        self.ranks.extend(rank(slot, held));
        self.count += 1;
        self.memory += memory_of(bytes);
        Offered::Stored
    }

    /// Gives up the oldest of the series that has the most, until no more than `max` are left. Returns how many went.
    pub(crate) fn shrink(&mut self, max: usize) -> usize {
        let before = self.count;
        while self.count > max {
            let Some((_, _, slot)) = self.ranks.pop_last() else { break };
            let Some(held) = self.series.get_mut(&slot) else { break };
            if let Some((_, _, labels)) = held.pop_first() {
                self.count -= 1;
                self.memory -= memory_of(labels.len());
            }
            match rank(slot, held) {
                Some(rank) => _ = self.ranks.insert(rank),
                None => {
                    self.series.remove(&slot);
                    self.memory -= SERIES;
                }
            }
        }
        before - self.count
    }

    /// The exemplars of a series in `range`, ascending by time.
    pub(crate) fn of(&self, slot: Slot, range: TimeRange) -> impl Iterator<Item = Exemplar> {
        let all = self.series.get(&slot).into_iter().flatten();
        all.filter(move |(ts_ms, _, _)| range.contains(*ts_ms)).map(|(ts_ms, bits, labels)| Exemplar {
            ts_ms: *ts_ms,
            value: f64::from_bits(*bits),
            labels: Labels::from_encoded_trusted(labels),
        })
    }

    /// The series that have exemplars.
    pub(crate) fn slots(&self) -> RoaringBitmap {
        self.series.keys().copied().collect()
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// The memory that they take, in bytes, roughly.
    pub(crate) const fn memory(&self) -> usize {
        self.memory
    }
}

fn rank(slot: Slot, held: &BTreeSet<Held>) -> Option<Rank> {
    held.first().map(|(oldest, _, _)| (held.len(), Reverse(*oldest), slot))
}

/// A series with exemplars: its places in two trees, and the first node of its own.
const SERIES: usize = 560;

/// A place in the tree, with its nodes two thirds full, and an allocation.
const fn memory_of(labels: usize) -> usize {
    64 + labels
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn times(exemplars: &Exemplars, slot: Slot) -> Vec<i64> {
        exemplars.of(slot, TimeRange::ALL).map(|exemplar| exemplar.ts_ms).collect()
    }

    fn push(exemplars: &mut Exemplars, slot: Slot, ts_ms: i64) -> Offered {
        exemplars.push(slot, ts_ms, 1.0, Vec::new())
    }

    #[test]
    fn equal_exemplars_are_one_and_a_bit_makes_another() {
        let mut exemplars = Exemplars::default();
        let labels = || Labels::from_pairs([("trace_id", "a")]).unwrap().encoded().to_vec();
        assert_eq!(exemplars.push(1, 10, 0.0, labels()), Offered::Stored);
        assert_eq!(exemplars.push(1, 10, 0.0, labels()), Offered::Repeated);
        assert_eq!(exemplars.push(1, 10, -0.0, labels()), Offered::Stored);
        assert_eq!(exemplars.push(1, 10, 0.0, Vec::new()), Offered::Stored);
        assert_eq!(exemplars.push(2, 10, 0.0, labels()), Offered::Stored);
        assert_eq!(exemplars.push(1, 9, 0.0, labels()), Offered::Stored);
        assert_eq!((exemplars.len(), times(&exemplars, 1)), (5, vec![9, 10, 10, 10]));
    }

    #[test]
    fn the_oldest_of_the_series_that_has_the_most_makes_room() {
        let mut exemplars = Exemplars::default();
        for (slot, ts_ms) in [(1, 1), (2, 30), (2, 20), (2, 10), (3, 2)] {
            push(&mut exemplars, slot, ts_ms);
        }
        assert_eq!(exemplars.shrink(4), 1);
        assert_eq!(times(&exemplars, 2), [20, 30]);
        assert_eq!(exemplars.shrink(3), 1);
        assert_eq!(times(&exemplars, 2), [30]);
        // All have one: the oldest goes.
        assert_eq!(exemplars.shrink(2), 1);
        assert_eq!((times(&exemplars, 1), times(&exemplars, 3)), (vec![], vec![2]));
        assert_eq!(exemplars.shrink(0), 2);
        assert_eq!((exemplars.len(), exemplars.memory(), exemplars.slots().len()), (0, 0, 0));
    }

    proptest! {
        #[test]
        fn no_more_than_the_limit_is_held_and_never_one_of_a_smaller_series_goes(
            offered in prop::collection::vec((0..5u32, 0..50i64), 0..80), max in 0..30usize
        ) {
            let mut exemplars = Exemplars::default();
            for (slot, ts_ms) in offered {
                push(&mut exemplars, slot, ts_ms);
                let before: Vec<usize> = (0..5).map(|slot| times(&exemplars, slot).len()).collect();
                let gone = exemplars.shrink(max);
                prop_assert!(exemplars.len() <= max);
                prop_assert_eq!(exemplars.len(), (0..5).map(|slot| times(&exemplars, slot).len()).sum::<usize>());
                if gone == 1 {
                    let most = before.iter().max();
                    let shrunk = (0..5u32).find(|slot| times(&exemplars, *slot).len() < before[*slot as usize]);
                    prop_assert_eq!(shrunk.map(|slot| &before[slot as usize]), most);
                }
            }
        }
    }
}
