//! Label names and values of some series. Where the index knows them, the series are not read.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use duramen_qos::Exceeded;
use duramen_runtime::Pace;
use duramen_source::{Reads, Texts};
use roaring::RoaringBitmap;

use super::shared::{AT_ONCE, SharedRegistry};
use super::{Pair, PairId, Registry, Slot};

/// If fewer than one in so many series are selected, their labels are read instead of the index.
const FEW: u64 = 8;

impl SharedRegistry {
    /// Returns the names of the labels of the selected series.
    pub(crate) async fn names_of(
        &self,
        selected: &RoaringBitmap,
        reads: &Reads,
    ) -> Result<BTreeSet<String>, Exceeded> {
        let mut pace = Pace::default();
        if selected.len() * FEW < self.read().len() as u64 {
            let pairs = self.pairs_of(selected, &mut pace).await;
            return self
                .read_pairs(
                    &pairs,
                    |pair| Some(Arc::clone(&pair.name)),
                    (reads, &mut pace),
                )
                .await;
        }

        let mut names = Texts::within(reads);
        let mut last: Option<Arc<str>> = None;

        loop {
            let next = self.read().name_behind(last.as_deref());
            let Some(name) = next else {
                return Ok(names.finish());
            };

            if self.is_carried(&name, selected, &mut pace).await {
                names.insert(&name)?;
            }

            last = Some(name);
        }
    }

    /// Returns the values that label `name` has in the selected series.
    pub(crate) async fn values_of(
        &self,
        selected: &RoaringBitmap,
        name: &str,
        reads: &Reads,
    ) -> Result<BTreeSet<String>, Exceeded> {
        let mut pace = Pace::default();
        let distinct = self
            .read()
            .names
            .get(name)
            .map_or(0, |entry| entry.values.len());

        if selected.len() < distinct as u64 {
            let pairs = self.pairs_of(selected, &mut pace).await;
            let value = |pair: &Pair| (&*pair.name == name).then(|| Arc::clone(&pair.value));
            return self.read_pairs(&pairs, value, (reads, &mut pace)).await;
        }

        let mut values = Texts::within(reads);
        let mut last = None;

        loop {
            let step = self.carried_behind(name, last, selected);
            let Some((behind, carried)) = step else {
                return Ok(values.finish());
            };
            values.extend(carried.iter().map(|value| &**value))?;
            last = Some(behind);
            pace.done(AT_ONCE).await;
        }
    }

    /// Returns the label pairs of the selected series.
    async fn pairs_of(&self, selected: &RoaringBitmap, pace: &mut Pace) -> Vec<PairId> {
        let mut pairs = HashSet::new();
        let mut slots = selected.iter();

        loop {
            let step: Vec<Slot> = slots.by_ref().take(AT_ONCE).collect();
            if step.is_empty() {
                return pairs.into_iter().collect();
            }

            {
                let registry = self.read();
                pairs.extend(step.iter().flat_map(|slot| registry.series.of(*slot)));
            }

            pace.done(AT_ONCE).await;
        }
    }

    /// Collects the result of `text` for each of `pairs`.
    async fn read_pairs(
        &self,
        pairs: &[PairId],
        text: impl Fn(&Pair) -> Option<Arc<str>>,
        (reads, pace): (&Reads, &mut Pace),
    ) -> Result<BTreeSet<String>, Exceeded> {
        let mut texts = Texts::within(reads);

        for step in pairs.chunks(AT_ONCE) {
            let found: Vec<Arc<str>> = {
                let registry = self.read();
                step.iter()
                    .filter_map(|pair| text(registry.pair(*pair)))
                    .collect()
            };

            texts.extend(found.iter().map(|text| &**text))?;
            pace.done(AT_ONCE).await;
        }

        Ok(texts.finish())
    }

    /// Returns whether one of the selected series has a label with this name.
    async fn is_carried(&self, name: &str, selected: &RoaringBitmap, pace: &mut Pace) -> bool {
        let mut last = None;

        while let Some((behind, carried)) = self.carried_behind(name, last, selected) {
            if !carried.is_empty() {
                return true;
            }

            last = Some(behind);
            pace.done(AT_ONCE).await;
        }

        false
    }

    /// Does one step of a walk over the values of a label. Returns the last pair of the step, and
    /// the values that selected series have; `None` at the end.
    fn carried_behind(
        &self,
        name: &str,
        last: Option<PairId>,
        selected: &RoaringBitmap,
    ) -> Option<(PairId, Vec<Arc<str>>)> {
        let registry = self.read();
        let mut behind = None;
        let mut carried = Vec::new();

        for (id, pair) in registry.pairs_behind(name, last).take(AT_ONCE) {
            behind = Some(id);
            if !pair.postings.is_disjoint(selected) {
                carried.push(Arc::clone(&pair.value));
            }
        }

        behind.map(|behind| (behind, carried))
    }
}

impl Registry {
    /// Returns the name after `last`, or the first.
    fn name_behind(&self, last: Option<&str>) -> Option<Arc<str>> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.names
            .range::<str, _>((from, Bound::Unbounded))
            .next()
            .map(|(name, _)| Arc::clone(name))
    }
}

#[cfg(test)]
mod tests {
    use duramen_model::Labels;
    use futures::executor::block_on;
    use proptest::prelude::*;

    use super::*;

    /// Forty series: each has a `number`, every second one a `half`, and one a `lone`.
    fn registry() -> SharedRegistry {
        let registry = SharedRegistry::default();

        for n in 0..40u32 {
            let number = format!("{n:02}");
            let mut pairs = vec![
                ("__name__", if n < 25 { "a" } else { "b" }),
                ("number", number.as_str()),
            ];

            if n % 2 == 0 {
                pairs.insert(1, ("half", if n < 10 { "low" } else { "high" }));
            }

            if n == 7 {
                pairs.insert(1, ("lone", "x"));
            }

            registry.write().intern(&Labels::from_pairs(pairs).unwrap());
        }

        registry
    }

    proptest! {
        #[test]
        fn names_and_values_are_those_that_a_walk_finds(slots in prop::sample::subsequence((0..40u32).collect::<Vec<_>>(), 0..=40)) {
            let registry = registry();
            let selected: RoaringBitmap = slots.iter().copied().collect();
            let sets: Vec<Labels> = block_on(registry.labels_of(&slots));
            let labels: Vec<(&str, &str)> = sets.iter().flat_map(Labels::iter).collect();
            let names: BTreeSet<String> = labels.iter().map(|(name, _)| (*name).to_owned()).collect();

            prop_assert_eq!(block_on(registry.names_of(&selected, &Reads::default())).unwrap(), names);

            for name in ["__name__", "half", "lone", "number", "nothing"] {
                let of = labels.iter().filter(|(held, _)| *held == name);
                let values: BTreeSet<String> = of.map(|(_, value)| (*value).to_owned()).collect();

                prop_assert_eq!(block_on(registry.values_of(&selected, name, &Reads::default())).unwrap(), values, "{}", name);
            }
        }
    }
}
