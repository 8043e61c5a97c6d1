//! The series and the label pairs of a registry, each interned once.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use duramen_limits::IngestLimits;
use duramen_model::labels::{EncodedLabel, EncodedLabels};
use duramen_model::{Labels, LabelsBuilder, METRIC_NAME};
use hashbrown::HashMap as FastMap;
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::{Xxh3Builder, xxh3_64_with_seed};

use super::lists::{PairId, PairLists};
use super::sent::{Remembered, Sent};
use super::size;
use super::slots::{Eras, OpenSegment, Slot, SlotPin, Tenure, Vacant};
use super::table::SlotTable;
use crate::head::column::Column;
use crate::rejection::Rejection;

/// The series of one tenant and the index over their labels, without a lock.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// The label pairs of each series.
    pub(super) series: PairLists,
    /// As many as there are series.
    pub(super) tenures: Column<Tenure>,
    pub(super) eras: Eras,
    pub(super) vacant: Vacant,
    pub(super) open_segment: OpenSegment,
    /// The series by their labels.
    pub(super) slots: SlotTable,
    /// A secret for the hashes of labels.
    seed: u64,
    /// The series by the bytes in which they were sent, see [`Registry::recall`].
    pub(super) sent: Sent,
    pub(super) pairs: Vec<Pair>,
    pub(super) vacant_pairs: Vec<PairId>,
    pub(super) names: BTreeMap<Arc<str>, Name>,
    pub(super) order: Order,
    /// The pairs of the series that was interned last. They may be gone by now.
    pub(super) latest: Vec<PairId>,
    /// For the pairs of one series.
    scratch: Vec<PairId>,
    /// The memory of the registry, see [`size`].
    pub(super) bytes: usize,
}

/// A label name and its values.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) name: Arc<str>,
    pub(super) values: FastMap<Arc<str>, PairId, Xxh3Builder>,
    /// The same pairs in a fixed order, so that a walk over them can stop and go on later.
    pub(super) pairs: RoaringBitmap,
}

#[derive(Debug, Default)]
pub(super) struct Pair {
    pub(super) name: Arc<str>,
    pub(super) value: Arc<str>,
    /// The series that have this pair.
    pub(super) postings: RoaringBitmap,
}

impl Pair {
    fn is(&self, label: EncodedLabel<'_>) -> bool {
        self.value.as_bytes() == label.value && self.name.as_bytes() == label.name
    }
}

/// The slots in the order of a block. New series wait until the order is needed.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Never changed, but replaced by a longer list.
    pub(super) sorted: Arc<Vec<Slot>>,
    pub(super) waiting: VecDeque<Slot>,
}

impl Registry {
    /// Creates an empty registry. The number of a forgotten series is given again once
    /// `open_segment` is a later one. `seed` is a secret of the process.
    pub(crate) fn new(open_segment: OpenSegment, seed: u64) -> Self {
        Self {
            open_segment,
            seed,
            ..Self::default()
        }
    }

    /// Returns the number of series.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Returns how many numbers can be given again only in the next segment of the log.
    pub(crate) fn vacant_until_rotation(&self) -> usize {
        self.vacant.waiting(&self.open_segment)
    }

    /// Creates a pin. While it lives, every series that its holder gets from here on, or finds in a
    /// generation that is not committed, keeps its number.
    pub(crate) fn pin(&self) -> SlotPin {
        self.eras.pin()
    }

    /// Returns the memory of the registry in bytes, roughly.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the series that was sent before with labels whose bytes have this key, see [`Sent`].
    /// Decodes no label. `before` is the series before it in the request.
    #[inline]
    pub(crate) fn recall(&self, key: u128, before: Option<Slot>) -> Option<Slot> {
        let guessed = before.and_then(|before| self.sent.guess(before, key));
        let slot = match guessed {
            Some(slot) => slot,
            None => self.search(key, before)?,
        };

        self.tenures[slot as usize].used_in(self.eras.current());
        Some(slot)
    }

    /// Finds a series that did not come where it was expected, and expects it there from now on.
    fn search(&self, key: u128, before: Option<Slot>) -> Option<Slot> {
        if let Some(slot) = self.sent.find(key) {
            if let Some(before) = before {
                self.sent.note(before, slot);
            }

            return Some(slot);
        }

        let (slot, generation) = self.sent.find_other(key)?;
        (self.tenures[slot as usize].generation() == generation).then_some(slot)
    }

    /// Remembers a key for [`Registry::recall`], and that the series came after `before` in its
    /// request.
    pub(crate) fn remember(&mut self, key: u128, slot: Slot, before: Option<Slot>) {
        self.bound_sent();

        let generation = self.tenures[slot as usize].generation();
        self.bytes += match self.sent.remember(key, slot, generation) {
            Remembered::Own => size::KEY,
            Remembered::Other => size::SENT,
            Remembered::Known => 0,
        };

        if let Some(before) = before {
            self.sent.note(before, slot);
        }
    }

    /// Returns the slot of a label set, if it is known.
    #[cfg(test)]
    pub(crate) fn find(&self, labels: &Labels) -> Option<Slot> {
        self.find_hashed(labels, self.hash(labels.encoded()))
    }

    /// Returns the slot of a label set with this hash, if it is known.
    pub(crate) fn find_hashed(&self, labels: &Labels, hash: u64) -> Option<Slot> {
        let found = self.slots.find(hash, |slot| self.has_labels(slot, labels));
        let slot = found?;

        self.tenures[slot as usize].used_in(self.eras.current());
        Some(slot)
    }

    /// Returns the hash of an encoded label set.
    pub(crate) fn hash(&self, encoded: &[u8]) -> u64 {
        xxh3_64_with_seed(encoded, self.seed)
    }

    fn has_labels(&self, slot: Slot, labels: &Labels) -> bool {
        let mut sent = EncodedLabels::over(labels.encoded());
        let mut held = self.series.of(slot).map(|pair| self.pair(pair));

        held.all(|pair| sent.next().is_some_and(|label| pair.is(label))) && sent.next().is_none()
    }

    /// Checks whether one more series fits the limits of the tenant.
    pub(crate) fn check_room(
        &self,
        labels: &Labels,
        limits: &IngestLimits,
    ) -> Result<(), Rejection> {
        if self.len() >= limits.series_max {
            return Err(Rejection::SeriesLimit {
                max: limits.series_max,
            });
        }

        let Some(max) = limits.series_per_metric_max else {
            return Ok(());
        };
        let name = labels.get(METRIC_NAME).unwrap_or("");
        let pair = self
            .names
            .get(METRIC_NAME)
            .and_then(|names| names.values.get(name));

        if pair.is_some_and(|&pair| self.pair(pair).postings.len() >= max as u64) {
            return Err(Rejection::SeriesPerMetricLimit { max });
        }

        Ok(())
    }

    /// Returns the slot of a label set. Adds the series if it is new.
    ///
    /// # Panics
    /// At 2^32 series. The limit of series per tenant is far lower.
    pub(crate) fn intern(&mut self, labels: &Labels) -> Slot {
        let hash = self.hash(labels.encoded());
        match self.find_hashed(labels, hash) {
            Some(slot) => slot,
            None => self.add(labels, hash),
        }
    }

    /// Adds a series that is not known, with the hash of its labels.
    ///
    /// # Panics
    /// At 2^32 series.
    pub(crate) fn add(&mut self, labels: &Labels, hash: u64) -> Slot {
        let slot = self.take_slot();
        let mut pairs = std::mem::take(&mut self.scratch);
        pairs.clear();

        for (at, label) in EncodedLabels::over(labels.encoded()).enumerate() {
            // A new series has most labels of the one before, of the same target.
            let pair = match self.latest.get(at) {
                Some(&pair) if self.pair(pair).is(label) => pair,
                _ => self.intern_label(label),
            };

            let postings = &mut self.pair_mut(pair).postings;
            if postings.try_push(slot).is_err() {
                postings.insert(slot);
            }

            pairs.push(pair);
        }

        let places = self.series.set(slot, &pairs);
        self.bytes += size::SERIES + pairs.len() * size::POSTING + places;
        self.scratch = std::mem::replace(&mut self.latest, pairs);
        self.slots.insert(hash, slot);
        self.order.waiting.push_back(slot);

        slot
    }

    /// Returns a number for a new series: a vacant one, or the next.
    pub(super) fn take_slot(&mut self) -> Slot {
        let era = self.eras.current();
        if let Some(slot) = self.vacant.take(&self.open_segment) {
            self.tenures[slot as usize].begin(era);
            return slot;
        }

        let slot =
            Slot::try_from(self.series.len()).expect("a registry has fewer than 2^32 series");
        self.series.push();
        self.sent.push();
        self.tenures.push(Tenure::new(era));
        self.bytes += size::SLOT;

        slot
    }

    fn intern_label(&mut self, label: EncodedLabel<'_>) -> PairId {
        let text = |bytes| std::str::from_utf8(bytes).expect("labels are UTF-8");
        self.intern_pair(text(label.name), text(label.value))
    }

    pub(super) fn intern_pair(&mut self, name: &str, value: &str) -> PairId {
        if let Some(&pair) = self
            .names
            .get(name)
            .and_then(|entry| entry.values.get(value))
        {
            return pair;
        }

        let pair = self.vacant_pairs.pop().unwrap_or_else(|| {
            let next = PairId::try_from(self.pairs.len())
                .expect("a registry has fewer than 2^32 label pairs");
            self.pairs.push(Pair::default());
            self.bytes += size::PAIR_PLACE;

            next
        });

        if !self.names.contains_key(name) {
            let name: Arc<str> = Arc::from(name);
            self.bytes += size::NAME + name.len();

            let entry = Name {
                name: Arc::clone(&name),
                values: FastMap::default(),
                pairs: RoaringBitmap::new(),
            };

            self.names.insert(name, entry);
        }

        let entry = self
            .names
            .get_mut(name)
            .expect("the name was just inserted");
        let value: Arc<str> = Arc::from(value);
        self.bytes += size::PAIR + value.len();
        entry.values.insert(Arc::clone(&value), pair);
        entry.pairs.insert(pair);

        let name = Arc::clone(&entry.name);
        *self.pair_mut(pair) = Pair {
            name,
            value,
            postings: RoaringBitmap::new(),
        };

        pair
    }

    pub(super) fn pair(&self, pair: PairId) -> &Pair {
        &self.pairs[pair as usize]
    }

    pub(super) fn pair_mut(&mut self, pair: PairId) -> &mut Pair {
        &mut self.pairs[pair as usize]
    }

    /// Puts the labels of a series into `builder`, which is cleared first.
    pub(crate) fn labels_into(&self, slot: Slot, builder: &mut LabelsBuilder) {
        builder.clear();
        for pair in self.series.of(slot) {
            let pair = self.pair(pair);
            builder.push(&pair.name, &pair.value);
        }
    }

    /// Calls `put` with the labels of each of `slots` that have one of `names`.
    pub(crate) fn labels_with(&self, slots: &[Slot], names: &[String], put: &mut dyn FnMut(&[u8])) {
        let interned: Vec<&Arc<str>> = names
            .iter()
            .filter_map(|name| Some(&self.names.get(name.as_str())?.name))
            .collect();

        if interned.is_empty() {
            slots.iter().for_each(|_| put(&[]));
            return;
        }

        let mut labels = LabelsBuilder::default();
        for slot in slots {
            labels.clear();

            let pairs = self.series.of(*slot).map(|pair| self.pair(pair));
            let kept = pairs.filter(|pair| {
                let is_kept = |name: &&Arc<str>| Arc::ptr_eq(name, &pair.name);
                interned.iter().any(is_kept)
            });

            for pair in kept.take(interned.len()) {
                labels.push(&pair.name, &pair.value);
            }

            put(labels.encoded());
        }
    }

    pub(crate) fn labels(&self, slot: Slot) -> Labels {
        let mut builder = LabelsBuilder::default();
        self.labels_into(slot, &mut builder);
        builder.finish()
    }

    /// Returns all numbers, including vacant ones: no generation has samples of those.
    pub(super) fn all(&self) -> RoaringBitmap {
        let mut all = RoaringBitmap::new();
        all.insert_range(0..Slot::try_from(self.series.len()).unwrap_or(Slot::MAX));
        all
    }

    /// Returns the pairs of a label name after `after`, or from the first, in their order.
    pub(super) fn pairs_behind(
        &self,
        name: &str,
        after: Option<PairId>,
    ) -> impl Iterator<Item = (PairId, &Pair)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let pairs = self
            .names
            .get(name)
            .map(|entry| entry.pairs.range((from, Bound::Unbounded)));

        pairs
            .into_iter()
            .flatten()
            .map(|pair| (pair, self.pair(pair)))
    }

    /// Adds the series whose label `name` has one of `values` to `found`.
    pub(super) fn add_carriers<'v>(
        &self,
        name: &str,
        values: impl Iterator<Item = &'v str>,
        found: &mut RoaringBitmap,
    ) {
        let Some(entry) = self.names.get(name) else {
            return;
        };
        for pair in values.filter_map(|value| entry.values.get(value)) {
            *found |= &self.pair(*pair).postings;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn a_series_is_interned_once_and_keeps_its_labels() {
        let mut registry = Registry::default();
        let set = labels(&[("__name__", "up"), ("job", "db")]);
        let other = labels(&[("__name__", "up"), ("job", "node")]);

        assert_eq!((registry.intern(&other), registry.intern(&set)), (0, 1));
        assert_eq!((registry.intern(&set), registry.len()), (1, 2));
        assert_eq!(registry.labels(1), set);
    }

    #[test]
    fn the_pairs_of_a_name_are_walked_from_where_a_walk_was_left() {
        let mut registry = Registry::default();
        let series = |job: &str| labels(&[("__name__", "up"), ("job", job)]);
        ["a", "b"]
            .iter()
            .for_each(|job| _ = registry.intern(&series(job)));

        let first = registry
            .pairs_behind("job", None)
            .next()
            .map(|(pair, held)| (pair, held.value.to_string()));

        let (left_at, value) = first.unwrap();
        assert_eq!(value, "a");

        registry.intern(&series("c"));

        let rest = registry
            .pairs_behind("job", Some(left_at))
            .map(|(_, held)| &*held.value)
            .collect::<Vec<_>>();

        assert_eq!(rest, ["b", "c"]);
        assert_eq!(registry.pairs_behind("nothing", None).count(), 0);
    }
}
