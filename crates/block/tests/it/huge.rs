//! Blocks that are large where blocks usually are small. Readers and `meta` stay small.

use std::sync::Arc;

use duramen_block::{Block, GetCost, OpenOptions, SERIES_FILE, SeriesIndexPool, WriterOptions};
use duramen_model::{Labels, Matcher};
use duramen_qos::Account;
use duramen_source::{Columns, Reads, SeriesRequest};

use crate::cost::{Counting, GetCounts};
use crate::fixture::{Series, collect, in_memory, key, open, request, sorted};

/// Opens the block with a pool of indexes, without its series file.
async fn with_pool(
    store: Arc<dyn object_store::ObjectStore>,
    stats: &duramen_model::BlockStats,
    pool: &Arc<SeriesIndexPool>,
) -> Arc<Block> {
    let options = OpenOptions {
        indexes: Some(Arc::clone(pool)),
        cost: GetCost {
            gap_bytes_max: 0,
            prefetch_bytes_max: 0,
            ..GetCost::default()
        },
        ..OpenOptions::default()
    };

    let reads = Reads::default();
    Block::open(store, key(), stats, options, &reads)
        .await
        .unwrap()
}

fn labels_only(matchers: Vec<Matcher>) -> SeriesRequest {
    SeriesRequest {
        columns: Columns::Labels,
        ..request(matchers)
    }
}

#[tokio::test]
async fn two_million_label_names_are_read_in_parts_and_not_indexed() {
    let make = |i: usize| {
        let names: Vec<String> = (0..200).map(|k| format!("n{:07}", i * 200 + k)).collect();
        let name = format!("m{i:05}");
        let pairs = names.iter().map(|name| (name.as_str(), "v"));
        let pairs: Vec<_> = pairs.chain([("__name__", name.as_str())]).collect();

        Series::new(&pairs, [(0, 1.0)])
    };

    let series: Vec<_> = (0..10_000).map(make).collect();
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let counting = Arc::new(Counting::new(store, GetCounts::default()));
    let pool = Arc::new(SeriesIndexPool::new(64 << 20));
    let block = with_pool(Arc::clone(&counting) as _, &stats, &pool).await;

    assert!(block.fences().len() > 4, "a row group has 4 MiB of labels");
    assert!(stats.meta_bytes < 10_000, "{}", stats.meta_bytes);

    let (_, opened) = counting.hook().count();
    let one = Matcher::equal("n1999999", "v");
    let found = collect(&block, &labels_only(vec![one])).await.unwrap();
    assert_eq!(found[0].labels, series[9999].labels);
    assert_eq!(pool.bytes(), 0);

    let (_, all) = counting.hook().count();
    let named = Matcher::equal("__name__", "m05000");
    let found = collect(&block, &labels_only(vec![named])).await.unwrap();
    assert_eq!(found[0].labels, series[5000].labels);

    let part = counting.hook().count().1 - all;
    assert!(part * 3 < all - opened, "{part} of {}", all - opened);
}

#[tokio::test]
async fn labels_of_a_megabyte_come_back_and_stay_out_of_meta() {
    let make = |i: usize| {
        let name = format!("metric_{i}");
        let long = format!("{i}{}", "x".repeat(1 << 20));
        Series::new(&[("__name__", &name), ("long", &long)], [(0, 1.0)])
    };

    let series = sorted((0..12).map(make).collect());
    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let block = open(store, &stats).await.unwrap();

    assert_eq!(collect(&block, &request(vec![])).await.unwrap(), series);
    assert!(stats.meta_bytes < 1000, "{}", stats.meta_bytes);

    assert_eq!(block.fences().len(), 4, "three of them fill a row group");
    assert!(block.fences().iter().all(|fence| fence.labels.is_none()));
}

#[tokio::test]
async fn a_series_table_larger_than_the_memory_for_it_is_read_from_its_file() {
    let make = |i: usize| {
        let number = format!("{i:05}");
        Series::new(&[("__name__", "m"), ("number", &number)], [(0, 1.0)])
    };

    let series: Vec<_> = (0..3000).map(make).collect();
    let options = WriterOptions {
        series_group_rows_max: 500,
        ..WriterOptions::default()
    };

    let (store, stats) = in_memory(&series, options).await;
    let account = Account::new(100_000);
    let pool = Arc::new(SeriesIndexPool::within(64 << 20, &account));
    let block = with_pool(store, &stats, &pool).await;

    for _ in 0..5 {
        assert_eq!(collect(&block, &request(vec![])).await.unwrap(), series);
        assert_eq!(pool.bytes(), 0);
    }
}

#[tokio::test]
async fn fences_are_the_first_series_of_row_groups() {
    let make = |i: i64| {
        let number = format!("{i:05}");
        let samples = (0..=i % 3).map(|t| (t, 1.0));
        Series::new(&[("__name__", "m"), ("number", &number)], samples)
    };

    let series: Vec<_> = (0..50).map(make).collect();
    let options = WriterOptions {
        series_group_rows_max: 20,
        ..WriterOptions::default()
    };

    let (store, stats) = in_memory(&series, options).await;
    let block = open(store, &stats).await.unwrap();
    let mut expected = Vec::new();

    for first in [0, 17, 34] {
        let before = &series[..first];
        let samples: usize = before.iter().map(|series| series.samples.len()).sum();
        expected.push((first as u64, samples as u64, series[first].labels.clone()));
    }

    let fences = block.fences().iter();
    let fences: Vec<(u64, u64, Labels)> = fences
        .map(|fence| {
            (
                fence.sref,
                fence.first_sample,
                fence.labels.clone().unwrap(),
            )
        })
        .collect();

    assert_eq!(fences, expected);
    assert!(stats.files.iter().any(|file| file.name == SERIES_FILE));
}
