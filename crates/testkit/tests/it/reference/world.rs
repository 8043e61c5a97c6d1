//! Random data: several jobs and instances, counters that reset, gaps, stale markers, and values that are no numbers.

use duramen_model::{Labels, Life, STALE_NAN};
use duramen_testkit::promqltest::{LoadedSample, LoadedSeries, LoadedValue};
use duramen_testkit::reference::{Reference, ReferenceSeries};
use rand::Rng;
use rand::rngs::StdRng;

pub(crate) struct World {
    series: Vec<ReferenceSeries>,
}

/// How the values of a metric go on.
#[derive(Clone, Copy)]
enum Shape {
    /// Up, and at times back to the start.
    Counter,
    /// Any way, with NaN and the infinities.
    Gauge,
    /// In small steps around a few whole numbers, so that values meet.
    Level,
}

impl World {
    /// Where the samples end.
    pub(crate) const END_MS: i64 = 1_200_000;

    pub(crate) fn new(random: &mut StdRng) -> Self {
        let mut series = Vec::new();
        for job in ["api", "db"] {
            for instance in ["1", "2", "3"] {
                let shared = [("job", job), ("instance", instance)];
                series.push(one(random, "requests_total", &shared, Shape::Counter));
                series.push(one(random, "temperature", &shared, Shape::Gauge));
                series.push(one(random, "level", &shared, Shape::Level));
                if instance != "3" {
                    series.push(one(random, "errors_total", &shared, Shape::Counter));
                    let zone = [("job", job), ("instance", instance), ("zone", "east")];
                    series.push(one(random, "zoned", &zone, Shape::Level));
                }
            }
            series.push(one(random, "limit", &[("job", job)], Shape::Level));
        }
        series.push(one(random, "alone", &[], Shape::Level));
        Self { series }
    }

    pub(crate) fn reference(&self) -> Reference {
        Reference { series: self.series.clone(), lookback_ms: 300_000 }
    }

    pub(crate) fn loaded(&self) -> Vec<LoadedSeries> {
        let labels = |series: &ReferenceSeries| {
            Labels::from_pairs(series.labels.iter().map(|(n, v)| (n.as_str(), v.as_str()))).expect("label names differ")
        };
        let sample =
            |&(ts_ms, value): &(i64, f64)| LoadedSample { ts_ms, life: Life::NONE, value: LoadedValue::Float(value) };
        let loaded = |series: &ReferenceSeries| LoadedSeries {
            labels: labels(series),
            samples: series.samples.iter().map(sample).collect(),
        };
        self.series.iter().map(loaded).collect()
    }
}

fn one(random: &mut StdRng, name: &str, labels: &[(&str, &str)], shape: Shape) -> ReferenceSeries {
    let mut samples = Vec::new();
    let mut ts_ms = random.random_range(0..100_000);
    let mut value = f64::from(random.random_range(0..50));
    while ts_ms < World::END_MS {
        samples.push((ts_ms, value));
        if random.random_range(0..25) == 0 {
            samples.push((ts_ms + random.random_range(1_000..10_000), STALE_NAN));
        }
        ts_ms += match random.random_range(0..20) {
            0 => random.random_range(60_000..400_000),
            1..5 => random.random_range(11_000..40_000),
            _ => 15_000,
        };
        value = next(random, value, shape);
    }
    let named = [("__name__", name)];
    let all = labels.iter().chain(&named);
    ReferenceSeries { labels: all.map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(), samples }
}

fn next(random: &mut StdRng, value: f64, shape: Shape) -> f64 {
    match (shape, random.random_range(0..30)) {
        (Shape::Counter, 0) => f64::from(random.random_range(0..3)),
        (Shape::Counter, _) => value + f64::from(random.random_range(0..40)) / 4.0,
        (Shape::Gauge, 0) => f64::NAN,
        (Shape::Gauge, 1) => f64::INFINITY,
        (Shape::Gauge, 2) => f64::NEG_INFINITY,
        (Shape::Gauge, _) => f64::from(random.random_range(-400..400)) / 8.0,
        (Shape::Level, _) => f64::from(random.random_range(-2..5)),
    }
}
