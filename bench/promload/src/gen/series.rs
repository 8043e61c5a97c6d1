//! Series as they are added to a target, and their labels.

use std::ops::Range;

use super::behaviour::{Behaviour, Histogram, Summary};
use super::random::Random;
use crate::wire::put_label;

/// Encoded labels and shard of every series ever made, by number.
#[derive(Debug)]
pub(super) struct Labels {
    bytes: Vec<u8>,
    ranges: Vec<Range<usize>>,
    shard: Vec<u8>,
    shards: usize,
}

impl Labels {
    /// A series goes to a shard below `shards`, which is 256 at most.
    pub(super) fn new(shards: usize) -> Self {
        Self {
            bytes: vec![],
            ranges: vec![],
            shard: vec![],
            shards,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(super) fn get(&self, series: usize) -> &[u8] {
        &self.bytes[self.ranges[series].clone()]
    }

    pub(super) fn shard(&self, series: usize) -> usize {
        usize::from(self.shard[series])
    }

    fn push(&mut self, labels: &[(&str, &str)]) {
        let at = self.bytes.len();
        for (name, value) in labels {
            put_label(&mut self.bytes, name, value);
        }

        self.shard
            .push(((fnv(&self.bytes[at..]) >> 32) as usize % self.shards) as u8);
        self.ranges.push(at..self.bytes.len());
    }
}

/// FNV-1a.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325u64;
    bytes.iter().fold(start, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

/// Series of consecutive numbers that move together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) series: Range<usize>,
    /// The pod they belong to; of a node there is none.
    pub(super) pod: Option<usize>,
    pub(super) behaviour: Behaviour,
    pub(super) random: Random,
}

/// Labels beside those of the target.
type Extra<'e> = [(&'e str, &'e str)];

/// Adds groups of series to one target until no more are wanted; a group is added whole or not at
/// all.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    pub(super) labels: &'a mut Labels,
    pub(super) rng: &'a mut Random,
    /// Series still wanted.
    pub(super) left: usize,
    /// Labels that all series of the target have.
    pub(super) base: Vec<(&'a str, String)>,
    pub(super) pod: Option<usize>,
    pub(super) out: Vec<Group>,
}

impl Builder<'_> {
    fn series(&mut self, name: &str, extra: &Extra<'_>) {
        let mut labels: Vec<(&str, &str)> = vec![("__name__", name)];
        labels.extend(
            self.base
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );

        labels.extend_from_slice(extra);
        labels.sort_unstable();
        self.labels.push(&labels);
    }

    /// Takes the series added since `first` for a group.
    fn group(&mut self, first: usize, behaviour: Behaviour) {
        let series = first..self.labels.len();
        let random = Random::new(self.rng.bits());

        self.out.push(Group {
            series,
            pod: self.pod,
            behaviour,
            random,
        });
    }

    /// False when there is no room for `series` more.
    fn reserve(&mut self, series: usize) -> bool {
        let room = self.left >= series;
        self.left -= if room { series } else { 0 };
        room
    }

    pub(super) fn one(&mut self, name: &str, extra: &Extra<'_>, behaviour: Behaviour) {
        if self.reserve(1) {
            let first = self.labels.len();
            self.series(name, extra);
            self.group(first, behaviour);
        }
    }

    pub(super) fn constant(&mut self, name: &str, extra: &Extra<'_>, value: f64) {
        self.one(name, extra, Behaviour::Constant(value));
    }

    /// A counter, idle with the probability `idle`, else of a rate between `low` and `high` per
    /// second.
    pub(super) fn count(&mut self, name: &str, extra: &Extra<'_>, low: f64, high: f64, idle: f64) {
        if self.rng.unit() < idle {
            let value = if self.rng.unit() < 0.6 {
                0.0
            } else {
                self.rng.below(2000) as f64
            };

            return self.constant(name, extra, value);
        }

        let rate = self.rng.log_uniform(low, high);
        let value = (rate * 1e5 * self.rng.unit()).floor();
        let burst = self.rng.unit() < 0.2;

        self.one(
            name,
            extra,
            Behaviour::Count {
                rate,
                unit: 1.0,
                value,
                burst,
            },
        );
    }

    /// A counter of bytes that come in packets.
    pub(super) fn bytes(&mut self, name: &str, extra: &Extra<'_>, low: f64, high: f64) {
        const PACKET: f64 = 700.0;

        let rate = self.rng.log_uniform(low, high);
        let value = (rate * 1e5 * self.rng.unit()).floor();

        self.one(
            name,
            extra,
            Behaviour::Count {
                rate: rate / PACKET,
                unit: PACKET,
                value,
                burst: true,
            },
        );
    }

    pub(super) fn seconds(&mut self, name: &str, extra: &Extra<'_>, rate: f64, ticks_per_s: f64) {
        let ticks = (self.rng.unit() * 1e6 * rate * ticks_per_s).floor();
        self.one(
            name,
            extra,
            Behaviour::Seconds {
                rate,
                ticks_per_s,
                ticks,
            },
        );
    }

    pub(super) fn walk(
        &mut self,
        name: &str,
        extra: &Extra<'_>,
        range: Range<f64>,
        step: f64,
        moves: f64,
        unit: f64,
    ) {
        let low = range.start;
        let high = range.end;
        let value = (low + (high - low) * self.rng.unit()).floor();

        self.one(
            name,
            extra,
            Behaviour::Walk {
                value,
                low,
                high,
                step,
                moves,
                unit,
            },
        );
    }

    pub(super) fn reading(
        &mut self,
        name: &str,
        extra: &Extra<'_>,
        mean: f64,
        daily: f64,
        noise: f64,
        decimals: i32,
    ) {
        let scale = 10f64.powi(decimals);
        self.one(
            name,
            extra,
            Behaviour::Reading {
                mean,
                daily,
                offset: 0.0,
                noise,
                scale,
            },
        );
    }

    pub(super) fn ratio(&mut self, name: &str, extra: &Extra<'_>, mean: f64, noise: f64) {
        self.one(
            name,
            extra,
            Behaviour::Ratio {
                mean,
                value: mean,
                noise,
            },
        );
    }

    pub(super) fn histogram(
        &mut self,
        name: &str,
        extra: &Extra<'_>,
        bounds: &[f64],
        rate: f64,
        mean: f64,
    ) {
        if !self.reserve(Histogram::series(bounds)) {
            return;
        }

        let first = self.labels.len();

        for bound in bounds.iter().copied().chain([f64::INFINITY]) {
            let le = if bound.is_finite() {
                bound.to_string()
            } else {
                "+Inf".to_owned()
            };

            self.series(&format!("{name}_bucket"), &[extra, &[("le", &le)]].concat());
        }

        self.series(&format!("{name}_sum"), extra);
        self.series(&format!("{name}_count"), extra);

        let events = (rate * 2e5 * self.rng.unit()) as u64;
        self.group(
            first,
            Behaviour::Histogram(Histogram::new(bounds, rate, mean, events)),
        );
    }

    pub(super) fn summary(
        &mut self,
        name: &str,
        extra: &Extra<'_>,
        quantiles: &[f64],
        rate: f64,
        mean: f64,
    ) {
        if !self.reserve(quantiles.len() + 2) {
            return;
        }

        let first = self.labels.len();
        for quantile in quantiles {
            self.series(
                name,
                &[extra, &[("quantile", &quantile.to_string())]].concat(),
            );
        }

        self.series(&format!("{name}_sum"), extra);
        self.series(&format!("{name}_count"), extra);

        let count = (rate * 1e5 * self.rng.unit()) as u64;
        self.group(
            first,
            Behaviour::Summary(Summary::new(quantiles.to_vec(), rate, mean, count)),
        );
    }
}
