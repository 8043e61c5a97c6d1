//! Series in the order of a block.

use std::sync::Arc;

use duramen_model::labels::cmp_encoded_in_block;
use duramen_model::{Labels, LabelsBuilder};
use duramen_runtime::Pace;
use roaring::RoaringBitmap;

use super::ranks::{Keyed, Ranks};
use super::shared::{AT_ONCE, SharedRegistry};
use super::{Registry, Slot};

/// Series that are sorted by their labels in one step, which takes a few milliseconds.
const RUN: usize = 4096;

/// More new series than these, and than one for so many label pairs, are sorted by the ranks of
/// their pairs: the labels of a series cost as much as sorting so many pairs.
const PAIRS_PER_SERIES: usize = 16;

/// New series that are merged by their ranks at once, while the order is short. Their keys take
/// some sixty bytes each.
const KEYED_AT_ONCE: usize = 256 << 10;

/// New series whose positions among the old ones are searched in one step: a thousand comparisons.
const PLACES_AT_ONCE: usize = 64;

/// If fewer than one in so many series are selected, they are sorted by their labels. Finding a
/// position costs some twenty comparisons; a pass over the order costs one bit test per series.
const FEW: u64 = 64;

impl SharedRegistry {
    /// Returns the selected series in the order of a block. New series are first merged into the
    /// order: this sorts the new ones, and passes over all series once for some thousands of new
    /// ones.
    pub(crate) async fn in_block_order(&self, selected: &RoaringBitmap) -> Vec<Slot> {
        let mut pace = Pace::default();
        if selected.len() * FEW < self.read().len() as u64 {
            let few = self.by_labels(selected.iter().collect(), &mut pace).await;
            return few.into_iter().map(|(_, slot)| slot).collect();
        }

        let order = self.order(&mut pace).await;
        let mut slots = Vec::with_capacity(usize::try_from(selected.len()).unwrap_or(0));

        for step in order.chunks(64 * AT_ONCE) {
            slots.extend(step.iter().filter(|slot| selected.contains(**slot)));
            pace.wait().await;
        }

        slots
    }

    /// Returns an order that has all currently known series, and maybe more.
    async fn order(&self, pace: &mut Pace) -> Arc<Vec<Slot>> {
        let _one_at_a_time = self.ordering.lock().await;
        let (mut left, pairs) = {
            let registry = self.read();
            (registry.order.waiting.len(), registry.pairs.len())
        };

        let is_many = left > RUN.max(pairs / PAIRS_PER_SERIES);
        let ranks = match is_many {
            true => Some(self.ranks(pace).await),
            false => None,
        };

        loop {
            let (sorted, waiting) = self.read().waiting(left, is_many);
            if waiting.is_empty() {
                return sorted;
            }

            let count = waiting.len();
            let merged = match &ranks {
                Some(ranks) => {
                    let waiting = self.keyed(&waiting, ranks, pace).await;
                    self.merged_by_ranks(&sorted, &waiting, ranks, pace).await
                }
                None => {
                    let waiting = self.by_labels(waiting, pace).await;
                    self.merged(&sorted, waiting, pace).await
                }
            };

            let replaced = self.write().replace_order(&sorted, Arc::new(merged), count);
            if replaced.is_some() {
                left -= count;
            }
        }
    }

    /// Returns series with their labels, in order.
    async fn by_labels(&self, slots: Vec<Slot>, pace: &mut Pace) -> Vec<(Labels, Slot)> {
        let labels = self.labels_of(&slots).await;
        let mut series: Vec<(Labels, Slot)> = labels.into_iter().zip(slots).collect();

        for run in series.chunks_mut(RUN) {
            run.sort_unstable_by(|a, b| a.0.cmp_in_block(&b.0));
            pace.wait().await;
        }

        // A stable sort finds the sorted runs and only merges them.
        series.sort_by(|a, b| a.0.cmp_in_block(&b.0));
        series
    }

    /// Merges `waiting` series into `sorted` ones. The position of each is found by bisection, and
    /// the runs between are copied.
    async fn merged(
        &self,
        sorted: &[Slot],
        waiting: Vec<(Labels, Slot)>,
        pace: &mut Pace,
    ) -> Vec<Slot> {
        let mut merged = Vec::with_capacity(sorted.len() + waiting.len());
        let mut builder = LabelsBuilder::default();
        let mut from = 0;

        for step in waiting.chunks(PLACES_AT_ONCE) {
            {
                let registry = self.read();

                for (labels, slot) in step {
                    let behind = &sorted[from..];
                    let run = behind.partition_point(|&old| {
                        registry.labels_into(old, &mut builder);
                        cmp_encoded_in_block(builder.encoded(), labels.encoded()).is_lt()
                    });

                    merged.extend_from_slice(&behind[..run]);
                    merged.push(*slot);
                    from += run;
                }
            }

            pace.done(PLACES_AT_ONCE * 64).await;
        }

        merged.extend_from_slice(&sorted[from..]);
        merged
    }

    /// Does the same as [`SharedRegistry::merged`], for many series. The position of each is
    /// searched near that of the one before.
    async fn merged_by_ranks(
        &self,
        sorted: &[Slot],
        waiting: &Keyed,
        ranks: &Ranks,
        pace: &mut Pace,
    ) -> Vec<Slot> {
        let mut merged = Vec::with_capacity(sorted.len() + waiting.iter().len());
        let mut old_key = Vec::new();
        let mut from = 0;
        let mut series = waiting.iter().peekable();

        while series.peek().is_some() {
            {
                let registry = self.read();

                for (slot, key) in series.by_ref().take(PLACES_AT_ONCE) {
                    let behind = &sorted[from..];
                    let run = partition_near(behind, |old| {
                        old_key.clear();
                        registry.key_into(old, ranks, &mut old_key);
                        old_key.as_slice() < key
                    });

                    merged.extend_from_slice(&behind[..run]);
                    merged.push(slot);
                    from += run;
                }
            }

            pace.done(PLACES_AT_ONCE * 4).await;
        }

        merged.extend_from_slice(&sorted[from..]);
        merged
    }
}

/// Returns how many of `slots` are before a place, like `partition_point`, with fewer questions if
/// these are few.
fn partition_near(slots: &[Slot], mut is_before: impl FnMut(Slot) -> bool) -> usize {
    let mut end = 1;
    while slots.get(end - 1).is_some_and(|slot| is_before(*slot)) {
        end *= 2;
    }

    let start = end / 2;
    let range = &slots[start.min(slots.len())..end.min(slots.len())];
    start.min(slots.len()) + range.partition_point(|slot| is_before(*slot))
}

impl Registry {
    /// Returns the current order, and those of the next `waiting` series that are merged into it at
    /// once. Their number is so large that all merges together copy the order a few hundred times
    /// at most, and a few times if they are sorted by ranks.
    fn waiting(&self, waiting: usize, by_ranks: bool) -> (Arc<Vec<Slot>>, Vec<Slot>) {
        let order = &self.order;
        let at_once = if by_ranks {
            KEYED_AT_ONCE.max(order.sorted.len() / 4)
        } else {
            RUN.max(order.sorted.len() / 256)
        };

        let count = waiting.min(at_once);
        (
            Arc::clone(&order.sorted),
            order.waiting.iter().take(count).copied().collect(),
        )
    }

    /// Replaces `sorted` by `merged`, which has the first `count` waiting series, and returns
    /// `sorted`. Returns `None` and changes nothing if the order is another one by now: then the
    /// work is lost.
    fn replace_order(
        &mut self,
        sorted: &Arc<Vec<Slot>>,
        merged: Arc<Vec<Slot>>,
        count: usize,
    ) -> Option<Arc<Vec<Slot>>> {
        if !Arc::ptr_eq(&self.order.sorted, sorted) {
            return None;
        }

        self.order.waiting.drain(..count);
        Some(std::mem::replace(&mut self.order.sorted, merged))
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn the_order_of_a_block_holds_however_series_arrive() {
        let registry = SharedRegistry::default();
        let mut all = Vec::new();

        for i in [5, 3, 9, 1, 7, 0, 8, 2, 6, 4] {
            let set = Labels::from_pairs([
                ("__name__", if i % 2 == 0 { "b" } else { "a" }),
                ("i", &i.to_string()),
            ]);

            let set = set.unwrap();
            registry.write().intern(&set);
            all.push(set);

            let everything = block_on(registry.select(&[]));
            let ordered = block_on(registry.in_block_order(&everything));
            all.sort_by(Labels::cmp_in_block);

            assert_eq!(block_on(registry.labels_of(&ordered)), all);
        }
    }

    #[test]
    fn many_new_series_come_into_the_order_of_their_labels() {
        let registry = SharedRegistry::default();
        let mut all = Vec::new();

        // Names sort before and behind the metric's name, values are prefixes of others, sets are
        // prefixes of others, and some have no metric name.
        for i in 0..3 * RUN {
            let mixed = i * 7919 % (3 * RUN);
            let metric = format!("m{}", mixed % 11);
            let value = (mixed / 5).to_string();
            let pairs = [
                ("A", ["", "a", "a"][mixed % 3]),
                (
                    "__name__",
                    [&metric, ""][usize::from(mixed.is_multiple_of(7))],
                ),
                ("host", &value),
                ("z", ["", "x", "xx", "y", ""][mixed % 5]),
            ];

            let present = pairs.into_iter().filter(|(_, value)| !value.is_empty());
            let set = Labels::from_pairs(present).unwrap();
            registry.write().intern(&set);
            all.push(set);

            // The second time, an order is there already.
            if i == 2 * RUN {
                let everything = block_on(registry.select(&[]));
                block_on(registry.in_block_order(&everything));
            }
        }

        let everything = block_on(registry.select(&[]));
        let ordered = block_on(registry.in_block_order(&everything));
        all.sort_by(Labels::cmp_in_block);
        all.dedup();

        assert_eq!(block_on(registry.labels_of(&ordered)), all);
    }

    #[test]
    fn an_order_that_was_replaced_meanwhile_stays() {
        let mut registry = Registry::default();
        registry.intern(&Labels::from_pairs([("__name__", "a")]).unwrap());

        let (sorted, waiting) = registry.waiting(1, false);
        assert_eq!(waiting, [0]);

        assert!(
            registry
                .replace_order(&sorted, Arc::new(vec![0]), 1)
                .is_some()
        );

        assert!(
            registry
                .replace_order(&sorted, Arc::new(vec![]), 0)
                .is_none()
        );

        assert_eq!(*registry.order.sorted, [0]);
    }
}
