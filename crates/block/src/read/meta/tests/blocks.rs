//! Random blocks.

use std::sync::Arc;

use bytes::Bytes;
use duramen_model::{
    BlockStats, Counts, Exemplar, FamilyMetadata, Histogram, Labels, Life, MetricType, ResetHint,
    Span,
};
use duramen_source::HistogramRef;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::layout::file_names::META_FILE;
use crate::layout::meta::{Meta, decode};
use crate::write::block::BlockWriter;
use crate::write::contents::SeriesContents;
use crate::write::options::WriterOptions;

/// A block in memory.
pub(super) struct Written {
    pub(super) stats: BlockStats,
    /// The files by name, `meta` last.
    pub(super) files: Vec<(String, Bytes)>,
}

impl Written {
    pub(super) fn meta_bytes(&self) -> &[u8] {
        self.file(META_FILE)
    }

    pub(super) fn file(&self, name: &str) -> &Bytes {
        &self.files.iter().find(|file| file.0 == name).unwrap().1
    }

    pub(super) fn meta(&self) -> Meta {
        decode::decode(self.meta_bytes()).unwrap()
    }

    /// Puts the files into a store, with another `meta`, and returns the stats with the length and
    /// the checksum of that.
    pub(super) async fn with_meta(&self, meta: Vec<u8>) -> (Arc<dyn ObjectStore>, BlockStats) {
        let store = InMemory::new();
        let mut stats = self.stats.clone();
        stats.meta_bytes = meta.len() as u64;
        stats.meta_crc32c = crc32c::crc32c(&meta);

        for (name, bytes) in &self.files {
            let bytes = if name == META_FILE {
                Bytes::from(meta.clone())
            } else {
                bytes.clone()
            };

            store
                .put(&dir().join(name.as_str()), bytes.into())
                .await
                .unwrap();
        }

        (Arc::new(store), stats)
    }
}

pub(super) fn dir() -> Path {
    Path::from("t/01J000000000000000000TENAN/blocks/block=01J00000000000000000000BXK")
}

/// Writes a block of a few series with everything that a block may have.
pub(super) fn random(seed: u64) -> Written {
    let mut random = StdRng::seed_from_u64(seed);
    let options = WriterOptions {
        row_group_rows_max: random.random_range(5..300),
        series_group_rows_max: random.random_range(1..20),
        ..WriterOptions::default()
    };

    let mut all: Vec<Labels> = (0..random.random_range(1..40u32))
        .map(|i| labels(&mut random, i))
        .collect();

    all.sort_by(|a, b| a.cmp_in_block(b));
    all.dedup();

    let mut writer = BlockWriter::in_memory(options);
    let kinds = random.random_range(0..8u32);

    for labels in &all {
        push(&mut writer, &mut random, labels, kinds);
    }

    let family = |i: u32| FamilyMetadata {
        family: format!("family_{i}"),
        kind: MetricType::Counter,
        help: "Counts.".into(),
        unit: String::new(),
        last_seen_ms: 7,
    };

    let families = random.random_range(0..3);
    writer
        .set_metadata((0..families).map(family).collect())
        .unwrap();

    let (stats, files) = writer.finish_in_memory().unwrap();
    Written { stats, files }
}

fn labels(random: &mut StdRng, number: u32) -> Labels {
    let number = number.to_string();
    let long = "x".repeat(random.random_range(0..200));
    let name = format!("metric_{}_{long}", random.random_range(0..4u32));
    let mut pairs = vec![("number", number.as_str())];

    if random.random_range(0..8u32) > 0 {
        pairs.push(("__name__", &name));
    }
    if random.random() {
        pairs.push(("job", "api"));
    }

    Labels::from_pairs(pairs).unwrap()
}

/// Pushes a series. The bits of `kinds` say what it may have beside floats.
fn push(writer: &mut BlockWriter, random: &mut StdRng, labels: &Labels, kinds: u32) {
    let floats = random.random_range(1..60i64);
    let ts_ms: Vec<i64> = (0..floats).map(|t| t * 15_000).collect();
    let whole: bool = random.random();
    let values: Vec<f64> = (0..floats)
        .map(|_| {
            if whole {
                f64::from(random.random_range(0..1000u32))
            } else {
                random.random()
            }
        })
        .collect();

    let life = |t: i64| Life {
        start_ms: t,
        ttl_ms: t % 3,
    };

    let lives: Vec<Life> = if kinds & 1 != 0 && random.random() {
        (0..floats).map(life).collect()
    } else {
        vec![]
    };

    let histograms = if kinds & 2 != 0 {
        random.random_range(0..20)
    } else {
        0
    };
    let bytes = histogram().to_bytes();
    let histograms: Vec<_> = (0..histograms)
        .map(|t| HistogramRef {
            ts_ms: 1_000_000 + t,
            life: Life::NONE,
            bytes: &bytes,
        })
        .collect();

    let exemplars = if kinds & 4 != 0 {
        random.random_range(0..5)
    } else {
        0
    };
    let exemplars: Vec<_> = (0..exemplars)
        .map(|ts_ms| Exemplar {
            ts_ms,
            value: 0.5,
            labels: labels.clone(),
        })
        .collect();

    let contents = SeriesContents {
        ts_ms: &ts_ms,
        values: &values,
        lives: &lives,
        histograms: &histograms,
        exemplars: &exemplars,
        rollups: &[],
    };

    writer.push(labels, &contents).unwrap();
}

fn histogram() -> Histogram {
    Histogram {
        schema: 0,
        hint: ResetHint::Unknown,
        sum: 1.5,
        zero_threshold: 0.001,
        counts: Counts::Integer {
            count: 3,
            zero_count: 0,
            positive: vec![1, 1],
            negative: vec![],
        },
        positive_spans: vec![Span {
            offset: 0,
            length: 2,
        }],
        negative_spans: vec![],
        custom_values: vec![],
    }
}
