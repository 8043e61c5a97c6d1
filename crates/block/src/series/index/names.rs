//! Label names and values of some series of an index.

use std::collections::{BTreeSet, HashSet};

use duramen_model::labels::LabelsIter;
use duramen_qos::Exceeded;
use duramen_source::{Reads, Texts};

use crate::series::index::SeriesIndex;
use crate::series::set::Set;

/// If fewer than one in so many series are wanted, their labels are read one by one. Otherwise the
/// index by name answers.
const FEW: usize = 8;

impl SeriesIndex {
    /// Returns the names of the labels of `series`.
    pub(crate) fn names(
        &self,
        series: &[u32],
        reads: &Reads,
    ) -> Result<BTreeSet<String>, Exceeded> {
        let mut found = Texts::within(reads);

        if series.len() * FEW < self.ends.len() {
            let labels = series
                .iter()
                .flat_map(|series| LabelsIter::over(self.labels_at(*series)));
            let names: HashSet<&str> = labels.map(|(name, _)| name).collect();
            found.extend(names)?;
            return Ok(found.finish());
        }

        let wanted = self.set(series);
        let carried = self
            .by_name
            .iter()
            .filter(|label| wanted.has_any(&label.series));

        found.extend(carried.map(|label| label.name.as_str()))?;
        Ok(found.finish())
    }

    /// Returns the values of label `name` in `series`.
    pub(crate) fn values(
        &self,
        series: &[u32],
        name: &str,
        reads: &Reads,
    ) -> Result<BTreeSet<String>, Exceeded> {
        let Ok(at) = self
            .by_name
            .binary_search_by(|label| label.name.as_str().cmp(name))
        else {
            return Ok(BTreeSet::new());
        };

        let label = &self.by_name[at];
        let wanted = self.set(series);
        let carried = (0..label.values.len()).filter(|value| wanted.has_any(label.series(*value)));

        let mut found = Texts::within(reads);
        found.extend(carried.map(|value| self.text(&label.values[value])))?;
        Ok(found.finish())
    }

    fn set(&self, series: &[u32]) -> Set {
        let mut set = Set::none(self.ends.len());
        set.insert(series);
        set
    }
}

#[cfg(test)]
mod tests {
    use duramen_model::Labels;
    use proptest::prelude::*;

    use super::*;
    use crate::layout::rows::SeriesRows;
    use crate::series::found::Row;
    use crate::series::index::builder::SeriesIndexBuilder;

    /// Makes forty series: each has a `number`, every second a `half`, and one a `lone`.
    fn index() -> SeriesIndex {
        let mut builder = SeriesIndexBuilder::new(usize::MAX);

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

            let labels = Labels::from_pairs(pairs).unwrap();
            let rows = SeriesRows {
                samples: 0..1,
                histograms: 0..0,
                exemplars: 0..0,
                min_ts_ms: 0,
                max_ts_ms: 0,
            };

            builder
                .push(&Row {
                    labels: labels.encoded(),
                    rows,
                })
                .unwrap();
        }

        builder.finish().unwrap()
    }

    proptest! {
        #[test]
        fn names_and_values_are_those_that_a_walk_finds(series in prop::sample::subsequence((0..40u32).collect::<Vec<_>>(), 0..=40)) {
            let index = index();
            let labels: Vec<(&str, &str)> =
                series.iter().flat_map(|series| LabelsIter::over(index.labels_at(*series))).collect();
            let names: BTreeSet<String> = labels.iter().map(|(name, _)| (*name).to_owned()).collect();

            prop_assert_eq!(index.names(&series, &Reads::default()).unwrap(), names);

            for name in ["__name__", "half", "lone", "number", "nothing"] {
                let of = labels.iter().filter(|(held, _)| *held == name);
                let values: BTreeSet<String> = of.map(|(_, value)| (*value).to_owned()).collect();

                prop_assert_eq!(index.values(&series, name, &Reads::default()).unwrap(), values, "{}", name);
            }
        }
    }
}
