//! A flush that is too large for one block makes several siblings of one window.

use duramen_block::{Block, BlockLimits, BlockSource, OpenOptions};
use duramen_bucket::keys;
use duramen_ingest::Config;
use duramen_model::{BlockEntry, Labels};
use duramen_source::{Columns, Reads, SeriesSource};
use duramen_testkit::prompb::v1::TimeSeries;
use futures::TryStreamExt;

use crate::body::{family, of, of_metadata, sample, series};
use crate::system::{NOW_MS, System};

const WINDOW_MS: i64 = 2 * 60 * 60 * 1000;

/// A system whose blocks have at most two series.
async fn system() -> System {
    let block_limits = BlockLimits {
        series_max: 2,
        ..BlockLimits::default()
    };

    let config = Config {
        block_limits,
        ..Config::default()
    };
    System::with(config).await
}

/// Stores a sample of each of five metrics in each of two windows, and a metric family.
async fn store(system: &System) {
    let metric = |name: &str| TimeSeries {
        samples: vec![sample(NOW_MS - WINDOW_MS, 1.0), sample(NOW_MS, 2.0)],
        ..series(name)
    };

    system
        .store(&of(["a", "b", "c", "d", "e"].map(metric)))
        .await;
    system.store(&of_metadata([family("f", "F.")])).await;
}

fn first_name(entry: &BlockEntry) -> String {
    entry.stats.names.as_ref().unwrap().first.clone()
}

/// Returns the live blocks, in the order of their times and names.
async fn committed(system: &System) -> Vec<BlockEntry> {
    let state = system.manifests.refresh(system.tenant_id()).await.unwrap();
    let mut blocks: Vec<BlockEntry> = state
        .blocks
        .values()
        .map(|entry| BlockEntry::clone(entry))
        .collect();

    blocks.sort_by_key(|entry| (entry.stats.min_ts_ms, first_name(entry)));
    blocks
}

/// Returns the metric names of a committed block.
async fn names(system: &System, entry: &BlockEntry) -> Vec<String> {
    let opened = Block::open(
        system.bucket.store(),
        keys::block(system.tenant_id(), entry),
        &entry.stats,
        OpenOptions::default(),
        &Reads::default(),
    )
    .await;

    let block = BlockSource::new(opened.unwrap());
    let request = system.request(Columns::Samples);
    let batches = block.select(&request).await.unwrap();
    let batches: Vec<_> = batches.try_collect().await.unwrap();

    batches
        .iter()
        .flat_map(|batch| (0..batch.len()).map(|row| batch.labels_at(row)))
        .map(|labels| {
            Labels::from_encoded(labels)
                .unwrap()
                .metric_name()
                .to_owned()
        })
        .collect()
}

/// Asserts that each of the two windows has three siblings, with the metadata in the last.
async fn check(system: &System) {
    let blocks = committed(system).await;
    let mut found = Vec::new();

    for entry in &blocks {
        found.push(names(system, entry).await);
    }

    let siblings = [vec!["a", "b"], vec!["c", "d"], vec!["e"]];
    assert_eq!(found, [siblings.clone(), siblings].concat());

    let families: Vec<_> = blocks.iter().map(|entry| entry.stats.families).collect();
    assert_eq!(families, [0, 0, 0, 0, 0, 1]);

    let contents: Vec<_> = blocks.iter().map(|entry| entry.content).collect();
    assert!(contents[..3].iter().all(|content| *content == contents[0]));
    assert!(contents[3..].iter().all(|content| *content == contents[5]));
    assert_ne!(contents[0], contents[5], "each window has its own content");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_flush_makes_siblings_in_each_window_in_one_edit() {
    let system = system().await;
    store(&system).await;

    system.ingester.flush_all().await.unwrap();

    check(&system).await;

    let staged = std::fs::read_dir(system.staging.path()).unwrap().count();
    assert_eq!(staged, 0, "all siblings have left the disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn siblings_go_up_from_memory_too() {
    let system = system().await;
    store(&system).await;

    system.disk.set_space(Some(1_000));
    system.ingester.flush_all().await.unwrap();
    check(&system).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_whose_parts_are_written_at_once_makes_siblings_as_well() {
    let system = system().await;
    let all: Vec<String> = (10..42).map(|n| format!("m{n}")).collect();
    let metric = |name: &String| TimeSeries {
        samples: vec![sample(NOW_MS - WINDOW_MS, 1.0), sample(NOW_MS, 2.0)],
        ..series(name)
    };

    system.store(&of(all.iter().map(metric))).await;
    system.store(&of_metadata([family("f", "F.")])).await;
    system.ingester.flush_all().await.unwrap();

    let blocks = committed(&system).await;
    let mut found = Vec::new();

    for entry in &blocks {
        found.extend(names(&system, entry).await);
    }

    // Each window has each series once. The blocks are in the order of their names, so parts do not
    // overlap.
    assert_eq!(found, [all.clone(), all].concat());

    let families: Vec<_> = blocks.iter().map(|entry| entry.stats.families).collect();
    assert_eq!(families.iter().sum::<u64>(), 1);
    assert_eq!(families.last(), Some(&1));
}
