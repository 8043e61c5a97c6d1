//! Random data: several jobs and instances, counters that reset, gaps, stale markers, NaN and
//! infinities, histograms of all kinds.

use duramen_model::{Labels, Life, STALE_NAN};
use rand::Rng;
use rand::rngs::StdRng;

use super::histograms::{Buckets, Changing};
use crate::load::{LoadedSample, LoadedSeries, LoadedValue};
use crate::reference::{NameRemoval, Reference, ReferenceSeries, Sample};

/// Random series, each some twenty minutes long.
#[derive(Debug)]
pub struct World {
    series: Vec<LoadedSeries>,
}

/// How the values of a metric change over time.
#[derive(Clone, Copy)]
enum Shape {
    /// Rises, and sometimes falls back to the start.
    Counter,
    /// Changes freely; includes NaN and the infinities.
    Gauge,
    /// A few whole numbers, so that values of several series are often equal.
    Level,
    /// Always 1, as info metrics are.
    One,
    Histogram(Buckets),
    /// Alternates between runs of histograms and runs of floats.
    Mixed,
}

impl World {
    /// The end of the samples, exclusive but for a last stale marker.
    pub const END_MS: i64 = 1_200_000;

    pub fn new(random: &mut StdRng) -> Self {
        let mut series = Vec::new();

        for job in ["api", "db"] {
            for instance in ["1", "2", "3"] {
                let shared = [("job", job), ("instance", instance)];

                for (name, shape) in [
                    ("requests_total", Shape::Counter),
                    ("temperature", Shape::Gauge),
                    ("level", Shape::Level),
                    ("duration", Shape::Histogram(Buckets::Exponential)),
                    ("size", Shape::Histogram(Buckets::Custom)),
                ] {
                    series.push(one(random, name, &shared, shape));
                }

                if instance != "3" {
                    series.push(one(random, "errors_total", &shared, Shape::Counter));
                    series.push(one(
                        random,
                        "spread",
                        &shared,
                        Shape::Histogram(Buckets::Gauge),
                    ));

                    let zone = [("job", job), ("instance", instance), ("zone", "east")];
                    series.push(one(random, "zoned", &zone, Shape::Level));
                    series.extend(classic(random, &shared));
                }

                for version in ["1.9", "1.10"] {
                    let labels = [("job", job), ("instance", instance), ("version", version)];
                    series.push(one(random, "target_info", &labels, Shape::One));
                }
            }

            series.push(one(random, "limit", &[("job", job)], Shape::Level));
            series.push(one(
                random,
                "mixed",
                &[("job", job), ("instance", "1")],
                Shape::Mixed,
            ));
        }

        series.push(one(
            random,
            "build_info",
            &[("job", "api"), ("instance", "1"), ("branch", "main")],
            Shape::One,
        ));

        series.push(one(random, "alone", &[], Shape::Level));
        Self { series }
    }

    pub fn reference(&self, names: NameRemoval) -> Reference {
        let sample = |sample: &LoadedSample| {
            let value = match &sample.value {
                LoadedValue::Float(value) => Sample::Float(*value),
                LoadedValue::Histogram(histogram) => Sample::Histogram(Box::new(
                    crate::reference::Histogram::from(&histogram.into()),
                )),
            };

            (sample.ts_ms, value)
        };

        let series = |series: &LoadedSeries| ReferenceSeries {
            labels: series
                .labels
                .iter()
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .collect(),
            samples: series.samples.iter().map(sample).collect(),
        };

        Reference {
            series: self.series.iter().map(series).collect(),
            lookback_ms: 300_000,
            names,
        }
    }

    pub fn series(&self) -> &[LoadedSeries] {
        &self.series
    }
}

fn series(name: &str, labels: &[(&str, &str)], samples: Vec<(i64, LoadedValue)>) -> LoadedSeries {
    let pairs = labels.iter().copied().chain([("__name__", name)]);
    let samples = samples.into_iter().map(|(ts_ms, value)| LoadedSample {
        ts_ms,
        life: Life::NONE,
        value,
    });

    LoadedSeries {
        labels: Labels::from_pairs(pairs).expect("label names differ"),
        samples: samples.collect(),
    }
}

fn one(random: &mut StdRng, name: &str, labels: &[(&str, &str)], shape: Shape) -> LoadedSeries {
    let mut samples = Vec::new();
    let mut value = f64::from(random.random_range(0..50));

    let kind = if let Shape::Histogram(kind) = shape {
        kind
    } else {
        Buckets::Exponential
    };

    let mut histogram = Changing::new(random, kind);

    for ts_ms in times(random) {
        let is_histogram = match shape {
            Shape::Histogram(_) => true,
            Shape::Mixed => ts_ms / 250_000 % 2 == 0,
            _ => false,
        };

        if is_histogram {
            samples.push((ts_ms, LoadedValue::Histogram(histogram.next(random))));
        } else {
            samples.push((ts_ms, LoadedValue::Float(value)));
            value = next(random, value, shape);
        }

        if random.random_range(0..25) == 0 {
            samples.push((
                ts_ms + random.random_range(1_000..10_000),
                LoadedValue::Float(STALE_NAN),
            ));
        }
    }

    series(name, labels, samples)
}

/// Returns the times of a series. Most are 15 seconds apart, some further, and some gaps exceed the
/// look-back. Two are always so far apart that a stale marker fits in between.
fn times(random: &mut StdRng) -> Vec<i64> {
    let mut times = Vec::new();
    let mut ts_ms = random.random_range(0..100_000);

    while ts_ms < World::END_MS {
        times.push(ts_ms);
        ts_ms += match random.random_range(0..20) {
            0 => random.random_range(60_000..400_000),
            1..5 => random.random_range(11_000..40_000),
            _ => 15_000,
        };
    }

    times
}

fn next(random: &mut StdRng, value: f64, shape: Shape) -> f64 {
    match (shape, random.random_range(0..30)) {
        (Shape::Counter, 0) => f64::from(random.random_range(0..3)),
        (Shape::Counter, _) => value + f64::from(random.random_range(0..40)) / 4.0,
        (Shape::Gauge, 0) => f64::NAN,
        (Shape::Gauge, 1) => f64::INFINITY,
        (Shape::Gauge, 2) => f64::NEG_INFINITY,
        (Shape::Gauge, _) => f64::from(random.random_range(-400..400)) / 8.0,
        (Shape::One, _) => 1.0,
        _ => f64::from(random.random_range(-2..5)),
    }
}

/// Makes the buckets of a classic histogram, all with the same times. Sometimes a bucket lags
/// behind the others, so that counts fall although the bound rises.
fn classic(random: &mut StdRng, labels: &[(&str, &str)]) -> Vec<LoadedSeries> {
    const BOUNDS: [&str; 5] = ["0.1", "0.5", "1", "2.5", "+Inf"];

    let times = times(random);
    let mut counts = [0.0; BOUNDS.len()];
    let mut samples: [Vec<_>; BOUNDS.len()] = Default::default();

    for ts_ms in times {
        let fallen = random.random_range(0..20) == 0;
        let mut more = 0.0;

        for (count, samples) in counts.iter_mut().zip(&mut samples) {
            more += f64::from(random.random_range(0..4));
            *count += more;

            let late = if fallen && random.random_range(0..2) == 0 {
                more * 2.0
            } else {
                0.0
            };

            samples.push((ts_ms, LoadedValue::Float((*count - late).max(0.0))));
        }

        if random.random_range(0..30) == 0 {
            counts = [0.0; BOUNDS.len()];
        }
    }

    let with_bound = |(bound, samples)| {
        series(
            "latency_bucket",
            &[labels, &[("le", bound)]].concat(),
            samples,
        )
    };

    BOUNDS.into_iter().zip(samples).map(with_bound).collect()
}
