//! Label names and values of some series, without a look at each series where the index knows them.

use std::collections::{BTreeSet, HashSet};

use roaring::RoaringBitmap;

use super::{Name, PairId, Registry};

/// Of less than this share of all series, the labels are read rather than the index.
const FEW: u64 = 8;

impl Registry {
    /// The names of the labels of the selected series.
    pub(crate) fn names_of(&self, selected: &RoaringBitmap) -> BTreeSet<String> {
        if selected.len() * FEW < self.series.len() as u64 {
            let pairs: HashSet<PairId> =
                selected.iter().flat_map(|slot| self.series[slot as usize].iter().copied()).collect();
            return pairs.into_iter().map(|pair| self.pair(pair).name.to_string()).collect();
        }
        let is_carried = |name: &&Name| name.values.values().any(|pair| self.is_in(*pair, selected));
        self.names.values().filter(is_carried).map(|name| name.name.to_string()).collect()
    }

    /// The values that label `name` has in the selected series.
    pub(crate) fn values_of(&self, selected: &RoaringBitmap, name: &str) -> BTreeSet<String> {
        let Some(Name { values, .. }) = self.names.get(name) else { return BTreeSet::new() };
        if selected.len() < values.len() as u64 {
            let pairs = selected.iter().flat_map(|slot| self.series[slot as usize].iter().map(|pair| self.pair(*pair)));
            return pairs.filter(|pair| &*pair.name == name).map(|pair| pair.value.to_string()).collect();
        }
        let carried = values.iter().filter(|(_, pair)| self.is_in(**pair, selected));
        carried.map(|(value, _)| value.to_string()).collect()
    }

    fn is_in(&self, pair: PairId, selected: &RoaringBitmap) -> bool {
        !self.pair(pair).postings.is_disjoint(selected)
    }
}

#[cfg(test)]
mod tests {
    use duramen_model::Labels;
    use proptest::prelude::*;

    use super::*;

    /// Forty series: each has a number, every second a `half`, and one a `lone`.
    fn registry() -> Registry {
        let mut registry = Registry::default();
        for n in 0..40u32 {
            let number = format!("{n:02}");
            let mut pairs = vec![("__name__", if n < 25 { "a" } else { "b" }), ("number", number.as_str())];
            if n % 2 == 0 {
                pairs.insert(1, ("half", if n < 10 { "low" } else { "high" }));
            }
            if n == 7 {
                pairs.insert(1, ("lone", "x"));
            }
            registry.intern(&Labels::from_pairs(pairs).unwrap());
        }
        registry
    }

    proptest! {
        #[test]
        fn names_and_values_are_those_that_a_walk_finds(slots in prop::sample::subsequence((0..40u32).collect::<Vec<_>>(), 0..=40)) {
            let registry = registry();
            let selected: RoaringBitmap = slots.iter().copied().collect();
            let sets: Vec<Labels> = slots.iter().map(|slot| registry.labels(*slot)).collect();
            let labels: Vec<(&str, &str)> = sets.iter().flat_map(Labels::iter).collect();
            let names: BTreeSet<String> = labels.iter().map(|(name, _)| (*name).to_owned()).collect();
            prop_assert_eq!(registry.names_of(&selected), names);
            for name in ["__name__", "half", "lone", "number", "nothing"] {
                let of = labels.iter().filter(|(held, _)| *held == name);
                let values: BTreeSet<String> = of.map(|(_, value)| (*value).to_owned()).collect();
                prop_assert_eq!(registry.values_of(&selected, name), values, "{}", name);
            }
        }
    }
}
