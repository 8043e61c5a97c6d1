//! Adds and subtracts histograms, after giving both the same buckets.

use std::collections::BTreeMap;

use duramen_model::ResetHint;

use super::{Histogram, Layout};

impl Histogram {
    /// Multiplies all counts and the sum. A negative factor makes a gauge.
    pub(in crate::reference) fn scaled(&self, factor: f64) -> Self {
        let scaled = self.changed(|count| count * factor);
        if factor < 0.0 {
            Self {
                hint: ResetHint::Gauge,
                ..scaled
            }
        } else {
            scaled
        }
    }

    /// Divides all counts and the sum. Division by zero leaves no buckets; a negative divisor makes
    /// a gauge.
    pub(in crate::reference) fn divided(&self, divisor: f64) -> Self {
        let mut divided = self.changed(|count| count / divisor);
        if divisor == 0.0 {
            divided.positive.clear();
            divided.negative.clear();
        }

        if divisor < 0.0 {
            Self {
                hint: ResetHint::Gauge,
                ..divided
            }
        } else {
            divided
        }
    }

    fn changed(&self, change: impl Fn(f64) -> f64) -> Self {
        let changed_side = |side: &BTreeMap<i32, f64>| {
            side.iter()
                .map(|(index, count)| (*index, change(*count)))
                .collect()
        };

        Self {
            count: change(self.count),
            sum: change(self.sum),
            zero_count: change(self.zero_count),
            positive: changed_side(&self.positive),
            negative: changed_side(&self.negative),
            ..self.clone()
        }
    }

    /// Removes empty buckets.
    pub(in crate::reference) fn compact(mut self) -> Self {
        self.positive.retain(|_, count| *count != 0.0);
        self.negative.retain(|_, count| *count != 0.0);
        self
    }

    /// Adds two histograms. Returns `None` if one has exponential and the other custom buckets.
    pub(in crate::reference) fn plus(&self, other: &Self) -> Option<Self> {
        self.combined(other, |a, b| a + b)
    }

    /// Subtracts a histogram; otherwise like [`Self::plus`]. The hint is that of a sum.
    pub(in crate::reference) fn minus(&self, other: &Self) -> Option<Self> {
        self.combined(other, |a, b| a - b)
    }

    fn combined(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Option<Self> {
        if self.is_custom() != other.is_custom() {
            return None;
        }

        let (a, b) = alike(self.clone(), other.clone());
        let side = |a: &BTreeMap<i32, f64>, b: &BTreeMap<i32, f64>| {
            let mut sum = a.clone();
            for (index, count) in b {
                let before = sum.get(index).copied().unwrap_or(0.0);
                sum.insert(*index, combine(before, *count));
            }

            sum
        };

        Some(Self {
            hint: common_hint(a.hint, b.hint),
            count: combine(a.count, b.count),
            sum: combine(a.sum, b.sum),
            zero_count: combine(a.zero_count, b.zero_count),
            positive: side(&a.positive, &b.positive),
            negative: side(&a.negative, &b.negative),
            ..a
        })
    }

    /// Merges buckets down to schema `wanted`. Histograms that are as coarse or custom stay the
    /// same.
    pub(in crate::reference) fn at_schema(&self, wanted: i32) -> Self {
        let Layout::Exponential { schema } = self.layout else {
            return self.clone();
        };
        if schema <= wanted {
            return self.clone();
        }

        let factor = 1_i32 << (schema - wanted);

        let merge = |side: &BTreeMap<i32, f64>| {
            // Bucket i goes into the coarser bucket that ends at or after its end.
            merged(side, |index| {
                index.div_euclid(factor) + i32::from(index.rem_euclid(factor) != 0)
            })
        };

        let positive = merge(&self.positive);
        let negative = merge(&self.negative);

        Self {
            layout: Layout::Exponential { schema: wanted },
            positive,
            negative,
            ..self.clone()
        }
    }

    /// Widens the zero bucket; it takes whole buckets only. If the threshold would cut a bucket
    /// that is not empty, the threshold moves to the end of that bucket.
    pub(super) fn with_zero_bucket(self, threshold: f64) -> Self {
        if threshold == self.zero_threshold {
            return self;
        }

        let mut threshold = threshold;
        let sides = || self.positive.iter().chain(&self.negative);

        let cut = |threshold: f64| {
            let ends =
                |(index, count): (&i32, &f64)| (self.bound(index - 1), self.bound(*index), *count);
            let mut cut = sides()
                .map(ends)
                .filter(|(lower, upper, _)| *lower < threshold && *upper > threshold);
            cut.find(|(.., count)| *count != 0.0)
                .map(|(_, upper, _)| upper)
        };

        while let Some(wider) = cut(threshold) {
            threshold = wider;
        }

        let swallowed = |index: &i32| self.bound(index - 1) < threshold;
        let more: f64 = sides()
            .filter(|(index, _)| swallowed(index))
            .map(|(_, count)| count)
            .sum();

        let remaining = |side: &BTreeMap<i32, f64>| {
            let left = side.iter().filter(|(index, _)| !swallowed(index));
            left.map(|(index, count)| (*index, *count)).collect()
        };

        let positive = remaining(&self.positive);
        let negative = remaining(&self.negative);

        Self {
            zero_threshold: threshold,
            zero_count: self.zero_count + more,
            positive,
            negative,
            ..self
        }
    }

    /// Reduces the bounds to `wanted`, which must all be bounds of this histogram. A bucket that
    /// ends between two of them goes to the upper one.
    pub(super) fn at_bounds(&self, wanted: &[f64]) -> Self {
        let target = |index: i32| {
            let bound = self.bound(index);
            let at = wanted
                .iter()
                .position(|wanted| *wanted >= bound)
                .unwrap_or(wanted.len());

            i32::try_from(at).unwrap_or(i32::MAX)
        };

        let positive = merged(&self.positive, target);
        Self {
            layout: Layout::Custom {
                bounds: wanted.to_vec(),
            },
            positive,
            ..self.clone()
        }
    }
}

fn merged(side: &BTreeMap<i32, f64>, target: impl Fn(i32) -> i32) -> BTreeMap<i32, f64> {
    let mut out = BTreeMap::new();
    for (index, count) in side {
        *out.entry(target(*index)).or_insert(0.0) += count;
    }

    out
}

/// Gives both histograms the same buckets: the coarser schema and the wider zero bucket, or the
/// bounds that both have.
fn alike(mut a: Histogram, mut b: Histogram) -> (Histogram, Histogram) {
    if let (Layout::Custom { bounds }, Layout::Custom { bounds: other }) = (&a.layout, &b.layout) {
        if bounds == other {
            return (a, b);
        }

        let common = common_bounds(bounds, other);
        return (
            a.at_bounds(&common).compact(),
            b.at_bounds(&common).compact(),
        );
    }

    while a.zero_threshold != b.zero_threshold {
        let wider = a.zero_threshold.max(b.zero_threshold);
        a = a.with_zero_bucket(wider);
        b = b.with_zero_bucket(wider);
    }

    let schema = a.schema().min(b.schema());
    (a.at_schema(schema), b.at_schema(schema))
}

pub(super) fn common_bounds(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter()
        .copied()
        .filter(|bound| b.contains(bound))
        .collect()
}

/// If one is a gauge, the result is. Otherwise a hint stays only if both have it.
fn common_hint(a: ResetHint, b: ResetHint) -> ResetHint {
    match (a, b) {
        _ if a == b => a,
        (ResetHint::Gauge, _) | (_, ResetHint::Gauge) => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    }
}
