//! Bytes per sample that strong models need for a data set: an estimate of its entropy.
//!
//! For each series the cheapest of some integer and float models is taken; [`model`] counts its
//! cost. Structure is used in further steps: equal series once, histogram buckets through the one
//! below, timestamps once per scrape target. Beside it stands what general compressors reach on the
//! same residuals.

mod model;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::time::Instant;

use anyhow::Result;

use crate::column::{Column, load};
use crate::decimal::{Scaled, scale};
use crate::gorilla::value_bits;
use crate::wire::{labels_of, put_zigzag};
use model::{Frequencies, Predictor, cost, residuals, xor_cost};

/// A run of NaN or stale markers among numbers: its start, each further one, and its end.
const EXCEPTION_START_BITS: f64 = 16.0;
const EXCEPTION_MORE_BITS: f64 = 0.2;
const EXCEPTION_END_BITS: f64 = 8.0;
/// Saying which model a series uses.
const CHOICE_BITS: f64 = 8.0;
const CONSTANT_BITS: f64 = 40.0;
/// Naming another series that is the same.
const REFERENCE_BITS: f64 = 24.0;
/// Naming a column of timestamps.
const TIMESTAMPS_REFERENCE_BITS: f64 = 12.0;
/// Larger inputs are too slow for the strongest compressors.
const STRONG_BYTES_MAX: usize = 300_000_000;

/// Prints the estimate. At most about `series_max` series are taken.
pub(crate) fn run(path: &str, series_max: Option<usize>) -> Result<()> {
    let (header, columns) = load(path, series_max)?;
    let samples: usize = columns.iter().map(|column| column.ts_ms.len()).sum();

    println!(
        "{path}: {} series, {samples} samples, interval {} ms ({})",
        columns.len(),
        header.interval_ms,
        header.note
    );

    let timestamp_bits = timestamps(&columns, samples);
    let names = Names::of(&columns)?;
    let mut estimate = Estimate::new(&columns, &names);

    estimate.all_series();
    estimate.print(samples, timestamp_bits);
    general_compressors(&estimate, samples)
}

/// A hash of a sequence of words that is good enough to find equals.
fn fingerprint(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(7, |hash, word| {
        (hash ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(29)
    })
}

/// Prints and returns the bits of the timestamps when targets share theirs.
fn timestamps(columns: &[Column], samples: usize) -> f64 {
    let mut frequencies = Frequencies::new();
    let mut seen = HashSet::new();
    let mut shared = 0.0;
    let mut own = 0.0;

    for column in columns {
        let bits = cost(&mut frequencies, residuals(&column.ts_ms, Predictor::Line));
        own += bits;

        let fresh = seen.insert((
            fingerprint(column.ts_ms.iter().map(|&ts| ts as u64)),
            column.ts_ms.len(),
        ));

        shared += if fresh {
            bits
        } else {
            TIMESTAMPS_REFERENCE_BITS
        };
    }

    let per_sample = |bits: f64| bits / 8.0 / samples as f64;
    println!(
        "timestamps: {} distinct columns; {:.4} B/sample shared, {:.4} B/sample if each series keeps its own",
        seen.len(),
        per_sample(shared),
        per_sample(own)
    );

    shared
}

/// Labels without that of the bucket, and the upper bound and column of each bucket.
type Histograms = HashMap<Vec<(String, String)>, Vec<(f64, usize)>>;

/// The facts about each column that its labels tell.
struct Names {
    metric: Vec<String>,
    /// The bucket below a histogram bucket, if both have the same timestamps.
    below: HashMap<usize, usize>,
}

impl Names {
    fn of(columns: &[Column]) -> Result<Self> {
        let mut metric = vec![];
        let mut histograms = Histograms::new();

        for (i, column) in columns.iter().enumerate() {
            let mut labels = labels_of(&column.labels)?;
            let name = labels
                .iter()
                .find(|label| label.0 == "__name__")
                .map(|label| label.1.clone())
                .unwrap_or_default();

            if name.ends_with("_bucket")
                && let Some(at) = labels.iter().position(|label| label.0 == "le")
            {
                let bound = bucket_bound(&labels.remove(at).1);
                histograms.entry(labels).or_default().push((bound, i));
            }

            metric.push(name);
        }

        let mut below = HashMap::new();

        for buckets in histograms.values_mut() {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));

            let pairs = buckets.windows(2).map(|pair| (pair[1].1, pair[0].1));
            below.extend(
                pairs.filter(|&(upper, lower)| columns[upper].ts_ms == columns[lower].ts_ms),
            );
        }

        Ok(Self { metric, below })
    }
}

fn bucket_bound(le: &str) -> f64 {
    if le == "+Inf" {
        f64::INFINITY
    } else {
        le.parse().unwrap_or(0.0)
    }
}

/// Sums over the series of one class. Bits, except for the counts.
#[derive(Default)]
struct Class {
    series: usize,
    samples: usize,
    gorilla: u64,
    adaptive: f64,
    structured: f64,
}

/// The models of one metric name: one for each way to code a series.
struct Family {
    metric: String,
    predictors: [Frequencies; 4],
    bucket: Frequencies,
    xor: Frequencies,
}

impl Family {
    fn new(metric: &str) -> Self {
        let fresh = Frequencies::new;
        Self {
            metric: metric.to_owned(),
            predictors: [fresh(), fresh(), fresh(), fresh()],
            bucket: fresh(),
            xor: fresh(),
        }
    }
}

/// How a series is best coded.
struct Coded {
    adaptive: f64,
    /// The bits that a model with the bucket below takes; infinite if there is no such bucket.
    bucket: f64,
}

struct Estimate<'a> {
    columns: &'a [Column],
    names: &'a Names,
    classes: HashMap<&'static str, Class>,
    /// Series met so far.
    seen: HashSet<(u64, usize)>,
    /// The best residuals as bytes, for general compressors.
    residual_bytes: Vec<u8>,
    raw_bytes: Vec<u8>,
}

impl<'a> Estimate<'a> {
    fn new(columns: &'a [Column], names: &'a Names) -> Self {
        let residual_bytes = vec![];
        let raw_bytes = vec![];

        Self {
            columns,
            names,
            classes: HashMap::new(),
            seen: HashSet::new(),
            residual_bytes,
            raw_bytes,
        }
    }

    /// The models by metric name: the series of one metric share them.
    fn all_series(&mut self) {
        let mut order: Vec<usize> = (0..self.columns.len()).collect();
        order.sort_by_key(|&i| (&self.names.metric[i], &self.columns[i].labels));

        let mut family: Option<Family> = None;

        for i in order {
            let metric = &self.names.metric[i];
            if family
                .as_ref()
                .is_none_or(|family| family.metric != *metric)
            {
                family = Some(Family::new(metric));
            }
            if let Some(family) = &mut family {
                self.one_series(i, family);
            }
        }
    }

    fn one_series(&mut self, i: usize, family: &mut Family) {
        let column = &self.columns[i];
        let (numbers, exceptions) = without_nan(&column.values);
        let constant = numbers
            .windows(2)
            .all(|pair| pair[0].to_bits() == pair[1].to_bits());
        let scaled = scale(&numbers);

        let coded = match &scaled {
            _ if constant => self.constant(exceptions),
            Some(scaled) => self.integers(i, &scaled.integers, exceptions, family),
            None => self.floats(&numbers, exceptions, family),
        };

        let fingerprint = fingerprint(numbers.iter().map(|value| value.to_bits()));
        let repeated = !constant && !self.seen.insert((fingerprint, numbers.len()));
        numbers
            .iter()
            .for_each(|value| self.raw_bytes.extend_from_slice(&value.to_le_bytes()));

        let class = self
            .classes
            .entry(class_name(&self.names.metric[i], constant, scaled.as_ref()))
            .or_default();

        class.series += 1;
        class.samples += column.values.len();
        class.gorilla += value_bits(&column.values);
        class.adaptive += coded.adaptive;

        class.structured += if repeated {
            REFERENCE_BITS
        } else {
            coded.adaptive.min(coded.bucket)
        };
    }

    fn constant(&mut self, exceptions: f64) -> Coded {
        self.residual_bytes.push(0);
        Coded {
            adaptive: CONSTANT_BITS + exceptions,
            bucket: f64::INFINITY,
        }
    }

    fn integers(
        &mut self,
        i: usize,
        integers: &[i64],
        exceptions: f64,
        family: &mut Family,
    ) -> Coded {
        let mut best = (f64::INFINITY, vec![]);

        for (predictor, frequencies) in Predictor::ALL.into_iter().zip(&mut family.predictors) {
            let residuals = residuals(integers, predictor);
            let bits = cost(frequencies, residuals.iter().copied());

            if bits < best.0 {
                best = (bits, residuals);
            }
        }

        best.1
            .iter()
            .for_each(|&residual| put_zigzag(&mut self.residual_bytes, residual));

        let bucket = self
            .bucket(i, &mut family.bucket)
            .map_or(f64::INFINITY, |bits| bits + exceptions);
        Coded {
            adaptive: best.0 + CHOICE_BITS + exceptions,
            bucket,
        }
    }

    /// Returns the events of a bucket alone: its increments without those of the bucket below.
    fn bucket(&self, i: usize, frequencies: &mut Frequencies) -> Option<f64> {
        let lower = &self.columns[*self.names.below.get(&i)?].values;
        let upper = &self.columns[i].values;

        if lower.iter().chain(upper).any(|value| value.is_nan()) {
            return None;
        }

        let own: Vec<f64> = upper
            .iter()
            .zip(lower)
            .map(|(upper, lower)| upper - lower)
            .collect();

        let first = own.first().copied();
        let increments = first
            .into_iter()
            .chain(own.windows(2).map(|pair| pair[1] - pair[0]));
        Some(cost(
            frequencies,
            increments.map(|increment| increment as i64),
        ))
    }

    fn floats(&mut self, numbers: &[f64], exceptions: f64, family: &mut Family) -> Coded {
        let mut last = 0;
        for value in numbers {
            let xor = value.to_bits() ^ std::mem::replace(&mut last, value.to_bits());
            self.residual_bytes.extend_from_slice(&xor.to_be_bytes());
        }

        Coded {
            adaptive: xor_cost(&mut family.xor, numbers) + CHOICE_BITS + exceptions,
            bucket: f64::INFINITY,
        }
    }

    fn print(&self, samples: usize, timestamp_bits: f64) {
        println!(
            "{:22} {:>8} {:>10} {:>12} {:>14} {:>16}",
            "class", "series", "% samples", "gorilla B/s", "adaptive B/s", "+structure B/s"
        );

        let mut rows: Vec<_> = self.classes.iter().collect();
        rows.sort_by(|a, b| b.1.structured.total_cmp(&a.1.structured));

        let mut gorilla = 0;
        let mut adaptive = 0.0;
        let mut structured = 0.0;

        for (name, class) in rows {
            let per_sample = |bits: f64| bits / 8.0 / class.samples as f64;
            println!(
                "{name:22} {:8} {:10.1} {:12.3} {:14.3} {:16.3}",
                class.series,
                100.0 * class.samples as f64 / samples as f64,
                per_sample(class.gorilla as f64),
                per_sample(class.adaptive),
                per_sample(class.structured)
            );

            gorilla += class.gorilla;
            adaptive += class.adaptive;
            structured += class.structured;
        }

        let per_sample = |bits: f64| bits / 8.0 / samples as f64;
        println!(
            "values: gorilla {:.3}  adaptive {:.3}  +structure {:.3} B/sample;  with shared timestamps {:.3}",
            per_sample(gorilla as f64),
            per_sample(adaptive),
            per_sample(structured),
            per_sample(structured + timestamp_bits)
        );
    }
}

/// The values with NaN and stale markers replaced by the value before, and the bits that say where
/// they were.
fn without_nan(values: &[f64]) -> (Vec<f64>, f64) {
    let mut last = values
        .iter()
        .copied()
        .find(|value| !value.is_nan())
        .unwrap_or(0.0);

    let mut bits = 0.0;
    let mut inside = false;

    let number = |&value: &f64| {
        bits += match (inside, value.is_nan()) {
            (false, true) => EXCEPTION_START_BITS,
            (true, true) => EXCEPTION_MORE_BITS,
            (true, false) => EXCEPTION_END_BITS,
            (false, false) => 0.0,
        };

        inside = value.is_nan();
        if !inside {
            last = value;
        }

        last
    };

    let numbers = values.iter().map(number).collect();
    (numbers, bits)
}

fn class_name(metric: &str, constant: bool, scaled: Option<&Scaled>) -> &'static str {
    if constant {
        return "constant";
    }

    let counter = metric.ends_with("_total") || metric.ends_with("_count");
    let sum = metric.ends_with("_sum");

    match scaled.map(|scaled| scaled.decimals) {
        _ if metric.ends_with("_bucket") => "histogram bucket",
        Some(0) if counter => "counter int",
        Some(0) => "gauge int",
        Some(_) if counter || sum => "counter decimal",
        Some(1..=3) => "gauge dec 1-3",
        Some(_) => "gauge dec 4-12",
        None if counter || sum => "counter full float",
        None => "gauge full float",
    }
}

fn general_compressors(estimate: &Estimate<'_>, samples: usize) -> Result<()> {
    let inputs = [
        ("best-residual bytes", &estimate.residual_bytes),
        ("raw f64", &estimate.raw_bytes),
    ];

    for (name, bytes) in inputs {
        for level in [1, 3, 9, 19] {
            if level > 9 && bytes.len() > STRONG_BYTES_MAX {
                continue;
            }

            let started = Instant::now();
            let len = zstd::bulk::compress(bytes, level)?.len();
            print_compressed(&format!("{name} zstd -{level}"), len, samples, started);
        }
    }

    if estimate.residual_bytes.len() <= STRONG_BYTES_MAX {
        let started = Instant::now();
        let mut encoder = xz2::write::XzEncoder::new(vec![], 6);
        encoder.write_all(&estimate.residual_bytes)?;

        print_compressed(
            "best-residual bytes xz -6",
            encoder.finish()?.len(),
            samples,
            started,
        );
    }

    Ok(())
}

fn print_compressed(name: &str, bytes: usize, samples: usize, started: Instant) {
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{name:34} {:.4} B/sample ({seconds:.1} s)",
        bytes as f64 / samples as f64
    );
}
