//! When the series of a block are present, told without their samples.

use std::sync::Arc;

use duramen_block::{Block, GetCost, OpenOptions, SeriesIndexPool, WriterOptions};
use duramen_model::{BlockStats, STALE_NAN, TimeRange, is_stale};
use duramen_source::presence::presence;
use duramen_source::{Presence, PresenceBatch, Read, Reads, SeriesRequest, SeriesSource};
use futures::TryStreamExt;
use object_store::ObjectStore;
use proptest::prelude::*;

use crate::fixture::{Series, collect, in_memory, key, open, request, source};
use crate::round_trip::{series, small};
use crate::select::matcher;

/// Opens the block with an index, but without a cache of its extents.
async fn warm(store: Arc<dyn ObjectStore>, stats: &BlockStats) -> Arc<Block> {
    let options = OpenOptions {
        indexes: Some(Arc::new(SeriesIndexPool::new(1 << 20))),
        cost: GetCost {
            prefetch_bytes_max: 0,
            ..GetCost::default()
        },
        ..OpenOptions::default()
    };

    Block::open(store, key(), stats, options, &Reads::default())
        .await
        .unwrap()
}

async fn told(block: &Arc<Block>, request: &SeriesRequest) -> Option<Vec<PresenceBatch>> {
    let batches = source(block).presence(request, i64::MIN).await.unwrap()?;
    Some(batches.try_collect().await.unwrap())
}

/// What the samples say about a series at a time, with this look-back.
fn of_samples(samples: &[(i64, f64)], start_ms: i64, end_ms: i64) -> Presence {
    match samples.iter().rev().find(|(ts_ms, _)| *ts_ms <= end_ms) {
        Some((ts_ms, value)) if *ts_ms > start_ms && !is_stale(*value) => Presence::Present,
        _ => Presence::Absent,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_block_tells_what_its_samples_say(
        series in series(),
        requests in prop::collection::vec((prop::collection::vec(matcher(), 0..4), -50..50i64, 1..100i64), 8),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let (store, stats) = in_memory(&series, small()).await;
            let plain = open(Arc::clone(&store) as _, &stats).await.unwrap();
            let warm = warm(store, &stats).await;

            // The index is made at once for a request of the whole file.
            told(&warm, &request(vec![])).await;

            for (matchers, start, length) in requests {
                let range = TimeRange::new(start, start + length).unwrap();
                let request = SeriesRequest { range, ..request(matchers.clone()) };
                let found = collect(&plain, &request).await.unwrap();
                let told = told(&warm, &request).await.unwrap();
                let rows: Vec<_> = told.iter().flat_map(|batch| (0..batch.len()).map(move |row| (batch, row))).collect();
                prop_assert_eq!(found.len(), rows.len());

                for (has, (batch, row)) in found.iter().zip(rows) {
                    prop_assert_eq!(has.labels.encoded(), batch.labels_at(row));
                    let samples: Vec<_> = has.samples.iter().map(|(ts_ms, bits)| (*ts_ms, f64::from_bits(*bits))).collect();

                    for end_ms in start..start + length {
                        let is = presence(batch.traces_at(row), start - 1, end_ms);
                        let plain = of_samples(&samples, start - 1, end_ms);
                        prop_assert!(is == plain || is == Presence::Unknown, "{:?} {:?}", is, plain);
                    }
                }
            }

            Ok(())
        })?;
    }
}

#[tokio::test]
async fn samples_are_read_once_and_then_no_more() {
    let step = 15_000;
    let ts: Vec<i64> = (0..100).map(|i| i * step).collect();
    let end = 99 * step;

    let lasting = ts.iter().map(|ts_ms| (*ts_ms, 1.0));
    let ended = lasting.clone().map(|(ts_ms, value)| match ts_ms == end {
        true => (ts_ms, STALE_NAN),
        false => (ts_ms, value),
    });

    let series = [
        Series::new(&[("__name__", "ended")], ended),
        Series::new(&[("__name__", "lasting")], lasting),
    ];

    let (store, stats) = in_memory(&series, WriterOptions::default()).await;
    let block = warm(store, &stats).await;
    let asked = |start: i64, end: i64| SeriesRequest {
        range: TimeRange::new(start, end + 1).unwrap(),
        reads: Arc::default(),
        ..request(vec![])
    };

    let first = asked(end - 300_000, end);
    told(&block, &first).await.unwrap();
    assert!(first.reads.get(Read::Gets) > 0);

    for at in [end, end / 2, end + 10_000] {
        let later = asked(at - 300_000, at);
        let batches = told(&block, &later).await.unwrap();
        assert_eq!(later.reads.get(Read::Gets), 0);

        let is: Vec<_> = (0..2)
            .map(|row| presence(batches[0].traces_at(row), at - 300_000, at))
            .collect();

        let ended = if at >= end {
            Presence::Absent
        } else {
            Presence::Present
        };
        assert_eq!(is, [ended, Presence::Present], "at {at}");
    }
}
