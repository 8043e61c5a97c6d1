//! Committed blocks of each format version are read for ever, and today's writer still makes the newest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_block::{Block, OpenOptions};
use duramen_model::{BlockFile, BlockStats, STALE_NAN};
use object_store::local::LocalFileSystem;

use crate::fixture::{Series, collect, names, request, sorted, write};
use crate::round_trip::small;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn series() -> Vec<Series> {
    let counter = Series::new(
        &[("__name__", "http_requests_total"), ("job", "api"), ("code", "200")],
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

fn stats() -> BlockStats {
    let file = |name: &str, bytes| BlockFile { name: name.into(), bytes };
    BlockStats {
        series: 3,
        samples: 176,
        histograms: 0,
        exemplars: 0,
        families: 0,
        ttl_max_ms: 0,
        min_ts_ms: -5,
        max_ts_ms: 1_700_002_235_000,
        files: vec![file("series.parquet", 2608), file("samples.parquet", 2664)],
        meta_bytes: 1281,
        meta_crc32c: 2_725_448_436,
    }
}

#[tokio::test]
async fn the_committed_block_is_read() {
    let store = Arc::new(LocalFileSystem::new_with_prefix(golden()).unwrap());
    let block = Block::open(store, "v0".into(), &stats(), OpenOptions::default()).await.unwrap();
    assert_eq!(collect(&block, &request(vec![])).await.unwrap(), series());
    block.verify().await.unwrap();
}

#[test]
fn todays_writer_makes_the_committed_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let made = dir.path().join("v0");
    let written = write(&made, &series(), small());
    if std::env::var_os("DURAMEN_BLESS").is_some() {
        println!("{written:#?}");
        std::fs::create_dir_all(golden().join("v0")).unwrap();
        for name in names(&written) {
            std::fs::copy(made.join(&name), golden().join("v0").join(&name)).unwrap();
        }
    }
    assert_eq!(written, stats());
    for name in names(&written) {
        let (made, kept) = (made.join(&name), golden().join("v0").join(&name));
        assert!(std::fs::read(made).unwrap() == std::fs::read(kept).unwrap(), "{name} differs");
    }
}
