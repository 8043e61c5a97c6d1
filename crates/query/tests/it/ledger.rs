//! What was offered to a system, what it acknowledged, and what it has: floats, histograms, life
//! spans, exemplars and metadata.

use std::collections::{BTreeMap, BTreeSet};

use duramen_model::{Counts, Histogram, Life, ResetHint, Span};
use duramen_testkit::prompb::v2::{self, histogram};
use duramen_testkit::prompb::{Message, Symbols};
use rand::Rng;
use rand::rngs::StdRng;

/// Each series has its own name, `m0` to `m4`, and is a metric family.
const SERIES: u32 = 5;
const HOUR_MS: i64 = 3_600_000;

/// Everything that a system may hold.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// By series and time.
    pub(crate) samples: BTreeMap<(String, i64), (Value, Life)>,
    /// Series, time, bits of the value, trace.
    pub(crate) exemplars: BTreeSet<(String, i64, u64, String)>,
    /// The metadata of a family: a number that grows with each write.
    pub(crate) families: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Bits(u64),
    Histogram(Box<Histogram>),
}

impl Contents {
    pub(crate) fn add(&mut self, other: Self) {
        self.samples.extend(other.samples);
        self.exemplars.extend(other.exemplars);
        self.families.extend(other.families);
    }

    /// Returns how many samples, exemplars and families there are.
    pub(crate) fn len(&self) -> [usize; 3] {
        [
            self.samples.len(),
            self.exemplars.len(),
            self.families.len(),
        ]
    }
}

/// What was offered to a system, and what it acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) offered: Contents,
    pub(crate) acknowledged: Contents,
    said: u64,
}

impl Ledger {
    /// Offers up to four new samples with their exemplars and metadata. Returns the message of
    /// remote write 2.0, and what to note once it is acknowledged.
    pub(crate) fn offer(&mut self, rng: &mut StdRng, base_ms: i64) -> (Vec<u8>, Contents) {
        let mut symbols = Symbols::default();
        let mut timeseries = Vec::new();
        let mut batch = Contents::default();

        for _ in 0..rng.random_range(1..5) {
            let name = format!("m{}", rng.random_range(0..SERIES));
            let at = (name.clone(), base_ms + rng.random_range(0..HOUR_MS));

            if self.offered.samples.contains_key(&at) || batch.samples.contains_key(&at) {
                continue;
            }

            let mut series = v2::TimeSeries {
                labels_refs: symbols.labels([("__name__", &*name)]),
                ..Default::default()
            };

            let life = life(rng, at.1);
            let value = match rng.random_range(0..3) {
                0 => Value::Histogram(Box::new(integers(rng))),
                1 => Value::Histogram(Box::new(fractions(rng))),
                _ => Value::Bits(f64::from(rng.random_range(0..1_000_000)).sqrt().to_bits()),
            };

            match &value {
                Value::Bits(bits) => series.samples.push(v2::Sample {
                    value: f64::from_bits(*bits),
                    timestamp: at.1,
                    start_timestamp: life.start_ms,
                    ttl_ms: life.ttl_ms,
                }),
                Value::Histogram(held) => series.histograms.push(sent(held, at.1, life)),
            }

            if rng.random_bool(0.3) {
                let trace = rng.random_range(0..1_000_000).to_string();
                let value = f64::from(rng.random_range(0..9));
                let labels_refs = symbols.labels([("trace_id", &*trace)]);

                series.exemplars.push(v2::Exemplar {
                    labels_refs,
                    value,
                    timestamp: at.1,
                });

                batch
                    .exemplars
                    .insert((name.clone(), at.1, value.to_bits(), trace));
            }

            if rng.random_bool(0.2) {
                self.said += 1;

                let help_ref = symbols.reference(&self.said.to_string());
                series.metadata = Some(v2::Metadata {
                    r#type: 2,
                    help_ref,
                    unit_ref: 0,
                });

                batch.families.insert(name, self.said);
            }

            batch.samples.insert(at, (value, life));
            timeseries.push(series);
        }

        self.offered.samples.extend(batch.samples.clone());
        self.offered.exemplars.extend(batch.exemplars.clone());
        self.offered.families.extend(batch.families.clone());

        (
            v2::Request {
                symbols: symbols.0,
                timeseries,
            }
            .encode_to_vec(),
            batch,
        )
    }

    /// Checks that everything acknowledged is there, bit for bit, and nothing that was never
    /// offered. The metadata of a family must be at least as new as what was acknowledged last,
    /// because later offers may have become durable as well.
    pub(crate) fn check(&self, seen: &Contents) -> anyhow::Result<()> {
        for (at, sample) in &self.acknowledged.samples {
            let found = seen.samples.get(at);
            anyhow::ensure!(
                found == Some(sample),
                "{at:?} was acknowledged: {sample:?}, and is {found:?}"
            );
        }

        for (at, sample) in &seen.samples {
            anyhow::ensure!(
                self.offered.samples.get(at) == Some(sample),
                "{at:?} was never offered: {sample:?}"
            );
        }

        let mut lost = self.acknowledged.exemplars.difference(&seen.exemplars);
        anyhow::ensure!(
            lost.next().is_none(),
            "an exemplar was acknowledged and is missing"
        );

        let mut invented = seen.exemplars.difference(&self.offered.exemplars);
        anyhow::ensure!(invented.next().is_none(), "an exemplar was never offered");

        for (family, said) in &self.acknowledged.families {
            let found = seen.families.get(family);
            anyhow::ensure!(
                found >= Some(said),
                "of {family} {said} was acknowledged, and {found:?} is said"
            );
        }

        for (family, said) in &seen.families {
            anyhow::ensure!(
                self.offered.families.get(family) >= Some(said),
                "of {family} {said} was never said"
            );
        }

        Ok(())
    }
}

/// Returns a start time and a life span. Either or both may be missing.
fn life(rng: &mut StdRng, at_ms: i64) -> Life {
    let start_ms = if rng.random_bool(0.3) {
        at_ms - rng.random_range(1..100_000)
    } else {
        0
    };

    let ttl_ms = if rng.random_bool(0.3) {
        rng.random_range(1..HOUR_MS)
    } else {
        0
    };

    Life { start_ms, ttl_ms }
}

/// Returns a histogram of integers, with exponential buckets on both sides.
fn integers(rng: &mut StdRng) -> Histogram {
    let [zero_count, a, b, c] = std::array::from_fn(|_| rng.random_range(0..1000u32));
    let difference = i64::from(b) - i64::from(a);

    Histogram {
        schema: rng.random_range(-4..=8),
        hint: if rng.random_bool(0.2) {
            ResetHint::Gauge
        } else {
            ResetHint::Unknown
        },
        sum: f64::from(rng.random_range(0..1_000_000u32)).sqrt(),
        zero_threshold: 1e-128,
        counts: Counts::Integer {
            count: u64::from(zero_count) + u64::from(a) + u64::from(b) + u64::from(c),
            zero_count: zero_count.into(),
            positive: vec![a.into(), difference],
            negative: vec![c.into()],
        },
        positive_spans: vec![
            Span {
                offset: -3,
                length: 1,
            },
            Span {
                offset: 2,
                length: 1,
            },
        ],
        negative_spans: vec![Span {
            offset: 7,
            length: 1,
        }],
        custom_values: vec![],
    }
}

/// Returns a histogram of floats, with custom buckets.
fn fractions(rng: &mut StdRng) -> Histogram {
    let [a, b] = std::array::from_fn(|_| f64::from(rng.random_range(0..1000u32)) / 8.0);
    Histogram {
        schema: duramen_model::histogram::CUSTOM_BUCKETS_SCHEMA,
        hint: ResetHint::Unknown,
        sum: f64::from(rng.random_range(0..1_000_000u32)).sqrt(),
        zero_threshold: 0.0,
        counts: Counts::Float {
            count: a + b,
            zero_count: 0.0,
            positive: vec![a, b],
            negative: vec![],
        },
        positive_spans: vec![Span {
            offset: 0,
            length: 2,
        }],
        negative_spans: vec![],
        custom_values: vec![0.5, f64::from(rng.random_range(1..5))],
    }
}

fn sent(held: &Histogram, timestamp: i64, life: Life) -> v2::Histogram {
    let spans = |spans: &[Span]| {
        spans
            .iter()
            .map(|s| v2::BucketSpan {
                offset: s.offset,
                length: s.length,
            })
            .collect()
    };

    let mut message = v2::Histogram {
        sum: held.sum,
        schema: held.schema,
        zero_threshold: held.zero_threshold,
        positive_spans: spans(&held.positive_spans),
        negative_spans: spans(&held.negative_spans),
        reset_hint: if held.hint == ResetHint::Gauge { 3 } else { 0 },
        custom_values: held.custom_values.clone(),
        timestamp,
        start_timestamp: life.start_ms,
        ttl_ms: life.ttl_ms,
        ..v2::Histogram::default()
    };

    match held.counts.clone() {
        Counts::Integer {
            count,
            zero_count,
            positive,
            negative,
        } => {
            message.count = Some(histogram::Count::CountInt(count));
            message.zero_count = Some(histogram::ZeroCount::ZeroCountInt(zero_count));
            (message.positive_deltas, message.negative_deltas) = (positive, negative);
        }
        Counts::Float {
            count,
            zero_count,
            positive,
            negative,
        } => {
            message.count = Some(histogram::Count::CountFloat(count));
            message.zero_count = Some(histogram::ZeroCount::ZeroCountFloat(zero_count));
            (message.positive_counts, message.negative_counts) = (positive, negative);
        }
    }

    message
}
