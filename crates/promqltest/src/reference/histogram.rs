//! Native histograms, as maps of what lies where.

mod arithmetic;
mod distribution;
mod reset;
pub(super) mod trim;

use std::collections::BTreeMap;

use duramen_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use duramen_model::{FloatHistogram, ResetHint};

/// How many observations fell into which bucket. A bucket that is not there is empty.
#[derive(Clone, Debug)]
pub struct Histogram {
    pub layout: Layout,
    pub hint: ResetHint,
    pub count: f64,
    pub sum: f64,
    /// The zero bucket reaches so far to both sides.
    pub zero_threshold: f64,
    pub zero_count: f64,
    pub positive: BTreeMap<i32, f64>,
    /// By the index of the positive bucket that mirrors it.
    pub negative: BTreeMap<i32, f64>,
}

/// Where buckets end.
#[derive(Clone, Debug, PartialEq)]
pub enum Layout {
    /// Bucket `i` ends at `2^(i * 2^-schema)`, in it, and begins where the one before it ends.
    Exponential { schema: i32 },
    /// Bucket `i` ends at bound `i`, the first begins at -Inf, and one more ends at +Inf.
    Custom { bounds: Vec<f64> },
}

/// One bucket.
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

    /// Coarser is less.
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

    /// Nothing is said of resets; a gauge stays one.
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

    /// Where the bucket ends; a negative one begins at the mirror of it.
    fn bound(&self, index: i32) -> f64 {
        match &self.layout {
            Layout::Exponential { schema } => match f64::from(index) * (-f64::from(*schema)).exp2()
            {
                // The largest number is the last bound, so that the bucket behind it has the
                // infinite.
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

    /// All buckets that are not empty, upwards. None reaches into the zero bucket.
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

        let [positive, negative] = [&histogram.positive, &histogram.negative].map(|side| {
            let filled = side.iter().filter(|bucket| bucket.count != 0.0);
            filled.map(|bucket| (bucket.index, bucket.count)).collect()
        });

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
