//! Iterates over the buckets of a histogram with their bounds.

use std::fmt::Write as _;

use super::FloatHistogram;
use crate::number::go_general;

/// One bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub lower: f64,
    pub upper: f64,
    pub count: f64,
    pub bounds: BucketBounds,
}

/// Which of its bounds a bucket includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketBounds {
    /// `(lower, upper]`
    OpenLeft,
    /// `[lower, upper)`
    OpenRight,
    /// `(lower, upper)`
    OpenBoth,
    /// `[lower, upper]`
    ClosedBoth,
}

impl BucketBounds {
    /// The number of this variant in the JSON of Prometheus.
    pub const fn rule(self) -> u8 {
        match self {
            Self::OpenLeft => 0,
            Self::OpenRight => 1,
            Self::OpenBoth => 2,
            Self::ClosedBoth => 3,
        }
    }

    const fn of(lower_is_in: bool, upper_is_in: bool) -> Self {
        match (lower_is_in, upper_is_in) {
            (false, true) => Self::OpenLeft,
            (true, false) => Self::OpenRight,
            (false, false) => Self::OpenBoth,
            (true, true) => Self::ClosedBoth,
        }
    }
}

impl FloatHistogram {
    /// All listed buckets in ascending order. The zero bucket stands between the two sides if its
    /// count is not zero. A bucket that overlaps the zero bucket is cut at the threshold.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> {
        let threshold = self.zero_threshold;
        let negative = self.negative_buckets().rev().map(move |mut bucket| {
            if bucket.upper < 0.0 && bucket.upper > -threshold {
                bucket.upper = -threshold;
            }

            bucket
        });

        let zero = (self.zero_count > 0.0).then(|| self.zero_bucket());
        let positive = self.positive_buckets().map(move |mut bucket| {
            if bucket.lower > 0.0 && bucket.lower < threshold {
                bucket.lower = threshold;
            }

            bucket
        });

        negative.chain(zero).chain(positive)
    }

    /// The positive buckets, from the zero bucket upwards.
    pub(super) fn positive_buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> {
        self.positive.iter().map(|bucket| {
            let lower = self.bound(bucket.index.saturating_sub(1));
            let upper = self.bound(bucket.index);
            let bounds = match self.uses_custom_buckets() {
                true => BucketBounds::of(bucket.index == 0, true),
                false => BucketBounds::of(lower < 0.0, upper > 0.0),
            };

            Bucket {
                lower,
                upper,
                count: bucket.count,
                bounds,
            }
        })
    }

    /// The negative buckets, from the zero bucket downwards.
    pub(super) fn negative_buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> {
        self.negative.iter().map(|bucket| {
            let lower = -self.bound(bucket.index);
            let upper = -self.bound(bucket.index.saturating_sub(1));

            Bucket {
                lower,
                upper,
                count: bucket.count,
                bounds: BucketBounds::of(lower < 0.0, upper > 0.0),
            }
        })
    }

    fn zero_bucket(&self) -> Bucket {
        let lower = -self.zero_threshold;
        let upper = self.zero_threshold;

        Bucket {
            lower,
            upper,
            count: self.zero_count,
            bounds: BucketBounds::ClosedBoth,
        }
    }

    /// The histogram as Prometheus prints it, without empty buckets: `{count:5, sum:18.4,
    /// [-0.001,0.001]:2, (0.5,1]:3}`.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{{count:{}, sum:{}",
            go_general(self.count),
            go_general(self.sum)
        );

        let filled = |bucket: &Bucket| bucket.count != 0.0;
        let zero = (self.zero_count != 0.0).then(|| self.zero_bucket());
        let all = self.negative_buckets().rev().filter(filled).chain(zero);

        for bucket in all.chain(self.positive_buckets().filter(filled)) {
            let (open, close) = match bucket.bounds {
                BucketBounds::OpenLeft => ('(', ']'),
                BucketBounds::OpenRight => ('[', ')'),
                BucketBounds::OpenBoth => ('(', ')'),
                BucketBounds::ClosedBoth => ('[', ']'),
            };

            let lower = go_general(bucket.lower);
            let upper = go_general(bucket.upper);
            let count = go_general(bucket.count);
            let _ = write!(text, ", {open}{lower},{upper}{close}:{count}");
        }

        text.push('}');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BucketCount, CUSTOM_BUCKETS_SCHEMA};
    use super::*;

    #[test]
    fn buckets_ascend_and_are_cut_at_the_zero_bucket() {
        let mut histogram = FloatHistogram::empty(0, Vec::new());
        (
            histogram.count,
            histogram.zero_count,
            histogram.zero_threshold,
        ) = (9.0, 2.0, 0.75);

        histogram.positive = vec![
            BucketCount {
                index: 0,
                count: 3.0,
            },
            BucketCount {
                index: 2,
                count: 0.0,
            },
        ];

        histogram.negative = vec![
            BucketCount {
                index: 0,
                count: 1.0,
            },
            BucketCount {
                index: 1,
                count: 4.0,
            },
        ];

        let buckets: Vec<_> = histogram
            .buckets()
            .map(|b| (b.bounds.rule(), b.lower, b.upper, b.count))
            .collect();

        let wanted = [
            (1, -2.0, -1.0, 4.0),
            (1, -1.0, -0.75, 1.0),
            (3, -0.75, 0.75, 2.0),
            (0, 0.75, 1.0, 3.0),
            (0, 2.0, 4.0, 0.0),
        ];

        assert_eq!(buckets, wanted);
        assert_eq!(
            histogram.text(),
            "{count:9, sum:0, [-2,-1):4, [-1,-0.5):1, [-0.75,0.75]:2, (0.5,1]:3}"
        );
    }

    #[test]
    fn the_first_custom_bucket_holds_its_lower_bound() {
        let mut histogram = FloatHistogram::empty(CUSTOM_BUCKETS_SCHEMA, vec![1.0, 2.5]);
        histogram.positive = [0, 1, 2]
            .map(|index| BucketCount { index, count: 1e6 })
            .to_vec();

        let text = "{count:0, sum:0, [-Inf,1]:1e+06, (1,2.5]:1e+06, (2.5,+Inf]:1e+06}";
        assert_eq!(histogram.text(), text);
    }
}
