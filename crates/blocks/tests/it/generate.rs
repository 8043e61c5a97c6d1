//! Random data sets, of all kinds of content and with the values that break codecs.

use std::collections::BTreeMap;

use duramen_model::{
    CUSTOM_BUCKETS_SCHEMA, Counts, Exemplar, FamilyMetadata, Histogram, Labels, Life, MetricType,
    ResetHint, STALE_NAN_BITS, Span,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What one block holds, by series.
#[derive(Clone, Debug, Default)]
pub(crate) struct Data {
    /// In the order of a block.
    pub(crate) series: Vec<(Labels, SeriesData)>,
    pub(crate) families: Vec<FamilyMetadata>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct SeriesData {
    pub(crate) floats: BTreeMap<i64, (f64, Life)>,
    pub(crate) histograms: BTreeMap<i64, (Life, Vec<u8>)>,
    pub(crate) exemplars: Vec<Exemplar>,
}

/// Values at which codecs differ from each other.
const SPECIAL: [u64; 22] = [
    0x0000_0000_0000_0000, // 0.0
    0x8000_0000_0000_0000, // -0.0
    STALE_NAN_BITS,
    0x7ff8_0000_0000_0000, // NaN
    0x7ff8_0000_0000_0001,
    0x7ff0_0000_0000_0001, // a signalling NaN
    0xfff8_dead_beef_0000,
    0x7ff0_0000_0000_0000, // infinities
    0xfff0_0000_0000_0000,
    0x4340_0000_0000_0000, // 2^53 - 1, 2^53, 2^53 + 2, and the same below zero
    0x433f_ffff_ffff_ffff,
    0x4340_0000_0000_0001,
    0xc340_0000_0000_0000,
    0xc340_0000_0000_0001,
    0x43e0_0000_0000_0000, // 2^63
    0xc3e0_0000_0000_0000,
    0x0000_0000_0000_0001, // subnormal
    0x000f_ffff_ffff_ffff,
    0x0010_0000_0000_0000, // the smallest normal
    0x7fef_ffff_ffff_ffff, // the largest
    0xffef_ffff_ffff_ffff,
    0x3fb9_9999_9999_999a, // 0.1
];

/// The random sets of one seed.
pub(crate) struct Generator {
    random: StdRng,
    /// The times of samples: a short span, so that inputs overlap, or both ends of all times.
    times: Times,
}

#[derive(Clone, Copy)]
enum Times {
    Dense,
    Regular { start_ms: i64 },
    Ends,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let times = match random.random_range(0..4) {
            0 => Times::Ends,
            1 => Times::Regular {
                start_ms: random.random_range(-1_000_000..2_000_000_000_000),
            },
            _ => Times::Dense,
        };

        Self { random, times }
    }

    pub(crate) fn random(&mut self) -> &mut StdRng {
        &mut self.random
    }

    /// Returns the data of one block, which has something.
    pub(crate) fn data(&mut self) -> Data {
        let mut series = BTreeMap::new();

        for _ in 0..self.random.random_range(0..8) {
            let labels = self.labels();
            let data = self.series();
            let any = !data.floats.is_empty()
                || !data.histograms.is_empty()
                || !data.exemplars.is_empty();

            if any {
                series.insert(labels.to_string(), (labels, data));
            }
        }

        let mut series: Vec<_> = series.into_values().collect();
        series.sort_by(|(a, _), (b, _)| a.cmp_in_block(b));

        let families = if series.is_empty() || self.random.random_bool(0.4) {
            self.families()
        } else {
            Vec::new()
        };

        Data { series, families }
    }

    fn labels(&mut self) -> Labels {
        let name = ["", "a", "b", "metric_with_a_long_name"][self.random.random_range(0..4)];
        let job = ["", "x", "y"][self.random.random_range(0..3)];
        Labels::from_pairs([("__name__", name), ("job", job)]).unwrap()
    }

    fn series(&mut self) -> SeriesData {
        let mut data = SeriesData::default();
        let floats = match self.random.random_range(0..20) {
            0 => 3000,
            1..5 => 1,
            5..8 => 0,
            _ => self.random.random_range(1..40),
        };

        let kind = self.random.random_range(0..5);
        let has_lives = self.random.random_bool(0.3);

        for _ in 0..floats {
            let ts_ms = self.time();
            let value = self.value(kind);
            let life = if has_lives { self.life() } else { Life::NONE };
            data.floats.insert(ts_ms, (value, life));
        }

        if self.random.random_bool(0.3) {
            for _ in 0..self.random.random_range(1..10) {
                let ts_ms = self.time();
                let life = self.life();
                let histogram = self.histogram().to_bytes();

                data.floats.remove(&ts_ms);
                data.histograms.insert(ts_ms, (life, histogram));
            }
        }

        if self.random.random_bool(0.3) {
            let exemplars = (0..self.random.random_range(1..10)).map(|_| self.exemplar());
            let mut exemplars: Vec<_> = exemplars.collect();

            // As the merge sorts them, so that a block that is written again has the same bytes.
            exemplars.sort_by(|a, b| {
                let key = |one: &Exemplar| (one.ts_ms, one.value.to_bits());
                key(a).cmp(&key(b)).then_with(|| a.labels.cmp(&b.labels))
            });
            exemplars.dedup();
            data.exemplars = exemplars;
        }

        data
    }

    /// A sample never has the last of all times.
    fn time(&mut self) -> i64 {
        match self.times {
            Times::Dense => self.random.random_range(0..50),
            Times::Regular { start_ms } => {
                let jitter = i64::from(self.random.random_bool(0.1));
                start_ms + 15_000 * self.random.random_range(0..5000_i64) + jitter
            }
            Times::Ends => {
                let near = self.random.random_range(0..3);
                match self.random.random_range(0..3) {
                    0 => i64::MIN + near,
                    1 => i64::MAX - 1 - near,
                    _ => near,
                }
            }
        }
    }

    fn value(&mut self, kind: u8) -> f64 {
        match kind {
            0 => f64::from_bits(SPECIAL[self.random.random_range(0..SPECIAL.len())]),
            1 => f64::from_bits(self.random.random()),
            2 => f64::from(self.random.random_range(0..3_i32)),
            3 => {
                let integer = f64::from(self.random.random_range(-100_000..100_000_i32));
                integer / 10f64.powi(self.random.random_range(0..23))
            }
            _ if self.random.random_bool(0.1) => f64::from_bits(STALE_NAN_BITS),
            _ => f64::from(self.random.random_range(0..1_000_000_i32)),
        }
    }

    fn life(&mut self) -> Life {
        Life {
            start_ms: self.random.random_range(0..3),
            ttl_ms: [0, 0, 60_000, i64::MAX][self.random.random_range(0..4)],
        }
    }

    fn histogram(&mut self) -> Histogram {
        let sum = f64::from_bits(SPECIAL[self.random.random_range(0..SPECIAL.len())]);
        let more = self.random.random_range(0..4);
        let span = |length| Span { offset: -2, length };

        if self.random.random_bool(0.5) {
            return Histogram {
                schema: 3,
                hint: ResetHint::NotReset,
                sum,
                zero_threshold: 2.938_735_877_055_719e-39,
                counts: Counts::Integer {
                    count: 9 + more,
                    zero_count: 1,
                    positive: vec![more.cast_signed(), 0, -1],
                    negative: vec![],
                },
                positive_spans: vec![span(3)],
                negative_spans: vec![],
                custom_values: vec![],
            };
        }

        Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            hint: ResetHint::Gauge,
            sum,
            zero_threshold: 0.0,
            counts: Counts::Float {
                count: 1.5,
                zero_count: 0.0,
                positive: vec![0.5, 1.0],
                negative: vec![],
            },
            positive_spans: vec![Span {
                offset: 0,
                length: 2,
            }],
            negative_spans: vec![],
            custom_values: vec![0.1, 1.0],
        }
    }

    fn exemplar(&mut self) -> Exemplar {
        let trace = self.random.random_range(0..4).to_string();
        let pairs = [("trace_id", trace.as_str())];
        let pairs = &pairs[..self.random.random_range(0..2)];

        Exemplar {
            ts_ms: self.time(),
            value: f64::from_bits(SPECIAL[self.random.random_range(0..SPECIAL.len())]),
            labels: Labels::from_pairs(pairs.iter().copied()).unwrap(),
        }
    }

    fn families(&mut self) -> Vec<FamilyMetadata> {
        let mut families = Vec::new();

        for family in ["a", "b", "c"] {
            if families.is_empty() || self.random.random_bool(0.5) {
                families.push(FamilyMetadata {
                    family: family.to_owned(),
                    kind: MetricType::Counter,
                    help: self.random.random_range(0..100).to_string(),
                    unit: String::new(),
                    last_seen_ms: self.random.random_range(0..4),
                });
            }
        }

        families
    }
}
