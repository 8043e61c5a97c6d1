//! Rows of rollups through a block.

use std::path::Path;
use std::sync::Arc;

use duramen_block::{BlockSource, BlockWriter, SeriesContents, WriterOptions};
use duramen_model::{BlockStats, Labels, Matcher, STALE_NAN};
use duramen_source::SeriesSource;
use duramen_source::rollup::RowParts;
use duramen_source::rollup::row::{RollupRow, roll_floats};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use proptest::prelude::*;

use crate::fixture::{disk, key, names, open, request};

const MINUTES: i64 = 300_000;

fn labels(series: usize) -> Labels {
    Labels::from_pairs([("__name__", "m_total"), ("s", &format!("{series:04}"))]).unwrap()
}

fn rolled(ts: &[i64], values: &[f64]) -> Vec<RollupRow> {
    let mut rows = Vec::new();
    roll_floats(ts, values, MINUTES, &mut rows);
    rows
}

fn write(dir: &Path, series: &[Vec<RollupRow>]) -> BlockStats {
    let mut writer = BlockWriter::create(&disk(), dir, WriterOptions::window(86_400_000)).unwrap();

    for (number, rows) in series.iter().enumerate() {
        let contents = SeriesContents::rollups(rows);
        writer.push(&labels(number), &contents).unwrap();
    }

    writer.finish().unwrap()
}

async fn read(dir: &Path, stats: &BlockStats, matchers: Vec<Matcher>) -> Vec<Vec<RollupRow>> {
    let store = Arc::new(InMemory::new());
    for name in names(stats) {
        let bytes = std::fs::read(dir.join(&name)).unwrap();
        store.put(&key().join(name), bytes.into()).await.unwrap();
    }

    let block = open(store, stats).await.unwrap();
    block.verify().await.unwrap();

    let stream = BlockSource::new(block).rollup_stream(&request(matchers), RowParts::ALL);
    let batches: Vec<_> = stream.try_collect().await.unwrap();

    let series = batches.iter().flat_map(|batch| batch.series());
    series.map(|(_, rows)| rows.to_vec()).collect()
}

/// Compares rows: all but the sum must have the same bits.
fn assert_equal(read: &[RollupRow], written: &[RollupRow]) {
    assert_eq!(read.len(), written.len());

    for (read, written) in read.iter().zip(written) {
        let far = (read.sum - written.sum).abs() > written.sum.abs() * 1e-15;
        assert!(!far, "{} in place of {}", read.sum, written.sum);

        // A NaN is no equal of itself, but its text is.
        let without_sum = |row: &RollupRow| format!("{:?}", RollupRow { sum: 0.0, ..*row });
        assert_eq!(without_sum(read), without_sum(written));
        assert_eq!(read.sum.is_nan(), written.sum.is_nan());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_written_is_read(
        series in prop::collection::vec(
            prop::collection::vec((1i64..200_000, prop_oneof![
                4 => (-1_000i64..100_000).prop_map(|n| n as f64),
                2 => (-1_000i64..100_000).prop_map(|n| n as f64 / 100.0),
                1 => any::<f64>().prop_map(|value| value % 1e12),
                1 => Just(STALE_NAN),
                1 => Just(f64::INFINITY),
                1 => Just(-0.0),
            ]), 1..60),
            1..8,
        )
    ) {
        let all: Vec<Vec<RollupRow>> = series
            .iter()
            .map(|samples| {
                let mut at = 0;
                let times = samples.iter().map(|(gap, _)| {
                    at += gap;
                    at
                });
                let ts: Vec<i64> = times.collect();
                let values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
                rolled(&ts, &values)
            })
            .collect();

        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("block");
        let stats = write(&dir, &all);
        prop_assert_eq!(stats.samples, all.iter().map(|rows| rows.len() as u64).sum::<u64>());

        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let back = runtime.block_on(read(&dir, &stats, vec![]));
        prop_assert_eq!(back.len(), all.len());

        for (read, written) in back.iter().zip(&all) {
            assert_equal(read, written);
        }
    }
}

#[tokio::test]
async fn one_series_is_read_alone() {
    let all: Vec<_> = (0..50)
        .map(|series| {
            let ts: Vec<i64> = (1..2_000).map(|at| at * 15_000).collect();
            let values: Vec<f64> = (1..2_000).map(|at| f64::from(at * (series + 1))).collect();
            rolled(&ts, &values)
        })
        .collect();

    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("block");
    let stats = write(&dir, &all);

    let found = read(&dir, &stats, vec![Matcher::equal("s", "0007")]).await;
    assert_eq!(found.len(), 1);
    assert_equal(&found[0], &all[7]);
}

/// A block of samples has no rollups, and one of rollups no samples.
#[tokio::test]
async fn a_block_has_samples_or_rollups() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("block");
    let stats = write(&dir, &[rolled(&[1, 2], &[1.0, 2.0])]);

    let mut writer = BlockWriter::in_memory(WriterOptions::default());
    let rows = rolled(&[1, 2], &[1.0, 2.0]);
    writer
        .push(&labels(0), &SeriesContents::rollups(&rows))
        .unwrap();
    let samples = SeriesContents::floats(&[1], &[1.0]);
    let error = writer.push(&labels(1), &samples).unwrap_err();
    assert!(
        error.to_string().contains("either samples or buckets"),
        "{error}"
    );

    let store = Arc::new(InMemory::new());
    for name in names(&stats) {
        let bytes = std::fs::read(dir.join(&name)).unwrap();
        store.put(&key().join(name), bytes.into()).await.unwrap();
    }

    let block = open(store, &stats).await.unwrap();
    let stream = BlockSource::new(block)
        .select(&request(vec![]))
        .await
        .unwrap();
    let error = stream.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(error.to_string().contains("block="), "{error}");
}

/// What a row takes: counters that are scraped each 15 s, and gauges of two digits.
#[test]
fn rows_are_small() {
    let mut state = 7u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };

    let mut all = Vec::new();
    let mut samples = 0;

    for series in 0..200u64 {
        let ts: Vec<i64> = (0..5_760)
            .map(|at| at * 15_000 + 7_000 + i64::from(random(50) == 0) * 5)
            .collect();

        let mut counter = 0;
        let values: Vec<f64> = ts
            .iter()
            .map(|_| match series % 2 {
                0 => {
                    counter += random(120);
                    counter as f64
                }
                _ => random(10_000) as f64 / 100.0,
            })
            .collect();

        samples += ts.len();
        all.push(rolled(&ts, &values));
    }

    let dir = tempfile::tempdir().unwrap();
    let stats = write(&dir.path().join("block"), &all);
    let of_sample = stats.bytes() as f64 / samples as f64;
    let of_row = stats.bytes() as f64 / stats.samples as f64;

    println!("rollups of 5m: {of_sample:.3} B a sample, {of_row:.2} B a row");
    assert!(of_sample < 0.55);
}
