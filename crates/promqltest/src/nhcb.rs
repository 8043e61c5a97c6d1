//! Converts the classic histograms of a load to native ones with custom buckets.

use std::collections::BTreeMap;

use duramen_model::histogram::BucketCount;
use duramen_model::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Labels, METRIC_NAME};

use crate::item::{Item, Slot};

/// The classic series of one histogram. Values are by slot.
#[derive(Default)]
pub(crate) struct Classic {
    /// Each upper bound with its cumulative counts.
    buckets: Vec<(f64, Vec<Option<f64>>)>,
    sum: Vec<Option<f64>>,
    count: Vec<Option<f64>>,
}

/// Series that belong to one histogram, by the encoded labels of that histogram.
pub(crate) type Families = BTreeMap<Vec<u8>, (Labels, Classic)>;

impl Classic {
    /// Adds a series to its histogram. Ignores series that do not belong to a classic histogram.
    pub(crate) fn collect(families: &mut Families, labels: &Labels, values: &[Option<Slot>]) {
        let name = labels.metric_name();
        let suffixes = ["_bucket", "_sum", "_count"];
        let parts = suffixes
            .iter()
            .find_map(|suffix| Some((name.strip_suffix(suffix)?, *suffix)));
        let Some((base, suffix)) = parts else { return };
        let bound = labels
            .get("le")
            .and_then(|le| le.parse::<f64>().ok())
            .filter(|bound| !bound.is_nan());

        if suffix == "_bucket" && bound.is_none() {
            return;
        }

        let others = labels
            .iter()
            .filter(|(name, _)| ![METRIC_NAME, "le"].contains(name));
        let Some(labels) = Labels::from_pairs(others.chain([(METRIC_NAME, base)])) else {
            return;
        };
        let (_, classic) = families
            .entry(labels.encoded().to_vec())
            .or_insert_with(|| (labels, Self::default()));
        let floats = values
            .iter()
            .map(|slot| slot.as_ref().and_then(|slot| slot.item.float()))
            .collect();

        match (suffix, bound) {
            ("_bucket", Some(bound)) => classic.buckets.push((bound, floats)),
            ("_sum", _) => classic.sum = floats,
            _ => classic.count = floats,
        }
    }

    /// Returns the histogram of each slot, or `None` for a slot without any value.
    pub(crate) fn histograms(mut self) -> Result<Vec<Option<Item>>, String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));

        let slots = self
            .buckets
            .iter()
            .map(|(_, counts)| counts.len())
            .max()
            .unwrap_or(0);

        let slots = slots.max(self.sum.len()).max(self.count.len());
        (0..slots).map(|at| self.histogram(at)).collect()
    }

    /// Returns the bounds and cumulative counts that are present in a slot, ascending by bound.
    fn buckets_at(&self, at: usize) -> Result<Vec<(f64, f64)>, String> {
        let mut present: Vec<(f64, f64)> = self
            .buckets
            .iter()
            .filter_map(|(bound, counts)| Some((*bound, counts.get(at).copied().flatten()?)))
            .collect();

        // The same bound may be written in two ways.
        present.dedup();
        if let Some(two) = present.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(format!(
                "a bound of a classic histogram has two counts. bound=`{}`, slot=`{at}`",
                two[0].0
            ));
        }

        Ok(present)
    }

    fn histogram(&self, at: usize) -> Result<Option<Item>, String> {
        let present = self.buckets_at(at)?;
        let count = self.count.get(at).copied().flatten();
        let sum = self.sum.get(at).copied().flatten();

        if present.is_empty() && count.is_none() && sum.is_none() {
            return Ok(None);
        }

        let count = count
            .or_else(|| present.last().map(|(_, count)| *count))
            .unwrap_or(0.0);
        let bounds = present
            .iter()
            .map(|(bound, _)| *bound)
            .filter(|bound| bound.is_finite())
            .collect();

        let mut histogram = FloatHistogram::empty(CUSTOM_BUCKETS_SCHEMA, bounds);
        histogram.count = count;
        histogram.sum = sum.unwrap_or(0.0);

        let infinite = present
            .last()
            .is_some_and(|(bound, _)| *bound == f64::INFINITY);
        let cumulative = present
            .iter()
            .map(|(_, count)| *count)
            .chain((!infinite).then_some(count));

        let mut before = 0.0;

        for (index, cumulative) in (0..).zip(cumulative) {
            if cumulative < before {
                return Err(format!(
                    "buckets of a classic histogram do not ascend. slot=`{at}`"
                ));
            }

            histogram.positive.push(BucketCount {
                index,
                count: cumulative - before,
            });

            before = cumulative;
        }

        histogram.compact();
        Ok(Some(Item::Histogram {
            histogram: Box::new(histogram),
            hint_set: false,
        }))
    }
}
