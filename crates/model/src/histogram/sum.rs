//! Sums of many histograms, with compensation for rounding errors.

use super::reconcile::{Layout, merged};
use super::{BucketCount, FloatHistogram, MixedSchemas, Reconciled};

/// A sum of histograms by Neumaier's algorithm, applied to each count.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    sum: FloatHistogram,
    /// The rounding errors of `sum`, in the same layout.
    rest: FloatHistogram,
}

impl HistogramSum {
    pub fn of(first: FloatHistogram) -> Self {
        let mut rest = FloatHistogram::empty(first.schema, first.custom_values.clone());
        rest.zero_threshold = first.zero_threshold;
        Self { sum: first, rest }
    }

    /// Adds a histogram as [`FloatHistogram::add`] does.
    ///
    /// # Errors
    /// The same as there. The sum is then unchanged.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<Reconciled, MixedSchemas> {
        let layout = Layout::common(&self.sum, other)?;
        let hints_collide = self.sum.take_hint(other.hint);
        let bounds_differ = self.sum.custom_values != other.custom_values;

        layout.impose(&mut self.sum);
        layout.impose(&mut self.rest);

        let other = layout.imposed_on_added(other);
        let sum = &mut self.sum;
        let rest = &mut self.rest;

        rest.count += lost(sum.count, other.count);
        rest.sum += lost(sum.sum, other.sum);
        rest.zero_count += lost(sum.zero_count, other.zero_count);

        for (side, rest, other) in [
            (&mut sum.positive, &mut rest.positive, &other.positive),
            (&mut sum.negative, &mut rest.negative, &other.negative),
        ] {
            *rest = merged(rest, &merged(side, other, lost), |a, b| a + b);
            *side = merged(side, other, |a, b| a + b);
        }

        sum.count += other.count;
        sum.sum += other.sum;
        sum.zero_count += other.zero_count;

        if bounds_differ {
            sum.compact();
        }

        Ok(Reconciled {
            hints_collide,
            bounds_differ,
        })
    }

    /// Multiplies everything by a factor above zero.
    pub fn scale(&mut self, factor: f64) {
        self.sum.scale(factor);
        self.rest.scale(factor);
    }

    pub fn divide(&mut self, divisor: f64) {
        self.sum.divide(divisor);
        self.rest.divide(divisor);
    }

    /// Whether a count or the sum is infinite.
    pub fn overflows(&self) -> bool {
        self.sum.overflows()
    }

    pub const fn hint(&self) -> super::ResetHint {
        self.sum.hint
    }

    pub fn total(self) -> FloatHistogram {
        let Self { mut sum, rest } = self;
        let complete = |sum: f64, rest: f64| if sum.is_finite() { sum + rest } else { sum };
        sum.count = complete(sum.count, rest.count);
        sum.sum = complete(sum.sum, rest.sum);
        sum.zero_count = complete(sum.zero_count, rest.zero_count);

        let full = |side: &[BucketCount], rest: &[BucketCount]| merged(side, rest, complete);
        sum.positive = full(&sum.positive, &rest.positive);
        sum.negative = full(&sum.negative, &rest.negative);

        sum
    }
}

/// The rounding error of `a + b`.
fn lost(a: f64, b: f64) -> f64 {
    let sum = a + b;
    if sum.is_infinite() || sum.is_nan() {
        return 0.0;
    }

    if a.abs() >= b.abs() {
        (a - sum) + b
    } else {
        (b - sum) + a
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(schema: i32, sum: f64, index: i32, count: f64) -> FloatHistogram {
        let positive = vec![BucketCount { index, count }];
        FloatHistogram {
            sum,
            count,
            positive,
            ..FloatHistogram::empty(schema, Vec::new())
        }
    }

    #[test]
    fn small_counts_survive_large_ones_that_cancel() {
        let mut sum = HistogramSum::of(histogram(1, 1.0, 2, 1.0));
        for count in [1e100, 1.0, -1e100] {
            sum.add(&histogram(0, count, 1, count)).unwrap();
        }

        let total = sum.total();
        assert_eq!((total.schema, total.sum, total.count), (0, 2.0, 2.0));

        assert_eq!(
            total.positive,
            [BucketCount {
                index: 1,
                count: 2.0
            }]
        );
    }

    #[test]
    fn a_sum_that_overflows_says_so_and_stays_infinite() {
        let mut sum = HistogramSum::of(histogram(0, 1.5e308, 1, 1.0));
        sum.add(&histogram(0, 1.5e308, 1, 1.0)).unwrap();

        assert!(sum.overflows());
        assert_eq!(sum.total().sum, f64::INFINITY);
    }
}
