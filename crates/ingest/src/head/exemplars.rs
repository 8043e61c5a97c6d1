//! The exemplars of one generation, of all series together no more than so many.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use duramen_model::{Exemplar, Labels, TimeRange};
use roaring::RoaringBitmap;

use super::moments::{self, Lookers, MomentNumber, Saved};
use super::registry::Slot;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    /// Those of a series by time, and then by value and labels: equal ones are one.
    ///
    /// What a moment looks at is copied before it is changed.
    series: BTreeMap<Slot, Arc<BTreeSet<HeldExemplar>>>,
    /// What moments see of series that were changed since.
    saved: HashMap<Slot, Vec<Saved<Arc<BTreeSet<HeldExemplar>>>>>,
    /// Each series with how many it has and the time of its oldest: the last has the most, and
    /// among those the oldest.
    ranks: BTreeSet<Rank>,
    count: usize,
    memory: usize,
}

/// Time, bits of the value, encoded labels.
type HeldExemplar = (i64, u64, Arc<[u8]>);
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
    pub(crate) fn push(
        &mut self,
        slot: Slot,
        (ts_ms, value): (i64, f64),
        labels: Vec<u8>,
        lookers: &Lookers,
    ) -> Offered {
        let bytes = labels.len();
        let new = (ts_ms, value.to_bits(), Arc::from(labels));

        if self
            .series
            .get(&slot)
            .is_some_and(|held| held.contains(&new))
        {
            return Offered::Repeated;
        }

        self.save(slot, lookers);

        let held = Arc::make_mut(self.series.entry(slot).or_default());
        match rank(slot, held) {
            Some(before) => _ = self.ranks.remove(&before),
            None => self.memory += SERIES,
        }

        held.insert(new);
        self.ranks.extend(rank(slot, held));
        self.count += 1;
        self.memory += memory_of(bytes);

        Offered::Stored
    }

    /// Gives up the oldest of the series that has the most, until no more than `max` are left.
    /// Returns how many went.
    pub(crate) fn shrink(&mut self, max: usize, lookers: &Lookers) -> usize {
        let before = self.count;

        while self.count > max {
            let Some((_, _, slot)) = self.ranks.pop_last() else {
                break;
            };
            self.save(slot, lookers);

            let Some(held) = self.series.get_mut(&slot).map(Arc::make_mut) else {
                break;
            };
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

    /// Keeps what moments see of a series that is about to be changed.
    fn save(&mut self, slot: Slot, lookers: &Lookers) {
        if lookers.moments.is_empty() {
            return;
        }

        let saved = self.saved.entry(slot).or_default();
        let series = &self.series;
        moments::save(saved, &lookers.moments, || {
            series.get(&slot).cloned().unwrap_or_default()
        });
    }

    /// Gives up what was kept for moments, as nobody looks at any. It is returned, to be dropped
    /// where that holds nobody up.
    pub(crate) fn forget_moments(&mut self) -> impl Sized + use<> {
        std::mem::take(&mut self.saved)
    }

    /// The exemplars that a series had at `moment` in `range`, ascending by time.
    pub(crate) fn of(
        &self,
        slot: Slot,
        moment: MomentNumber,
        range: TimeRange,
    ) -> impl Iterator<Item = Exemplar> {
        let saved = self
            .saved
            .get(&slot)
            .and_then(|saved| moments::seen(saved, moment));

        let all = saved
            .or_else(|| self.series.get(&slot))
            .into_iter()
            .flat_map(|held| held.iter());

        all.filter(move |(ts_ms, _, _)| range.contains(*ts_ms))
            .map(|(ts_ms, bits, labels)| Exemplar {
                ts_ms: *ts_ms,
                value: f64::from_bits(*bits),
                labels: Labels::from_encoded_trusted(labels),
            })
    }

    /// The series that have exemplars, or had some at a moment.
    pub(crate) fn slots(&self) -> RoaringBitmap {
        self.series
            .keys()
            .chain(self.saved.keys())
            .copied()
            .collect()
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    /// The memory that they take, in bytes, roughly.
    pub(crate) const fn memory(&self) -> usize {
        self.memory
    }
}

fn rank(slot: Slot, held: &BTreeSet<HeldExemplar>) -> Option<Rank> {
    held.first()
        .map(|(oldest, _, _)| (held.len(), Reverse(*oldest), slot))
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
    use crate::head::moments::NOW;

    /// Nobody looks at a moment.
    const fn nobody() -> Lookers {
        Lookers {
            moments: Vec::new(),
            since: 0,
        }
    }

    fn times(exemplars: &Exemplars, slot: Slot) -> Vec<i64> {
        exemplars
            .of(slot, NOW, TimeRange::ALL)
            .map(|exemplar| exemplar.ts_ms)
            .collect()
    }

    fn push(exemplars: &mut Exemplars, slot: Slot, ts_ms: i64) -> Offered {
        exemplars.push(slot, (ts_ms, 1.0), Vec::new(), &nobody())
    }

    #[test]
    fn equal_exemplars_are_one_and_a_bit_makes_another() {
        let mut exemplars = Exemplars::default();
        let labels = || {
            Labels::from_pairs([("trace_id", "a")])
                .unwrap()
                .encoded()
                .to_vec()
        };

        assert_eq!(
            exemplars.push(1, (10, 0.0), labels(), &nobody()),
            Offered::Stored
        );

        assert_eq!(
            exemplars.push(1, (10, 0.0), labels(), &nobody()),
            Offered::Repeated
        );

        assert_eq!(
            exemplars.push(1, (10, -0.0), labels(), &nobody()),
            Offered::Stored
        );

        assert_eq!(
            exemplars.push(1, (10, 0.0), Vec::new(), &nobody()),
            Offered::Stored
        );

        assert_eq!(
            exemplars.push(2, (10, 0.0), labels(), &nobody()),
            Offered::Stored
        );

        assert_eq!(
            exemplars.push(1, (9, 0.0), labels(), &nobody()),
            Offered::Stored
        );

        assert_eq!(
            (exemplars.len(), times(&exemplars, 1)),
            (5, vec![9, 10, 10, 10])
        );
    }

    #[test]
    fn the_oldest_of_the_series_that_has_the_most_makes_room() {
        let mut exemplars = Exemplars::default();
        for (slot, ts_ms) in [(1, 1), (2, 30), (2, 20), (2, 10), (3, 2)] {
            push(&mut exemplars, slot, ts_ms);
        }

        assert_eq!(exemplars.shrink(4, &nobody()), 1);
        assert_eq!(times(&exemplars, 2), [20, 30]);
        assert_eq!(exemplars.shrink(3, &nobody()), 1);
        assert_eq!(times(&exemplars, 2), [30]);

        // All have one: the oldest goes.
        assert_eq!(exemplars.shrink(2, &nobody()), 1);
        assert_eq!(
            (times(&exemplars, 1), times(&exemplars, 3)),
            (vec![], vec![2])
        );

        assert_eq!(exemplars.shrink(0, &nobody()), 2);
        assert_eq!(
            (exemplars.len(), exemplars.memory(), exemplars.slots().len()),
            (0, 0, 0)
        );
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
                let gone = exemplars.shrink(max, &nobody());

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
