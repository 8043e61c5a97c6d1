//! Counts how many series have which labels, from summaries. Pure.

use std::collections::{BTreeMap, HashMap};

use duramen_model::METRIC_NAME;
use duramen_source::SeriesSummary;

/// The labels of a set of series. Names and values are borrowed from the summaries.
#[derive(Clone, Debug, Default)]
pub struct Cardinality<'a> {
    pub series: u64,
    pub floats: u64,
    pub histograms: u64,
    /// The first and the last time of all series, both inclusive. `None` without series.
    pub span_ms: Option<(i64, i64)>,
    /// By label name.
    pub labels: BTreeMap<&'a str, LabelCardinality<'a>>,
}

/// One label name.
#[derive(Clone, Debug, Default)]
pub struct LabelCardinality<'a> {
    /// How many series have each value.
    pub values: HashMap<&'a str, u64>,
    /// How many series have the label.
    pub series: u64,
    /// The total length of its values over all series, in bytes.
    pub bytes: u64,
}

impl<'a> Cardinality<'a> {
    pub fn of(summaries: &'a [SeriesSummary]) -> Self {
        let mut all = Self::default();

        for summary in summaries {
            all.series += 1;
            all.floats += summary.floats;
            all.histograms += summary.histograms;

            let (first_ms, last_ms) = all.span_ms.unwrap_or((i64::MAX, i64::MIN));
            all.span_ms = Some((first_ms.min(summary.first_ms), last_ms.max(summary.last_ms)));

            for (name, value) in &summary.labels {
                let label = all.labels.entry(name).or_default();
                *label.values.entry(value).or_default() += 1;
                label.series += 1;
                label.bytes += value.len() as u64;
            }
        }

        all
    }

    /// Returns how many series each metric has.
    pub fn metrics(&self) -> impl Iterator<Item = (&'a str, u64)> {
        self.labels
            .get(METRIC_NAME)
            .into_iter()
            .flat_map(LabelCardinality::values)
    }

    /// Returns the number of distinct pairs of name and value.
    pub fn pairs(&self) -> usize {
        self.labels.values().map(|label| label.values.len()).sum()
    }
}

impl<'a> LabelCardinality<'a> {
    /// Returns how many series have each value, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = (&'a str, u64)> {
        self.values.iter().map(|(value, series)| (*value, *series))
    }
}

/// Returns the `limit` largest counts, in descending order. Equal counts are ordered by name.
pub fn largest<N: Ord>(counts: impl IntoIterator<Item = (N, u64)>, limit: usize) -> Vec<(N, u64)> {
    let mut all: Vec<(N, u64)> = counts.into_iter().collect();
    all.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all.truncate(limit);

    all
}

/// The number of series that started and ended within a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Churn {
    pub started: u64,
    pub ended: u64,
}

impl Churn {
    /// Counts the series of `summaries` that were not there yet at `start_ms`, and those that were
    /// no longer there at `end_ms` because their last sample is more than `lookback_ms` older.
    ///
    /// To tell new series from older ones, `summaries` must include all parts that reach to
    /// `start_ms - lookback_ms` or later.
    pub fn of(
        summaries: &[SeriesSummary],
        (start_ms, end_ms): (i64, i64),
        lookback_ms: i64,
    ) -> Self {
        let count = |is: &dyn Fn(&SeriesSummary) -> bool| {
            summaries.iter().filter(|summary| is(summary)).count() as u64
        };
        Self {
            started: count(&|summary| summary.first_ms > start_ms),
            ended: count(&|summary| summary.last_ms <= end_ms.saturating_sub(lookback_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use duramen_model::Labels;

    use super::*;

    fn summary(pairs: &[(&str, &str)], first_ms: i64, last_ms: i64) -> SeriesSummary {
        let labels = Labels::from_pairs(pairs.iter().copied()).unwrap();
        SeriesSummary {
            labels,
            floats: 3,
            histograms: 1,
            first_ms,
            last_ms,
        }
    }

    #[test]
    fn series_are_counted_by_name_value_and_pair() {
        let series = [
            summary(&[("__name__", "up"), ("job", "node")], 10, 20),
            summary(&[("__name__", "up"), ("job", "db")], 5, 15),
            summary(&[("__name__", "load"), ("job", "node")], 7, 30),
            summary(&[("job", "node")], 7, 8),
        ];

        let all = Cardinality::of(&series);
        assert_eq!(
            (all.series, all.floats, all.histograms, all.span_ms),
            (4, 12, 4, Some((5, 30)))
        );

        assert_eq!(largest(all.metrics(), 10), [("up", 2), ("load", 1)]);
        assert_eq!(all.pairs(), 4);

        let job = &all.labels["job"];
        assert_eq!((job.series, job.bytes), (4, 14));
        assert_eq!(largest(job.values(), 1), [("node", 3)]);
        assert_eq!(Cardinality::of(&[]).span_ms, None);
    }

    #[test]
    fn the_largest_come_first_and_equal_ones_by_name() {
        assert_eq!(
            largest([("b", 1), ("a", 1), ("c", 2), ("d", 0)], 3),
            [("c", 2), ("a", 1), ("b", 1)]
        );

        assert_eq!(largest([("a", 1)], 0), []);
    }

    #[test]
    fn a_series_that_was_there_at_the_start_has_not_started_and_one_within_the_look_back_has_not_ended()
     {
        let name = [("__name__", "m")];
        let series = [
            summary(&name, 90, 210),  // all the time
            summary(&name, 100, 150), // there at the start, gone
            summary(&name, 101, 199), // came, and its last sample still stands at the end
            summary(&name, 120, 190), // came and went
        ];
        assert_eq!(
            Churn::of(&series, (100, 200), 10),
            Churn {
                started: 2,
                ended: 2
            }
        );
    }
}
