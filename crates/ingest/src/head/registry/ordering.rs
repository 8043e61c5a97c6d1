//! Series in the order of a block.

use std::sync::Arc;

use duramen_model::labels::cmp_encoded_in_block;
use duramen_model::{Labels, LabelsBuilder};
use duramen_runtime::Pace;
use roaring::RoaringBitmap;

use super::shared::{AT_ONCE, SharedRegistry};
use super::{Registry, Slot};

/// Series that are sorted in one step, which takes a few milliseconds.
const RUN: usize = 4096;

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
        let mut left = self.read().order.waiting.len();

        loop {
            let (sorted, waiting) = self.read().waiting(left);
            if waiting.is_empty() {
                return sorted;
            }

            let count = waiting.len();
            let waiting = self.by_labels(waiting, pace).await;
            let merged = Arc::new(self.merged(&sorted, waiting, pace).await);
            let replaced = self.write().replace_order(&sorted, merged, count);

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
}

impl Registry {
    /// Returns the current order, and those of the next `waiting` series that are merged into it at
    /// once. Their number is so large that all merges together copy the order at most a few hundred
    /// times.
    fn waiting(&self, waiting: usize) -> (Arc<Vec<Slot>>, Vec<Slot>) {
        let order = &self.order;
        let count = waiting.min(RUN.max(order.sorted.len() / 256));
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
    fn an_order_that_was_replaced_meanwhile_stays() {
        let mut registry = Registry::default();
        registry.intern(&Labels::from_pairs([("__name__", "a")]).unwrap());

        let (sorted, waiting) = registry.waiting(1);
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
