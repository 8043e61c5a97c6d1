//! The series of one tenant that the head knows, and the inverted index over their labels.
//!
//! A label pair is interned once and a series is the list of its pairs, so a series costs four bytes a label. The registry
//! outlives generations: a flush takes samples away, not series.

mod names;

use std::sync::Arc;

use duramen_limits::IngestLimits;
use duramen_model::labels::cmp_encoded_in_block;
use duramen_model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher, SeriesId};
use hashbrown::HashMap as FastMap;
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::Xxh3Builder;

use crate::refusal::Refusal;

/// The number of a series in its tenant's registry.
pub(crate) type Slot = u32;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    series: Vec<Box<[PairId]>>,
    slots: FastMap<SeriesId, Slot, Xxh3Builder>,
    /// Series by the bytes of their labels in a request: see [`Registry::recall`].
    sent: FastMap<u128, Slot, Xxh3Builder>,
    pairs: Vec<Pair>,
    names: FastMap<Arc<str>, Name, Xxh3Builder>,
    order: Order,
}

type PairId = u32;

/// A label name and the values that it has.
#[derive(Debug)]
struct Name {
    name: Arc<str>,
    values: FastMap<Arc<str>, PairId, Xxh3Builder>,
}

#[derive(Debug)]
struct Pair {
    name: Arc<str>,
    value: Arc<str>,
    /// The series that carry it.
    postings: RoaringBitmap,
}

/// The slots in the order of a block. New series wait in a tail until someone needs the order.
#[derive(Debug, Default)]
struct Order {
    slots: Vec<Slot>,
    sorted: usize,
}

impl Registry {
    /// How many series there are; slots are `0..len`.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// The series that was sent before under labels whose bytes hash to `key`, without decoding a label.
    ///
    /// The key is a 128-bit hash under a secret seed of the process: senders cannot make two label sets meet.
    pub(crate) fn recall(&self, key: u128) -> Option<Slot> {
        self.sent.get(&key).copied()
    }

    /// Remembers for [`Registry::recall`].
    pub(crate) fn remember(&mut self, key: u128, slot: Slot) {
        // One series may come in many forms of bytes. Forgetting them all now and then costs one decoding each.
        if self.sent.len() > 2 * self.series.len() + 1024 {
            self.sent.clear();
        }
        self.sent.insert(key, slot);
    }

    /// The slot of a label set.
    pub(crate) fn find(&self, labels: &Labels) -> Option<Slot> {
        self.slots.get(&labels.series_id()).copied()
    }

    /// Whether one more series may be held.
    pub(crate) fn check_room(&self, labels: &Labels, limits: &IngestLimits) -> Result<(), Refusal> {
        if self.len() >= limits.series_max {
            return Err(Refusal::SeriesLimit { max: limits.series_max });
        }
        let Some(max) = limits.series_per_metric_max else { return Ok(()) };
        let name = labels.get(METRIC_NAME).unwrap_or("");
        let held = self.names.get(METRIC_NAME).and_then(|names| names.values.get(name));
        if held.is_some_and(|&pair| self.pair(pair).postings.len() >= max as u64) {
            return Err(Refusal::SeriesPerMetricLimit { max });
        }
        Ok(())
    }

    /// The slot of a label set, a new one when it was not known.
    ///
    /// # Panics
    /// At 2^32 series: the limit of series per tenant lies far below.
    pub(crate) fn intern(&mut self, labels: &Labels) -> Slot {
        let id = labels.series_id();
        if let Some(&slot) = self.slots.get(&id) {
            return slot;
        }
        let slot = Slot::try_from(self.series.len()).expect("a registry has fewer than 2^32 series");
        let pairs: Box<[PairId]> = labels.iter().map(|(name, value)| self.intern_pair(name, value)).collect();
        for &pair in &pairs {
            self.pair_mut(pair).postings.insert(slot);
        }
        self.series.push(pairs);
        self.slots.insert(id, slot);
        self.order.slots.push(slot);
        slot
    }

    fn intern_pair(&mut self, name: &str, value: &str) -> PairId {
        if let Some(&pair) = self.names.get(name).and_then(|held| held.values.get(value)) {
            return pair;
        }
        let pair = PairId::try_from(self.pairs.len()).expect("a registry has fewer than 2^32 label pairs");
        if !self.names.contains_key(name) {
            let name: Arc<str> = Arc::from(name);
            self.names.insert(Arc::clone(&name), Name { name, values: FastMap::default() });
        }
        let held = self.names.get_mut(name).expect("the name was put there");
        let value: Arc<str> = Arc::from(value);
        held.values.insert(Arc::clone(&value), pair);
        self.pairs.push(Pair { name: Arc::clone(&held.name), value, postings: RoaringBitmap::new() });
        pair
    }

    fn pair(&self, pair: PairId) -> &Pair {
        &self.pairs[pair as usize]
    }

    fn pair_mut(&mut self, pair: PairId) -> &mut Pair {
        &mut self.pairs[pair as usize]
    }

    /// Puts the labels of a series into `builder`, which is cleared first.
    pub(crate) fn labels_into(&self, slot: Slot, builder: &mut LabelsBuilder) {
        builder.clear();
        for &pair in &self.series[slot as usize] {
            let pair = self.pair(pair);
            builder.push(&pair.name, &pair.value);
        }
    }

    pub(crate) fn labels(&self, slot: Slot) -> Labels {
        let mut builder = LabelsBuilder::default();
        self.labels_into(slot, &mut builder);
        builder.finish()
    }

    /// The series that pass all matchers. A regex is asked once per distinct value of its label.
    pub(crate) fn select(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let mut selected: Option<RoaringBitmap> = None;
        let (narrow, wide): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| !m.matches_empty());
        for matcher in narrow {
            let passing = self.with_value(&matcher.name, &matcher.op, |value| matcher.matches(value));
            selected = Some(match selected {
                None => passing,
                Some(so_far) => so_far & passing,
            });
        }
        let mut selected = selected.unwrap_or_else(|| {
            RoaringBitmap::from_sorted_iter(0..Slot::try_from(self.series.len()).unwrap_or(Slot::MAX))
                .unwrap_or_default()
        });
        for matcher in wide {
            if selected.is_empty() {
                break;
            }
            selected -= self.with_value(&matcher.name, &matcher.op, |value| !matcher.matches(value));
        }
        selected
    }

    /// The series whose label `name` is there with a value that passes.
    fn with_value(&self, name: &str, op: &MatchOp, passes: impl Fn(&str) -> bool) -> RoaringBitmap {
        let Some(Name { values, .. }) = self.names.get(name) else { return RoaringBitmap::new() };
        let mut found = RoaringBitmap::new();
        if let MatchOp::Equal(value) | MatchOp::NotEqual(value) = op
            && passes(value)
        {
            if let Some(&pair) = values.get(value.as_str()) {
                found |= &self.pair(pair).postings;
            }
            // An equality passes for its own value only; the other way round, `passes` was negated and so is true for it only.
            return found;
        }
        for (value, &pair) in values {
            if passes(value) {
                found |= &self.pair(pair).postings;
            }
        }
        found
    }

    /// Whether [`Registry::in_block_order`] would have to sort first.
    pub(crate) fn is_ordered(&self) -> bool {
        self.order.sorted == self.order.slots.len()
    }

    /// Brings new series into order: n log n of the new ones and one pass over all.
    pub(crate) fn sort(&mut self) {
        if self.is_ordered() {
            return;
        }
        let sorted = self.order.sorted;
        let mut tail: Vec<(Labels, Slot)> =
            self.order.slots[sorted..].iter().map(|&slot| (self.labels(slot), slot)).collect();
        tail.sort_unstable_by(|a, b| a.0.cmp_in_block(&b.0));
        let mut merged = Vec::with_capacity(self.order.slots.len());
        let mut builder = LabelsBuilder::default();
        let mut held = self.order.slots[..sorted].iter().copied();
        // Few new series among many old: find each one's place by bisection and copy the runs between.
        let mut from = 0;
        for (labels, slot) in tail {
            let behind = &self.order.slots[from..sorted];
            let run = behind.partition_point(|&old| {
                self.labels_into(old, &mut builder);
                cmp_encoded_in_block(builder.encoded(), labels.encoded()).is_lt()
            });
            merged.extend(held.by_ref().take(run));
            merged.push(slot);
            from += run;
        }
        merged.extend(held);
        self.order = Order { sorted: merged.len(), slots: merged };
    }

    /// The selected series in the order of a block. [`Registry::sort`] must have run since the last new series.
    pub(crate) fn in_block_order(&self, selected: &RoaringBitmap) -> Vec<Slot> {
        debug_assert!(self.is_ordered());
        // A bisection over labels costs some 20 comparisons, a pass over the order one bit each.
        if selected.len() * 64 < self.series.len() as u64 {
            let mut few: Vec<(Labels, Slot)> = selected.iter().map(|slot| (self.labels(slot), slot)).collect();
            few.sort_unstable_by(|a, b| a.0.cmp_in_block(&b.0));
            return few.into_iter().map(|(_, slot)| slot).collect();
        }
        self.order.slots.iter().copied().filter(|&slot| selected.contains(slot)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    fn registry() -> Registry {
        let mut registry = Registry::default();
        for (name, job) in [("up", "node"), ("up", "db"), ("down", "node"), ("load", "")] {
            registry.intern(&labels(&[("__name__", name), ("job", job)]));
        }
        registry
    }

    fn check(matchers: &[Matcher], expected: &[Slot]) {
        assert_eq!(registry().select(matchers).iter().collect::<Vec<_>>(), expected, "{matchers:?}");
    }

    #[test]
    fn a_series_is_interned_once_and_keeps_its_labels() {
        let mut registry = registry();
        let set = labels(&[("__name__", "up"), ("job", "db")]);
        assert_eq!((registry.intern(&set), registry.len()), (1, 4));
        assert_eq!(registry.labels(1), set);
    }

    #[test]
    fn matchers_equate_a_missing_label_with_an_empty_one() {
        check(&[], &[0, 1, 2, 3]);
        check(&[Matcher::equal("job", "node")], &[0, 2]);
        check(&[Matcher::equal("job", "")], &[3]);
        check(&[Matcher::not_equal("job", "")], &[0, 1, 2]);
        check(&[Matcher::not_equal("job", "node")], &[1, 3]);
        check(&[Matcher::equal("absent", "x")], &[]);
        check(&[Matcher::not_equal("absent", "x")], &[0, 1, 2, 3]);
        check(&[Matcher::equal("__name__", "up"), Matcher::not_equal("job", "db")], &[0]);
        check(&[Matcher::regex("job", "n.*|").unwrap()], &[0, 2, 3]);
        check(&[Matcher::regex("job", "d.+").unwrap()], &[1]);
        check(&[Matcher::not_regex("job", "d.+").unwrap()], &[0, 2, 3]);
        check(&[Matcher::not_regex("job", ".*").unwrap()], &[]);
    }

    #[test]
    fn the_order_of_a_block_holds_however_series_arrive() {
        let mut registry = Registry::default();
        let mut all = Vec::new();
        for i in [5, 3, 9, 1, 7, 0, 8, 2, 6, 4] {
            let set = labels(&[("__name__", if i % 2 == 0 { "b" } else { "a" }), ("i", &i.to_string())]);
            registry.intern(&set);
            all.push(set);
            registry.sort();
        }
        all.sort_by(Labels::cmp_in_block);
        let everything = registry.select(&[]);
        let ordered: Vec<_> = registry.in_block_order(&everything).into_iter().map(|s| registry.labels(s)).collect();
        assert_eq!(ordered, all);
    }
}
