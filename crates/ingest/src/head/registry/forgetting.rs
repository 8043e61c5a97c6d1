//! Forgetting: idle series leave the registry, with the labels that no other series has.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::shared::{AT_ONCE, SharedRegistry};
use super::slots::Era;
use super::{Pair, PairId, Registry, Slot, size};

/// Series that are removed from the index in one step: some ten thousand postings.
const UNLINKED_AT_ONCE: usize = 256;

impl SharedRegistry {
    /// Ends an era and forgets the series that nobody uses any more, see [`super::slots`]. Returns
    /// how many.
    ///
    /// `in_use` is called after the era has ended. It returns the series that have samples in a
    /// generation that is not committed. No generation may be committed meanwhile. This works in
    /// steps, as queries do, and blocks, so it belongs on a thread of its own.
    pub(crate) fn forget(&self, in_use: impl FnOnce() -> RoaringBitmap) -> usize {
        let (ended, oldest) = self.write().eras.end();
        {
            let _one_at_a_time = futures::executor::block_on(self.ordering.lock());
            self.write().drop_vacant_end();
        }

        // This comes after the end of the era: it sees everything that was done under a pin that is
        // gone by now.
        let in_use = in_use();

        // Exemplars are dropped to make room, so a series can go out of use while views of the next
        // era still know it.
        self.read().use_all(in_use.iter(), ended);

        let mut gone = RoaringBitmap::new();
        let mut from = 0;

        while let Some(behind) = self.write().hide_idle(from, oldest, &in_use, &mut gone) {
            from = behind;
            std::thread::yield_now();
        }

        if gone.is_empty() {
            return 0;
        }

        {
            let _one_at_a_time = futures::executor::block_on(self.ordering.lock());
            let sorted = Arc::clone(&self.read().order.sorted);

            let left: Vec<Slot> = sorted
                .iter()
                .copied()
                .filter(|slot| !gone.contains(*slot))
                .collect();

            let mut registry = self.write();
            registry.order.sorted = Arc::new(left);
            registry.order.waiting.retain(|slot| !gone.contains(*slot));
        }

        let mut slots = gone.iter();

        loop {
            let step: Vec<Slot> = slots.by_ref().take(UNLINKED_AT_ONCE).collect();
            if step.is_empty() {
                break;
            }

            self.write().unlink(&step);
            std::thread::yield_now();
        }

        self.write().give_room_back();
        usize::try_from(gone.len()).unwrap_or(usize::MAX)
    }
}

impl Registry {
    /// Notes that `slots` are used in the current era: a generation with samples of them is about
    /// to be committed, or a generation gets exemplars of them.
    pub(crate) fn use_now(&self, slots: impl Iterator<Item = Slot>) {
        self.use_all(slots, self.eras.current());
    }

    fn use_all(&self, slots: impl Iterator<Item = Slot>, era: Era) {
        for slot in slots {
            self.tenures[slot as usize].used_in(era);
        }
    }

    /// Hides the idle series among the next ones from requests, and adds them to `gone`. Views may
    /// still find them. Returns where to go on, or `None` at the end.
    fn hide_idle(
        &mut self,
        from: Slot,
        oldest: Era,
        in_use: &RoaringBitmap,
        gone: &mut RoaringBitmap,
    ) -> Option<Slot> {
        let end = self.tenures.len().min(from as usize + AT_ONCE);

        for slot in from..Slot::try_from(end).unwrap_or(Slot::MAX) {
            if !self.tenures[slot as usize].ended_before(oldest) || in_use.contains(slot) {
                continue;
            }

            let hash = self.hash(self.labels(slot).encoded());
            let removed = self.slots.remove(hash, slot);

            debug_assert!(removed, "a series that was not hidden is in the table");

            if self.sent.forget(slot) {
                self.bytes -= size::KEY;
            }

            self.tenures[slot as usize].vacate();
            gone.insert(slot);
        }

        (end < self.tenures.len()).then(|| Slot::try_from(end).unwrap_or(Slot::MAX))
    }

    /// Removes hidden series from the index and vacates their numbers.
    fn unlink(&mut self, slots: &[Slot]) {
        for &slot in slots {
            debug_assert!(self.tenures[slot as usize].is_vacant());

            let (pairs, places) = self.series.take(slot);
            self.bytes -= size::SERIES + pairs.len() * size::POSTING + places;

            for &pair in &pairs {
                let postings = &mut self.pair_mut(pair).postings;
                postings.remove(slot);

                if postings.is_empty() {
                    self.drop_pair(pair);
                }
            }

            self.vacant.put(&self.open_segment, slot);
        }
    }

    /// Removes a label pair that no series has any more, and its name with the last of its values.
    fn drop_pair(&mut self, pair: PairId) {
        let nothing = Pair::default();
        let Pair { name, value, .. } = std::mem::replace(self.pair_mut(pair), nothing);
        self.bytes -= size::PAIR + value.len();
        self.vacant_pairs.push(pair);

        let Some(entry) = self.names.get_mut(&*name) else {
            return;
        };
        entry.values.remove(&*value);
        entry.pairs.remove(pair);

        if entry.values.is_empty() {
            self.names.remove(&*name);
            self.bytes -= size::NAME + name.len();
        }
    }

    /// Shrinks tables that are mostly empty.
    fn give_room_back(&mut self) {
        self.bound_sent();
        self.slots.give_room_back();
        self.sent.give_room_back();

        for name in self.names.values_mut() {
            if size::is_roomy(name.values.capacity(), name.values.len()) {
                name.values.shrink_to_fit();
            }
        }
    }

    /// Drops the numbers of series and of pairs at the end that are all vacant, if a new series
    /// could get them anyway. They are given again as the next ones. After a time with many short
    /// series, these are most of the numbers.
    fn drop_vacant_end(&mut self) {
        let len = self.tenures.len();
        let end = self.vacant.end(&self.open_segment, len);

        if end < len {
            self.bytes -= self.sent.others() * size::SENT;
            self.sent.truncate(end);
            self.tenures.truncate(end);
            self.vacant.truncate(end);
            self.bytes -= (len - end) * size::SLOT + self.series.truncate(end);
        }

        let pairs = self.pairs.len();
        while self.pairs.pop_if(|pair| pair.name.is_empty()).is_some() {}

        let left = self.pairs.len();
        if left < pairs {
            self.vacant_pairs.retain(|pair| (*pair as usize) < left);
            self.vacant_pairs.shrink_to(2 * self.vacant_pairs.len());
            self.bytes -= (pairs - left) * size::PAIR_PLACE;
            self.latest.clear();

            if size::is_roomy(self.pairs.capacity(), left) {
                self.pairs.shrink_to_fit();
            }
        }
    }

    /// Clears the table of other bytes if it has grown too large. One series may be sent as many
    /// different bytes, and the entries of a forgotten series stay until here. After that, such a
    /// series is decoded again when it is next sent.
    pub(super) fn bound_sent(&mut self) {
        if self.sent.others() > self.len() + 1024 {
            self.bytes -= self.sent.others() * size::SENT;
            self.sent.clear_others();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use duramen_model::{Labels, Matcher};
    use duramen_source::Reads;
    use futures::executor::block_on;
    use proptest::prelude::*;

    use super::super::{OpenSegment, SlotPin};
    use super::*;

    fn labels(number: u8) -> Labels {
        let parity = format!("{}", number % 2);
        let number = format!("{number:03}");
        Labels::from_pairs([("__name__", "m"), ("number", &number), ("parity", &parity)]).unwrap()
    }

    fn none() -> RoaringBitmap {
        RoaringBitmap::new()
    }

    fn selected(registry: &SharedRegistry, matcher: Matcher) -> Vec<Slot> {
        block_on(registry.select(&[matcher])).iter().collect()
    }

    #[test]
    fn a_series_goes_after_an_era_without_use_and_takes_its_labels_along() {
        let registry = SharedRegistry::default();
        let empty = registry.read().bytes();
        registry.write().intern(&labels(1));

        let stays = registry.write().intern(&labels(3));
        assert_eq!(
            registry.forget(none),
            0,
            "it was used in the era that ended"
        );

        assert_eq!(registry.write().intern(&labels(3)), stays);
        assert_eq!(registry.forget(none), 1);

        assert_eq!(
            (registry.read().len(), registry.read().find(&labels(1))),
            (1, None)
        );

        assert_eq!(selected(&registry, Matcher::equal("number", "001")), [0; 0]);
        assert_eq!(selected(&registry, Matcher::equal("parity", "1")), [stays]);

        let everything = block_on(registry.select(&[Matcher::equal("__name__", "m")]));
        assert_eq!(
            block_on(registry.values_of(&everything, "number", &Reads::default()))
                .unwrap()
                .into_iter()
                .collect::<Vec<_>>(),
            ["003"]
        );

        assert_eq!(registry.forget(none), 1);
        let names = block_on(registry.names_of(&everything, &Reads::default()));
        assert!(names.unwrap().is_empty());

        let places = 2 * size::SLOT + 6 + 4 * size::PAIR_PLACE;
        assert_eq!(registry.read().bytes(), empty + places);
    }

    #[test]
    fn what_was_sent_by_the_same_bytes_is_not_taken_for_the_next_series_of_the_number() {
        let open = OpenSegment::default();
        let registry = SharedRegistry::new(open.clone(), 0);
        let slot = registry.write().intern(&labels(1));

        registry.write().remember(77, slot, None);
        assert_eq!(registry.read().recall(77, None), Some(slot));

        registry.forget(none);
        registry.forget(none);

        assert_eq!(registry.read().recall(77, None), None);
        assert_ne!(
            registry.write().intern(&labels(2)),
            slot,
            "the open segment may define it"
        );

        open.set(1);
        assert_eq!(registry.write().intern(&labels(4)), slot);
        assert_eq!(registry.read().recall(77, None), None);
        assert_eq!(registry.read().labels(slot), labels(4));
    }

    #[test]
    fn after_a_churn_the_memory_is_what_it_was() {
        let open = OpenSegment::default();
        let registry = SharedRegistry::new(open.clone(), 0);
        let pod = |number: usize| {
            Labels::from_pairs([("__name__", "m"), ("pod", &format!("pod-{number:07}"))]).unwrap()
        };

        let stays = |registry: &SharedRegistry| {
            (0..100).for_each(|number| _ = registry.write().intern(&pod(number)));
        };

        stays(&registry);
        registry.forget(none);

        let before = registry.read().bytes();
        let mut peak = 0;

        for round in 1..=20u64 {
            for number in 0..5_000 {
                let pod = pod(1_000_000 + number);
                let slot = registry.write().intern(&pod);
                registry.write().remember(number as u128 + 1, slot, None);
            }

            peak = peak.max(registry.read().bytes());

            for _ in 0..3 {
                open.set(3 * round);
                stays(&registry);
                registry.forget(none);
            }

            open.set(3 * round + 1);
        }

        stays(&registry);
        registry.forget(none);

        let after = registry.read().bytes();
        assert_eq!(registry.read().len(), 100);
        assert!(peak > 20 * before, "{peak} at most, {before} before");
        let page = 16 << 10;
        assert!(after <= before + page, "{after} after, {before} before");
    }

    #[test]
    fn of_many_series_that_go_the_order_keeps_those_that_stay() {
        let registry = SharedRegistry::default();
        for number in (0..200).rev() {
            registry.write().intern(&labels(number));
        }

        let all = block_on(registry.select(&[]));
        block_on(registry.in_block_order(&all));
        registry.forget(none);

        for number in [7, 100, 3] {
            registry.write().intern(&labels(number));
        }

        registry.write().intern(&labels(250));
        assert_eq!(registry.forget(none), 197);

        let left = block_on(registry.select(&[Matcher::equal("__name__", "m")]));
        let ordered = block_on(registry.in_block_order(&left));

        assert_eq!(
            block_on(registry.labels_of(&ordered)),
            [3, 7, 100, 250].map(labels)
        );
    }

    /// One event for a registry.
    #[derive(Clone, Debug)]
    enum Step {
        /// A request with a series is admitted. Its write is not applied yet.
        Admit(u8),
        /// The oldest write is applied to the open generation.
        Apply,
        /// Somebody takes a view of all generations.
        View,
        /// The oldest view ends.
        Leave,
        /// The open generation is frozen and committed.
        Flush,
        /// The log starts a new segment.
        Rotate,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..12u8).prop_map(Step::Admit),
            5 => Just(Step::Apply),
            1 => Just(Step::View),
            1 => Just(Step::Leave),
            3 => Just(Step::Flush),
            2 => Just(Step::Rotate),
        ]
    }

    proptest! {
        #[test]
        fn a_number_means_one_series_for_everyone_who_has_it(steps in prop::collection::vec(step(), 1..300)) {
            let open_segment = OpenSegment::default();
            let registry = SharedRegistry::new(open_segment.clone(), 0);
            let mut writes: Vec<(Slot, u8, SlotPin)> = Vec::new();
            let mut views: Vec<(HashMap<Slot, u8>, SlotPin)> = Vec::new();
            let mut generation: HashMap<Slot, u8> = HashMap::new();
            let mut defined: HashMap<Slot, u8> = HashMap::new();
            let mut segment = 0;

            for step in steps {
                match step {
                    Step::Admit(number) => {
                        let pin = registry.read().pin();
                        let slot = registry.write().intern(&labels(number));
                        writes.push((slot, number, pin));
                    }
                    Step::Apply if !writes.is_empty() => {
                        let (slot, number, _pin) = writes.remove(0);
                        prop_assert_eq!(*defined.entry(slot).or_insert(number), number, "two series in one segment");
                        prop_assert_eq!(*generation.entry(slot).or_insert(number), number);
                    }
                    Step::View => views.push((generation.clone(), registry.read().pin())),
                    Step::Leave if !views.is_empty() => _ = views.remove(0),
                    Step::Flush => {
                        let slots: RoaringBitmap = generation.keys().copied().collect();
                        registry.read().use_now(slots.iter());
                        generation.clear();
                        registry.forget(RoaringBitmap::new);
                    }
                    Step::Rotate => {
                        segment += 1;
                        open_segment.set(segment);
                        defined.clear();
                    }
                    Step::Apply | Step::Leave => {}
                }

                let held = views.iter().flat_map(|(view, _)| view).chain(&generation);
                let under_way = writes.iter().map(|(slot, number, _)| (slot, number));

                for (slot, number) in held.chain(under_way) {
                    prop_assert_eq!(registry.read().labels(*slot), labels(*number));
                }

                let mut distinct: Vec<u8> = generation.values().copied().collect();
                distinct.sort_unstable();
                distinct.dedup();

                prop_assert_eq!(distinct.len(), generation.len(), "one series has two numbers in a generation");
            }

            // No user is left: three eras later all series are gone, and the numbers are given
            // again.
            drop((writes, views));
            (0..3).for_each(|_| _ = registry.forget(RoaringBitmap::new));

            prop_assert_eq!(registry.read().len(), 0);

            open_segment.set(segment + 1);

            let slots = registry.read().tenures.len();
            (0..slots).for_each(|number| _ = registry.write().intern(&labels(u8::try_from(number).unwrap())));

            prop_assert_eq!(registry.read().tenures.len(), slots);
        }
    }
}
