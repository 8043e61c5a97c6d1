//! A batch that its receiver decodes in pieces is the batch that the block would decode.

use duramen_block::WriterOptions;
use duramen_model::{Matcher, TimeRange};
use duramen_source::{SeriesBatch, SeriesRequest, SeriesSource};
use futures::TryStreamExt;

use crate::fixture::{Series, in_memory, open, request, sorted, source};

/// More samples than two pieces and two pages of times have.
const SERIES: i64 = 40;
const SAMPLES: i64 = 5000;

/// Counters, decimals and floats. Times deviate, and every third series begins late.
fn many() -> Vec<Series> {
    let series = |at: i64| {
        let value = move |i: i64| match at % 3 {
            0 => (i * 7 % 1000) as f64,
            1 => (i * at % 500) as f64 / 100.0,
            _ => (i as f64 / 7.0).sin(),
        };

        let name = format!("{at:03}");
        let pairs = [
            ("name", name.as_str()),
            ("odd", if at % 2 == 0 { "0" } else { "1" }),
        ];
        let first = if at % 3 == 0 { SAMPLES / 2 } else { 0 };
        let samples = first..SAMPLES;
        Series::new(&pairs, samples.map(|i| (i * 15 + i * at % 3, value(i))))
    };

    sorted((0..SERIES).map(series).collect())
}

/// Returns times, and the bits of values, of each series.
fn contents(batches: &[SeriesBatch]) -> Vec<(Vec<u8>, Vec<i64>, Vec<u64>)> {
    let series = |batch: &SeriesBatch, row| {
        let (ts, values) = batch.samples_at(row);
        let bits = values.iter().map(|value| value.to_bits());
        (batch.labels_at(row).to_vec(), ts.to_vec(), bits.collect())
    };

    batches
        .iter()
        .flat_map(|batch| (0..batch.len()).map(|row| series(batch, row)))
        .collect()
}

#[tokio::test]
async fn pieces_are_the_batch_in_order() {
    let options = WriterOptions {
        row_group_rows_max: 70_000,
        ..WriterOptions::default()
    };
    let (store, stats) = in_memory(&many(), options).await;
    let block = open(store, &stats).await.unwrap();

    for range in [
        TimeRange::ALL,
        TimeRange::new(60_000, 64_000).unwrap(),
        TimeRange::new(10, 40_000).unwrap(),
    ] {
        for matchers in [vec![], vec![Matcher::equal("odd", "1")]] {
            for batch_series_max in [1000, 15] {
                let asked = SeriesRequest {
                    range,
                    batch_series_max,
                    ..request(matchers.clone())
                };

                let whole = source(&block).select(&asked).await.unwrap();
                let whole: Vec<_> = whole.try_collect().await.unwrap();

                let undecoded = source(&block).select_undecoded(&asked).await.unwrap();
                let undecoded: Vec<_> = undecoded.try_collect().await.unwrap();
                assert_eq!(undecoded.len(), whole.len());
                let mut most = 0;

                for (whole, mut undecoded) in whole.into_iter().zip(undecoded) {
                    assert_eq!(undecoded.series(), whole.len());

                    let mut pieces = Vec::new();
                    while let Some(piece) = undecoded.next_piece() {
                        pieces.push(piece.unwrap());
                    }

                    let ends = pieces.iter().filter(|piece| !piece.goes_on()).count();
                    assert_eq!(ends, 1);
                    most = most.max(pieces.len());
                    assert!(pieces.iter().all(|piece| piece.floats() <= 32 << 10));
                    assert_eq!(contents(&pieces), contents(&[whole]), "{range:?}");
                }

                assert!(most > 1, "no batch came in pieces");
            }
        }
    }
}
