//! Many new series are sorted by the ranks of their label pairs, so no label is compared twice.
//!
//! All pairs are sorted once, by name and value. The *key* of a series is then a list of numbers:
//! the rank of its metric name, and the ranks of its other pairs. Keys sort as labels do in a block.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use duramen_model::METRIC_NAME;
use duramen_runtime::Pace;

use super::shared::{AT_ONCE, SharedRegistry};
use super::{PairId, Registry, Slot};

/// Items that are sorted in one step, which takes a few milliseconds.
const RUN: usize = 16 << 10;

/// The places of all label pairs in the order by name and value.
#[derive(Debug)]
pub(super) struct Ranks {
    by_pair: Vec<u32>,
    /// The ranks of the pairs that are metric names.
    metrics: Range<u32>,
}

/// The keys of some series, and the series in the order of a block.
#[derive(Debug, Default)]
pub(super) struct Keyed {
    /// The keys, one after the other.
    ranks: Vec<u32>,
    series: Vec<Key>,
}

/// A series, with the place of its key.
#[derive(Clone, Copy, Debug)]
struct Key {
    /// The first two numbers of the key, which tell most series apart.
    first: u64,
    start: usize,
    end: usize,
    slot: Slot,
}

impl SharedRegistry {
    /// Returns the ranks of all pairs. They are those of the series that are there now for as long
    /// as the ordering is locked: forgetting, which alone frees numbers of pairs, waits for it.
    pub(super) async fn ranks(&self, pace: &mut Pace) -> Ranks {
        let mut pairs: Vec<(Arc<str>, Arc<str>, PairId)> = Vec::new();

        loop {
            {
                let registry = self.read();
                let from = pairs.len();
                let step = registry.pairs.iter().enumerate().skip(from).take(AT_ONCE);

                pairs.extend(step.map(|(at, pair)| {
                    let number = PairId::try_from(at).unwrap_or(PairId::MAX);
                    (Arc::clone(&pair.name), Arc::clone(&pair.value), number)
                }));

                if pairs.len() == from {
                    break;
                }
            }

            pace.done(AT_ONCE).await;
        }

        sort_in_steps(&mut pairs, Ord::cmp, pace).await;

        let mut by_pair = vec![0; pairs.len()];
        for (rank, (_, _, pair)) in (0..).zip(&pairs) {
            by_pair[*pair as usize] = rank;
        }

        let rank_of = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let start = pairs.partition_point(|(name, _, _)| **name < *METRIC_NAME);
        let end = pairs.partition_point(|(name, _, _)| **name <= *METRIC_NAME);

        Ranks {
            by_pair,
            metrics: rank_of(start)..rank_of(end),
        }
    }

    /// Returns series with their keys, in the order of a block.
    pub(super) async fn keyed(&self, slots: &[Slot], ranks: &Ranks, pace: &mut Pace) -> Keyed {
        let mut keyed = Keyed::default();

        for step in slots.chunks(AT_ONCE) {
            {
                let registry = self.read();
                for &slot in step {
                    keyed.push(slot, |key| registry.key_into(slot, ranks, key));
                }
            }

            pace.done(AT_ONCE).await;
        }

        keyed.sort(pace).await;
        keyed
    }
}

impl Registry {
    /// Appends the key of a series: the rank of its metric name plus one, or 0 if it has none, and
    /// the ranks of its other pairs.
    pub(super) fn key_into(&self, slot: Slot, ranks: &Ranks, key: &mut Vec<u32>) {
        let metric = key.len();
        key.push(0);

        for pair in self.series.of(slot) {
            let rank = ranks
                .by_pair
                .get(pair as usize)
                .copied()
                .unwrap_or_default();

            if ranks.metrics.contains(&rank) {
                key[metric] = rank - ranks.metrics.start + 1;
            } else {
                key.push(rank);
            }
        }
    }
}

impl Keyed {
    fn push(&mut self, slot: Slot, key_into: impl FnOnce(&mut Vec<u32>)) {
        let start = self.ranks.len();
        key_into(&mut self.ranks);

        let end = self.ranks.len();
        let first = first_of(&self.ranks[start..end]);
        self.series.push(Key {
            first,
            start,
            end,
            slot,
        });
    }

    async fn sort(&mut self, pace: &mut Pace) {
        let ranks = &self.ranks;
        let order = |a: &Key, b: &Key| {
            let behind = |key: &Key| &ranks[key.start..key.end];
            a.first.cmp(&b.first).then_with(|| behind(a).cmp(behind(b)))
        };

        sort_in_steps(&mut self.series, order, pace).await;
    }

    /// Returns the series in order, each with its key.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (Slot, &[u32])> {
        self.series
            .iter()
            .map(|key| (key.slot, &self.ranks[key.start..key.end]))
    }
}

fn first_of(key: &[u32]) -> u64 {
    let at = |at: usize| u64::from(key.get(at).copied().unwrap_or_default());
    at(0) << 32 | at(1)
}

/// Sorts runs and yields after each, then merges the runs.
async fn sort_in_steps<T>(items: &mut [T], order: impl Fn(&T, &T) -> Ordering, pace: &mut Pace) {
    for run in items.chunks_mut(RUN) {
        run.sort_unstable_by(&order);
        pace.wait().await;
    }

    // A stable sort finds the sorted runs and only merges them.
    items.sort_by(order);
}
