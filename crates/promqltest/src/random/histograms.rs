//! Random series of native histograms.

use std::collections::BTreeMap;

use duramen_model::histogram::{BucketCount, CUSTOM_BUCKETS_SCHEMA};
use duramen_model::{FloatHistogram, Histogram, ResetHint};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Buckets {
    /// A counter with exponential buckets.
    Exponential,
    /// A counter with custom bounds.
    Custom,
    /// A gauge with exponential buckets on both sides of zero.
    Gauge,
}

/// The current state of a series of histograms.
pub(super) struct Changing {
    kind: Buckets,
    schema: i32,
    zero_threshold: f64,
    bounds: Vec<f64>,
    hint: ResetHint,
    zero: f64,
    positive: BTreeMap<i32, f64>,
    negative: BTreeMap<i32, f64>,
    sum: f64,
}

impl Changing {
    pub(super) fn new(random: &mut StdRng, kind: Buckets) -> Self {
        let mut new = Self {
            kind,
            schema: 0,
            zero_threshold: 0.0,
            bounds: Vec::new(),
            hint: ResetHint::Unknown,
            zero: 0.0,
            positive: BTreeMap::new(),
            negative: BTreeMap::new(),
            sum: 0.0,
        };

        new.lay_out(random);
        new
    }

    /// Empties all buckets and chooses a layout, perhaps another one.
    fn lay_out(&mut self, random: &mut StdRng) {
        self.positive.clear();
        self.negative.clear();
        self.zero = 0.0;
        self.sum = 0.0;

        if self.kind == Buckets::Custom {
            self.schema = CUSTOM_BUCKETS_SCHEMA;

            let choices: [&[f64]; 4] = [
                &[0.5, 1.0, 2.0, 5.0],
                &[0.5, 1.0, 2.0, 5.0],
                &[1.0, 2.0, 10.0],
                &[-1.0, 0.0, 1.0],
            ];

            self.bounds = choices.choose(random).copied().unwrap_or_default().to_vec();
        } else {
            self.schema = [0, 0, 1, 2, -1].choose(random).copied().unwrap_or(0);
            self.zero_threshold = [0.0, 0.25, 0.25, 0.001, 0.5]
                .choose(random)
                .copied()
                .unwrap_or(0.0);
        }
    }

    pub(super) fn next(&mut self, random: &mut StdRng) -> Histogram {
        self.hint = match (self.kind, random.random_range(0..20)) {
            (Buckets::Gauge, _) => ResetHint::Gauge,
            (_, 0) => ResetHint::NotReset,
            _ => ResetHint::Unknown,
        };

        if random.random_range(0..25) == 0 {
            self.lay_out(random);
            if self.kind != Buckets::Gauge && random.random_range(0..2) == 0 {
                self.hint = ResetHint::Reset;
            }
        }

        if self.kind == Buckets::Gauge {
            self.positive.clear();
            self.negative.clear();
        }

        for _ in 0..random.random_range(0..4) {
            let count = f64::from(random.random_range(1..5));
            self.sum += count * f64::from(random.random_range(-4..16)) / 4.0;
            self.observe(random, count);
        }

        self.whole()
    }

    fn observe(&mut self, random: &mut StdRng, count: f64) {
        let side = match self.kind {
            Buckets::Custom => {
                let end = i32::try_from(self.bounds.len()).unwrap_or(0);
                *self
                    .positive
                    .entry(random.random_range(0..=end))
                    .or_default() += count;

                return;
            }
            Buckets::Gauge if random.random_range(0..3) == 0 => &mut self.negative,
            _ if random.random_range(0..5) == 0 => return self.zero += count,
            _ => &mut self.positive,
        };

        // Below this index, a bucket would overlap the zero bucket, and its observations would
        // count twice.
        let lowest = match self.schema {
            -1 => 1,
            schema => 1 - (1 << schema),
        };

        *side
            .entry(random.random_range(lowest..lowest + 6))
            .or_default() += count;
    }

    fn whole(&self) -> Histogram {
        let side = |side: &BTreeMap<i32, f64>| -> Vec<BucketCount> {
            side.iter()
                .map(|(index, count)| BucketCount {
                    index: *index,
                    count: *count,
                })
                .collect()
        };

        let in_buckets: f64 = self.positive.values().chain(self.negative.values()).sum();
        Histogram::from(&FloatHistogram {
            schema: self.schema,
            hint: self.hint,
            count: in_buckets + self.zero,
            sum: self.sum,
            zero_threshold: if self.kind == Buckets::Custom {
                0.0
            } else {
                self.zero_threshold
            },
            zero_count: self.zero,
            positive: side(&self.positive),
            negative: side(&self.negative),
            custom_values: if self.kind == Buckets::Custom {
                self.bounds.clone()
            } else {
                Vec::new()
            },
        })
    }
}
