//! Sums and differences of histograms of different layouts.

use super::float::remap;
use super::{BucketCount, FloatHistogram, ResetHint};

/// What was unusual about the combination of two histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// One side says that the counter was reset and the other that it was not. The hint of the
    /// result is unknown.
    pub hints_collide: bool,
    /// The custom bounds differ. The result has the bounds that both sides have.
    pub bounds_differ: bool,
}

/// The error of combining exponential with custom buckets: they have no common layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot combine histograms of exponential and of custom buckets")]
pub struct MixedSchemas;

impl FloatHistogram {
    /// Adds `other`. The result has the coarser of the two schemas and the custom bounds that both
    /// sides have. Its zero bucket covers both zero buckets and cuts no bucket with observations.
    ///
    /// # Errors
    /// When one side has custom buckets and the other has not. `self` is then unchanged.
    pub fn add(&mut self, other: &Self) -> Result<Reconciled, MixedSchemas> {
        self.combine(other, |a, b| a + b)
    }

    /// Subtracts `other`, with the same layout as [`FloatHistogram::add`]. The hint becomes that of
    /// a sum. A caller that answers with the difference makes it a gauge.
    ///
    /// # Errors
    /// The same as of [`FloatHistogram::add`].
    pub fn subtract(&mut self, other: &Self) -> Result<Reconciled, MixedSchemas> {
        self.combine(other, |a, b| a - b)
    }

    fn combine(
        &mut self,
        other: &Self,
        value: impl Fn(f64, f64) -> f64,
    ) -> Result<Reconciled, MixedSchemas> {
        let layout = Layout::common(self, other)?;
        let hints_collide = self.take_hint(other.hint);
        let bounds_differ = self.custom_values != other.custom_values;

        layout.impose(self);

        let other = layout.imposed_on_added(other);
        self.count = value(self.count, other.count);
        self.sum = value(self.sum, other.sum);
        self.zero_count = value(self.zero_count, other.zero_count);
        self.positive = merged(&self.positive, &other.positive, &value);
        self.negative = merged(&self.negative, &other.negative, &value);

        if bounds_differ {
            self.compact();
        }

        Ok(Reconciled {
            hints_collide,
            bounds_differ,
        })
    }

    /// Removes the buckets that lie within the zero bucket.
    fn leave_out_zero(&mut self) {
        if self.uses_custom_buckets() {
            return;
        }

        let inside = |bucket: &BucketCount| self.bound(bucket.index) <= self.zero_threshold;
        let [positive, negative] =
            [&self.positive, &self.negative].map(|side| side.partition_point(inside));
        self.positive.drain(..positive);
        self.negative.drain(..negative);
    }

    /// Sets the hint of the combination with `other`. Returns whether one side says "reset" and the
    /// other "no reset".
    pub(super) fn take_hint(&mut self, other: ResetHint) -> bool {
        let (hint, collide) = match (self.hint, other) {
            (a, b) if a == b => (a, false),
            (ResetHint::Gauge, _) | (_, ResetHint::Gauge) => (ResetHint::Gauge, false),
            (ResetHint::Unknown, _) | (_, ResetHint::Unknown) => (ResetHint::Unknown, false),
            _ => (ResetHint::Unknown, true),
        };

        self.hint = hint;
        collide
    }

    /// Widens the zero bucket to `threshold` or more, so that it cuts no bucket with observations.
    /// Returns the count and the threshold of the wide zero bucket. `threshold` must not be smaller
    /// than that of the histogram.
    pub(super) fn widened_zero(&self, threshold: f64) -> (f64, f64) {
        if threshold == self.zero_threshold {
            return (self.zero_count, threshold);
        }

        let mut threshold = threshold;

        loop {
            let mut count = self.zero_count;
            let mut wanted = threshold;

            // Negative buckets are mirrored, so that both sides are treated alike.
            let negative = self
                .negative_buckets()
                .map(|bucket| (-bucket.upper, -bucket.lower, bucket.count));
            let positive = self
                .positive_buckets()
                .map(|bucket| (bucket.lower, bucket.upper, bucket.count));

            for (lower, upper, observations) in positive.chain(negative) {
                if lower < threshold {
                    count += observations;
                    if upper > threshold && observations != 0.0 {
                        wanted = wanted.max(upper);
                    }
                }
            }

            if wanted == threshold {
                return (count, threshold);
            }

            threshold = wanted;
        }
    }
}

/// A layout of buckets that two histograms can both be converted to.
#[derive(Debug)]
pub(super) struct Layout {
    schema: i32,
    zero_threshold: f64,
    custom_values: Vec<f64>,
}

impl Layout {
    pub(super) fn common(a: &FloatHistogram, b: &FloatHistogram) -> Result<Self, MixedSchemas> {
        if a.uses_custom_buckets() != b.uses_custom_buckets() {
            return Err(MixedSchemas);
        }

        let mut zero_threshold = a.zero_threshold.max(b.zero_threshold);

        loop {
            let widened = b.widened_zero(a.widened_zero(zero_threshold).1).1;
            if widened == zero_threshold {
                break;
            }

            zero_threshold = widened;
        }

        let custom_values = match a.custom_values == b.custom_values {
            true => a.custom_values.clone(),
            false => a
                .custom_values
                .iter()
                .copied()
                .filter(|bound| b.custom_values.contains(bound))
                .collect(),
        };

        Ok(Self {
            schema: a.schema.min(b.schema),
            zero_threshold,
            custom_values,
        })
    }

    /// Converts a histogram to the layout, which must not be finer than its own.
    pub(super) fn impose(&self, histogram: &mut FloatHistogram) {
        if histogram.uses_custom_buckets() {
            self.impose_bounds(histogram);
            return;
        }

        if self.zero_threshold > histogram.zero_threshold {
            let inside = |bucket: &BucketCount| {
                histogram.bound(bucket.index.saturating_sub(1)) < self.zero_threshold
            };

            let split = |side: &[BucketCount]| side.partition_point(inside);
            let positive = split(&histogram.positive);
            let negative = split(&histogram.negative);
            let swallowed = histogram
                .positive
                .drain(..positive)
                .chain(histogram.negative.drain(..negative));

            histogram.zero_count += swallowed.map(|bucket| bucket.count).sum::<f64>();
            histogram.zero_threshold = self.zero_threshold;
        }

        histogram.reduce_to(self.schema);
    }

    /// `other` in this layout, ready to be added. A bucket of the coarser schema that only begins
    /// in the zero bucket counts in full, although a part of it is in the zero count already.
    /// Prometheus does the same.
    pub(super) fn imposed_on_added(&self, other: &FloatHistogram) -> FloatHistogram {
        let mut added = other.clone();
        self.impose(&mut added);

        if !other.uses_custom_buckets() {
            let mut whole = other.clone();
            whole.reduce_to(self.schema);
            (added.positive, added.negative) = (whole.positive, whole.negative);
            added.leave_out_zero();
        }

        added
    }

    fn impose_bounds(&self, histogram: &mut FloatHistogram) {
        if histogram.custom_values == self.custom_values {
            return;
        }

        let mut buckets = std::mem::take(&mut histogram.positive);
        remap(&mut buckets, |index| {
            let upper = histogram.bound(index);
            let place = self.custom_values.partition_point(|&bound| bound < upper);
            i32::try_from(place).unwrap_or(i32::MAX)
        });

        histogram.positive = buckets;
        histogram.custom_values.clone_from(&self.custom_values);
    }
}

/// The buckets of both sides by index, with the counts of both. A bucket that one side lacks is
/// empty there.
pub(super) fn merged(
    a: &[BucketCount],
    b: &[BucketCount],
    value: impl Fn(f64, f64) -> f64,
) -> Vec<BucketCount> {
    let mut out = Vec::with_capacity(a.len().max(b.len()));
    let mut a = a.iter().peekable();
    let mut b = b.iter().peekable();

    loop {
        let index = match (a.peek(), b.peek()) {
            (Some(a), Some(b)) => a.index.min(b.index),
            (Some(bucket), None) | (None, Some(bucket)) => bucket.index,
            (None, None) => return out,
        };

        let is_here = |bucket: &&BucketCount| bucket.index == index;
        let count_a = a.next_if(is_here).map_or(0.0, |bucket| bucket.count);
        let count_b = b.next_if(is_here).map_or(0.0, |bucket| bucket.count);

        out.push(BucketCount {
            index,
            count: value(count_a, count_b),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::CUSTOM_BUCKETS_SCHEMA;
    use super::*;

    fn histogram(
        schema: i32,
        threshold: f64,
        zero: f64,
        positive: &[(i32, f64)],
    ) -> FloatHistogram {
        let mut histogram = FloatHistogram::empty(schema, Vec::new());
        (histogram.zero_threshold, histogram.zero_count) = (threshold, zero);
        histogram.positive = buckets(positive);
        histogram.count = zero + positive.iter().map(|(_, count)| count).sum::<f64>();

        histogram
    }

    fn buckets(of: &[(i32, f64)]) -> Vec<BucketCount> {
        of.iter()
            .map(|&(index, count)| BucketCount { index, count })
            .collect()
    }

    #[test]
    fn a_sum_has_the_coarser_schema_and_all_buckets() {
        let mut sum = histogram(1, 0.0, 0.0, &[(1, 1.0), (2, 2.0), (5, 4.0)]);
        assert_eq!(
            sum.add(&histogram(0, 0.0, 0.0, &[(-3, 8.0), (1, 16.0)])),
            Ok(Reconciled::default())
        );

        assert_eq!(
            (sum.schema, sum.positive),
            (0, buckets(&[(-3, 8.0), (1, 19.0), (3, 4.0)]))
        );

        assert_eq!(sum.count, 31.0);
    }

    #[test]
    fn the_zero_bucket_grows_until_it_cuts_no_bucket_with_observations() {
        // The threshold of 0.75 cuts the bucket (0.5, 1] of `sum`, so it is widened to 1.
        let wide = histogram(0, 0.75, 5.0, &[(1, 1.0)]);
        let mut sum = histogram(0, 0.25, 2.0, &[(-1, 3.0), (0, 4.0), (1, 1.0)]);
        sum.add(&wide).unwrap();

        assert_eq!(
            (sum.zero_threshold, sum.zero_count, sum.positive),
            (1.0, 14.0, buckets(&[(1, 2.0)]))
        );

        let mut sum = wide;
        sum.add(&histogram(0, 0.25, 2.0, &[(-1, 3.0), (0, 0.0), (1, 1.0)]))
            .unwrap();
        sum.compact();

        assert_eq!(
            (sum.zero_threshold, sum.zero_count, sum.positive),
            (0.75, 10.0, buckets(&[(1, 2.0)]))
        );
    }

    #[test]
    fn different_custom_bounds_are_brought_to_those_that_both_have() {
        let custom = |bounds: &[f64], counts: &[f64]| {
            let mut histogram = FloatHistogram::empty(CUSTOM_BUCKETS_SCHEMA, bounds.to_vec());
            histogram.positive = (0..)
                .zip(counts)
                .map(|(index, &count)| BucketCount { index, count })
                .collect();

            histogram
        };

        let mut sum = custom(&[1.0, 2.0, 4.0], &[1.0, 2.0, 4.0, 8.0]);
        let done = sum
            .add(&custom(
                &[2.0, 3.0, 4.0, 5.0],
                &[10.0, 20.0, 40.0, 80.0, 160.0],
            ))
            .unwrap();

        assert!(done.bounds_differ && !done.hints_collide);
        assert_eq!(sum.custom_values, [2.0, 4.0]);
        assert_eq!(sum.positive, buckets(&[(0, 13.0), (1, 64.0), (2, 248.0)]));

        let mut none = custom(&[1.0], &[1.0, 2.0]);
        none.add(&custom(&[], &[4.0])).unwrap();

        assert_eq!(
            (none.custom_values, none.positive),
            (Vec::new(), buckets(&[(0, 7.0)]))
        );
    }

    #[test]
    fn exponential_and_custom_buckets_do_not_mix() {
        let mut sum = histogram(0, 0.0, 0.0, &[(1, 1.0)]);
        assert_eq!(
            sum.add(&FloatHistogram::empty(CUSTOM_BUCKETS_SCHEMA, Vec::new())),
            Err(MixedSchemas)
        );
    }

    #[test]
    fn a_reset_and_no_reset_collide_and_a_gauge_makes_gauges() {
        let check = |a, b, wanted, collide| {
            let mut sum = FloatHistogram {
                hint: a,
                ..FloatHistogram::empty(0, Vec::new())
            };

            let done = sum
                .subtract(&FloatHistogram {
                    hint: b,
                    ..FloatHistogram::empty(0, Vec::new())
                })
                .unwrap();

            assert_eq!(
                (sum.hint, done.hints_collide),
                (wanted, collide),
                "{a:?} {b:?}"
            );
        };

        use ResetHint::{Gauge, NotReset, Reset, Unknown};
        check(Reset, NotReset, Unknown, true);
        check(NotReset, Reset, Unknown, true);
        check(Reset, Reset, Reset, false);
        check(NotReset, Unknown, Unknown, false);
        check(Gauge, Reset, Gauge, false);
        check(Unknown, Gauge, Gauge, false);
    }
}
