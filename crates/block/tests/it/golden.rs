//! Committed blocks of each format version stay readable, and today's writer still makes the newest
//! one. `DURAMEN_BLESS=1` makes them anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_block::{Block, OpenOptions};
use duramen_model::{
    BlockStats, CUSTOM_BUCKETS_SCHEMA, Counts, Exemplar, FamilyMetadata, Histogram, Labels, Life,
    MetricType, ResetHint, STALE_NAN, Span,
};
use duramen_source::Reads;
use object_store::local::LocalFileSystem;

use crate::fixture::{Series, collect_all, names, sorted, write_with};
use crate::round_trip::small;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

fn series() -> Vec<Series> {
    let counter = Series::new(
        &[
            ("__name__", "http_requests_total"),
            ("job", "api"),
            ("code", "200"),
        ],
        (0..150).map(|t| (1_700_000_000_000 + t * 15_000, (t * t) as f64)),
    );

    let gauge = Series::new(
        &[("__name__", "temperature_celsius"), ("job", "lab")],
        (0..20).map(|t| (1_700_000_000_000 + t * 15_000, 20.5 + t as f64 / 100.0)),
    );

    let odd = Series::new(
        &[("Job", "LAB"), ("nul", "\0")],
        [
            (-5, -0.0),
            (0, f64::NAN),
            (1, STALE_NAN),
            (2, f64::INFINITY),
            (3, std::f64::consts::PI),
            (4, 9_007_199_254_740_992.0),
        ],
    );

    sorted(vec![counter, gauge, odd])
}

/// Makes everything that a block may have: life spans, histograms with integer and float counts,
/// exemplars beside samples and alone, metadata.
pub(crate) fn everything() -> Vec<Series> {
    let of = |name| [("__name__", name), ("job", "api")];
    let at = |t: i64| 1_700_000_000_000 + t * 15_000;
    let mut lives = Series::new(&of("batch_jobs_total"), (0..5).map(|t| (at(t), t as f64)));

    lives.lives = (0..5)
        .map(|t| Life {
            start_ms: at(-1),
            ttl_ms: 60_000 * (t % 3),
        })
        .collect();

    let mut histograms = Series::new(&of("request_seconds"), [(at(0), STALE_NAN)]);
    let life = |t| Life {
        start_ms: at(0),
        ttl_ms: if t == 3 { 90_000 } else { 0 },
    };

    histograms.histograms = (1..120)
        .map(|t| (at(t), life(t), integers(t.unsigned_abs()).to_bytes()))
        .collect();
    histograms.exemplars = (1..40).map(|t| exemplar(at(t), t as f64 / 7.0)).collect();

    let mut rules = Series::new(&of("request_seconds:rate5m"), []);
    rules.histograms = (0..3)
        .map(|t| (at(t), Life::NONE, floats(t as f64).to_bytes()))
        .collect();

    let mut alone = Series::new(&of("request_seconds_bucket"), []);
    alone.exemplars = vec![Exemplar {
        labels: Labels::empty(),
        ..exemplar(at(500), f64::INFINITY)
    }];

    let mut all = series();
    all.extend([lives, histograms, rules, alone]);
    sorted(all)
}

fn integers(t: u64) -> Histogram {
    let more = t.cast_signed();
    Histogram {
        schema: 3,
        hint: if t == 1 {
            ResetHint::Reset
        } else {
            ResetHint::NotReset
        },
        sum: 1.25 * t as f64,
        zero_threshold: 2.938_735_877_055_719e-39,
        counts: Counts::Integer {
            count: 9 * t,
            zero_count: t,
            positive: vec![more, 0, more],
            negative: vec![4 * more, -2 * more],
        },
        positive_spans: vec![
            Span {
                offset: -2,
                length: 1,
            },
            Span {
                offset: 3,
                length: 2,
            },
        ],
        negative_spans: vec![Span {
            offset: 0,
            length: 2,
        }],
        custom_values: vec![],
    }
}

fn floats(t: f64) -> Histogram {
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        hint: ResetHint::Gauge,
        sum: -0.0,
        zero_threshold: 0.0,
        counts: Counts::Float {
            count: 1.5 + t,
            zero_count: 0.0,
            positive: vec![0.5, 1.0 + t],
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

fn exemplar(ts_ms: i64, value: f64) -> Exemplar {
    let id = format!("{ts_ms:032x}");
    Exemplar {
        ts_ms,
        value,
        labels: Labels::from_pairs([("trace_id", id.as_str()), ("span_id", "1")]).unwrap(),
    }
}

pub(crate) fn families() -> Vec<FamilyMetadata> {
    let family = |name: &str, kind, help: &str, unit: &str| FamilyMetadata {
        family: name.into(),
        kind,
        help: help.into(),
        unit: unit.into(),
        last_seen_ms: 1_700_000_000_000,
    };

    vec![
        family(
            "request_seconds",
            MetricType::Histogram,
            "How long requests take.",
            "seconds",
        ),
        family("temperature_celsius", MetricType::Gauge, "", "celsius"),
    ]
}

/// The file with the stats of a committed block, as its entry in the manifest has them.
const STATS_FILE: &str = "stats.json";

fn stats(name: &str) -> BlockStats {
    let json = std::fs::read(golden().join(name).join(STATS_FILE)).unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// Reads the committed block in folder `name`: its series and its families. Verifies all files.
async fn read(name: &str) -> (Vec<Series>, Vec<FamilyMetadata>) {
    let store = Arc::new(LocalFileSystem::new_with_prefix(golden()).unwrap());
    let block = Block::open(
        store,
        name.into(),
        &stats(name),
        OpenOptions::default(),
        &Reads::default(),
    )
    .await
    .unwrap();
    block.verify().await.unwrap();

    collect_all(&block).await.unwrap()
}

#[tokio::test]
async fn the_committed_blocks_are_read() {
    assert_eq!(read("floats").await, (series(), vec![]));
    assert_eq!(read("everything").await, (everything(), families()));
}

/// Writes a block again and compares it with the committed one.
fn check(name: &str, series: &[Series], families: Vec<FamilyMetadata>) {
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join(name);
    let written = write_with(&made, series, families, small());
    let kept = golden().join(name);

    if std::env::var_os("DURAMEN_BLESS").is_some() {
        _ = std::fs::remove_dir_all(&kept);
        std::fs::create_dir_all(&kept).unwrap();

        for file in names(&written) {
            std::fs::copy(made.join(&file), kept.join(&file)).unwrap();
        }

        let json = serde_json::to_string_pretty(&written).unwrap();
        std::fs::write(kept.join(STATS_FILE), json + "\n").unwrap();
    }

    assert_eq!(written, stats(name));

    for file in names(&written) {
        let made = std::fs::read(made.join(&file)).unwrap();
        let kept = std::fs::read(kept.join(&file)).unwrap();

        assert!(made == kept, "{name}: {file} differs");
    }
}

#[test]
fn todays_writer_makes_the_committed_bytes() {
    check("floats", &series(), vec![]);
    check("everything", &everything(), families());
}
