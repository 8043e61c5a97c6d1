//! The exemplars of one generation. Their number is limited over all series together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use duramen_model::{Exemplar, Labels, TimeRange};
use roaring::RoaringBitmap;

use super::moments::{self, ActiveMoments, MomentNumber, Saved};
use super::registry::Slot;

/// The exemplars of one generation, by series.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    /// The exemplars of each series, ordered by time, value and labels. Equal ones are kept once.
    ///
    /// A set that an active moment sees is copied before it is changed.
    series: BTreeMap<Slot, Arc<BTreeSet<StoredExemplar>>>,
    /// What active moments see of series that have changed since.
    saved: HashMap<Slot, Vec<Saved<Arc<BTreeSet<StoredExemplar>>>>>,
    /// Each series with the number of its exemplars and the time of its oldest. The last entry has
    /// the most exemplars, and among those the oldest one.
    ranks: BTreeSet<Rank>,
    count: usize,
    memory: usize,
}

/// Time, bits of the value and encoded labels of an exemplar.
type StoredExemplar = (i64, u64, Arc<[u8]>);
type Rank = (usize, Reverse<i64>, Slot);

/// The result of pushing an exemplar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    Stored,
    /// There was an equal one.
    Repeated,
}

impl Exemplars {
    /// Pushes an exemplar. [`Exemplars::shrink`] enforces the limit.
    pub(crate) fn push(
        &mut self,
        slot: Slot,
        (ts_ms, value): (i64, f64),
        labels: Vec<u8>,
        active: &ActiveMoments,
    ) -> Offered {
        let bytes = labels.len();
        let new = (ts_ms, value.to_bits(), Arc::from(labels));

        if self
            .series
            .get(&slot)
            .is_some_and(|exemplars| exemplars.contains(&new))
        {
            return Offered::Repeated;
        }

        self.save(slot, active);

        let exemplars = Arc::make_mut(self.series.entry(slot).or_default());
        match rank(slot, exemplars) {
            Some(before) => _ = self.ranks.remove(&before),
            None => self.memory += SERIES,
        }

        exemplars.insert(new);
        self.ranks.extend(rank(slot, exemplars));
        self.count += 1;
        self.memory += memory_of(bytes);

        Offered::Stored
    }

    /// Drops exemplars until at most `max` are left: each time the oldest of the series that has
    /// the most. Returns how many were dropped.
    pub(crate) fn shrink(&mut self, max: usize, active: &ActiveMoments) -> usize {
        let before = self.count;

        while self.count > max {
            let Some((_, _, slot)) = self.ranks.pop_last() else {
                break;
            };
            self.save(slot, active);

            let Some(exemplars) = self.series.get_mut(&slot).map(Arc::make_mut) else {
                break;
            };
            if let Some((_, _, labels)) = exemplars.pop_first() {
                self.count -= 1;
                self.memory -= memory_of(labels.len());
            }

            match rank(slot, exemplars) {
                Some(rank) => _ = self.ranks.insert(rank),
                None => {
                    self.series.remove(&slot);
                    self.memory -= SERIES;
                }
            }
        }

        before - self.count
    }

    /// Saves what moments see of a series that is about to change.
    fn save(&mut self, slot: Slot, active: &ActiveMoments) {
        if active.moments.is_empty() {
            return;
        }

        let saved = self.saved.entry(slot).or_default();
        let series = &self.series;
        moments::save(saved, &active.moments, || {
            series.get(&slot).cloned().unwrap_or_default()
        });
    }

    /// Takes out what was saved for moments, once none is active. It is returned, so that the
    /// caller can drop it where nobody waits.
    pub(crate) fn forget_moments(&mut self) -> impl Sized + use<> {
        std::mem::take(&mut self.saved)
    }

    /// Returns the exemplars that a series had at `moment` in `range`, by ascending time.
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
            .flat_map(|exemplars| exemplars.iter());

        all.filter(move |(ts_ms, _, _)| range.contains(*ts_ms))
            .map(|(ts_ms, bits, labels)| Exemplar {
                ts_ms: *ts_ms,
                value: f64::from_bits(*bits),
                labels: Labels::from_encoded_trusted(labels),
            })
    }

    /// Returns the series that have exemplars, or had some at an active moment.
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

    /// Returns the memory of the exemplars in bytes, roughly.
    pub(crate) const fn memory(&self) -> usize {
        self.memory
    }
}

fn rank(slot: Slot, exemplars: &BTreeSet<StoredExemplar>) -> Option<Rank> {
    exemplars
        .first()
        .map(|(oldest, _, _)| (exemplars.len(), Reverse(*oldest), slot))
}

/// The memory of a series with exemplars: its entries in two trees, and the first node of its own
/// tree.
const SERIES: usize = 560;

/// The memory of an exemplar: its entry in the tree, with nodes two thirds full, and an allocation.
const fn memory_of(labels: usize) -> usize {
    64 + labels
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::head::moments::NOW;

    /// No moment is active.
    const fn nobody() -> ActiveMoments {
        ActiveMoments {
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
