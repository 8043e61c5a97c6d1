//! Native histograms, as maps from bucket index to count.

mod arithmetic;
mod distribution;
mod reset;
pub(super) mod trim;

use std::collections::BTreeMap;

use duramen_model::histogram::{BucketCount, CUSTOM_BUCKETS_SCHEMA};
use duramen_model::{FloatHistogram, ResetHint};

/// A histogram. A bucket that is not in a map is empty.
#[derive(Clone, Debug)]
pub struct Histogram {
    pub layout: Layout,
    pub hint: ResetHint,
    pub count: f64,
    pub sum: f64,
    /// The zero bucket reaches from `-zero_threshold` to `zero_threshold`.
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub positive: BTreeMap<i32, f64>,
    /// The key is the index of the positive bucket that mirrors it.
    pub negative: BTreeMap<i32, f64>,
}

/// The bounds of buckets.
#[derive(Clone, Debug, PartialEq)]
pub enum Layout {
    /// Bucket `i` ends at `2^(i * 2^-schema)`, inclusive. It begins where bucket `i - 1` ends.
    Exponential { schema: i32 },
    /// Bucket `i` ends at bound `i`. The first begins at -Inf, and one more ends at +Inf.
    Custom { bounds: Vec<f64> },
}

/// One bucket with its bounds.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    lower: f64,
    upper: f64,
    count: f64,
}

impl Histogram {
    pub(super) fn is_custom(&self) -> bool {
        matches!(self.layout, Layout::Custom { .. })
    }

    pub(super) fn is_gauge(&self) -> bool {
        self.hint == ResetHint::Gauge
    }

    /// The schema. A smaller number is coarser.
    pub(super) fn schema(&self) -> i32 {
        match self.layout {
            Layout::Exponential { schema } => schema,
            Layout::Custom { .. } => CUSTOM_BUCKETS_SCHEMA,
        }
    }

    pub(super) fn emptied(&self) -> Self {
        Self {
            layout: self.layout.clone(),
            hint: ResetHint::Unknown,
            count: 0.0,
            sum: 0.0,
            zero_threshold: 0.0,
            zero_count: 0.0,
            positive: BTreeMap::new(),
            negative: BTreeMap::new(),
        }
    }

    /// Forgets what the hint says about resets. A gauge stays a gauge.
    pub(super) fn without_reset_hint(&self) -> Self {
        let hint = if self.is_gauge() {
            ResetHint::Gauge
        } else {
            ResetHint::Unknown
        };

        Self {
            hint,
            ..self.clone()
        }
    }

    /// Returns the upper bound of positive bucket `index`. Negative buckets mirror it.
    fn bound(&self, index: i32) -> f64 {
        match &self.layout {
            Layout::Exponential { schema } => match f64::from(index) * (-f64::from(*schema)).exp2()
            {
                // The last finite bound is the largest float, so that the next bucket ends at
                // infinity.
                1024.0 => f64::MAX,
                exponent => exponent.exp2(),
            },
            Layout::Custom { .. } if index < 0 => f64::NEG_INFINITY,
            Layout::Custom { bounds } => usize::try_from(index)
                .ok()
                .and_then(|at| bounds.get(at))
                .copied()
                .unwrap_or(f64::INFINITY),
        }
    }

    fn positive_bucket(&self, index: i32, count: f64) -> Bucket {
        Bucket {
            lower: self.bound(index - 1),
            upper: self.bound(index),
            count,
        }
    }

    fn negative_bucket(&self, index: i32, count: f64) -> Bucket {
        Bucket {
            lower: -self.bound(index),
            upper: -self.bound(index - 1),
            count,
        }
    }

    fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            count: self.zero_count,
        }
    }

    /// Returns all buckets that are not empty, in ascending order. They are cut at the zero bucket.
    fn buckets(&self) -> Vec<Bucket> {
        let threshold = self.zero_threshold;
        let negative = self.negative.iter().rev().map(|(index, count)| {
            let bucket = self.negative_bucket(*index, *count);
            Bucket {
                upper: if bucket.upper < 0.0 {
                    bucket.upper.min(-threshold)
                } else {
                    bucket.upper
                },
                ..bucket
            }
        });

        let positive = self.positive.iter().map(|(index, count)| {
            let bucket = self.positive_bucket(*index, *count);
            Bucket {
                lower: if bucket.lower > 0.0 {
                    bucket.lower.max(threshold)
                } else {
                    bucket.lower
                },
                ..bucket
            }
        });

        let zero = (self.zero_count > 0.0).then(|| self.zero_bucket());
        negative
            .chain(zero)
            .chain(positive)
            .filter(|bucket| bucket.count != 0.0)
            .collect()
    }
}

impl From<&FloatHistogram> for Histogram {
    fn from(histogram: &FloatHistogram) -> Self {
        let layout = match histogram.schema {
            CUSTOM_BUCKETS_SCHEMA => Layout::Custom {
                bounds: histogram.custom_values.clone(),
            },
            schema => Layout::Exponential { schema },
        };

        let counts = |side: &[BucketCount]| {
            let filled = side.iter().filter(|bucket| bucket.count != 0.0);
            filled.map(|bucket| (bucket.index, bucket.count)).collect()
        };

        let positive = counts(&histogram.positive);
        let negative = counts(&histogram.negative);

        let FloatHistogram {
            hint,
            count,
            sum,
            zero_threshold,
            zero_count,
            ..
        } = *histogram;

        Self {
            layout,
            hint,
            count,
            sum,
            zero_threshold,
            zero_count,
            positive,
            negative,
        }
    }
}
