//! The pieces of a batch are what was written, in order.

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

/// The labels, times, and bits of values of each series.
type Contents = Vec<(Vec<u8>, Vec<i64>, Vec<u64>)>;

/// Returns what a selection of `series` has to find.
fn within(series: &[Series], range: TimeRange, matchers: &[Matcher]) -> Contents {
    let passes = |series: &&Series| {
        let value = |name: &str| series.labels.get(name).unwrap_or("").to_owned();
        matchers.iter().all(|m| m.matches(&value(&m.name)))
    };

    let contents = |series: &Series| {
        let within = series
            .samples
            .iter()
            .filter(|(ts_ms, _)| range.contains(*ts_ms));
        let (ts, bits) = within.copied().unzip();
        (series.labels.encoded().to_vec(), ts, bits)
    };

    // A series whose span touches the range is there, even if none of its samples is in it.
    let touches = |series: &&Series| {
        let (first, last) = (
            series.samples[0].0,
            series.samples[series.samples.len() - 1].0,
        );
        first < range.end_ms() && last >= range.start_ms()
    };

    series
        .iter()
        .filter(passes)
        .filter(touches)
        .map(contents)
        .collect()
}

fn contents(batches: &[SeriesBatch]) -> Contents {
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
    let series = many();
    let (store, stats) = in_memory(&series, options).await;
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

                let undecoded = source(&block).select_undecoded(&asked).await.unwrap();
                let undecoded: Vec<_> = undecoded.try_collect().await.unwrap();
                let mut all = Vec::new();
                let mut most = 0;

                for mut undecoded in undecoded {
                    let mut pieces = Vec::new();
                    while let Some(piece) = undecoded.next_piece() {
                        pieces.push(piece.unwrap());
                    }

                    let series = pieces.iter().map(SeriesBatch::len).sum::<usize>();
                    assert_eq!(undecoded.series(), series);

                    let ends = pieces.iter().filter(|piece| !piece.goes_on()).count();
                    assert_eq!(ends, 1);
                    most = most.max(pieces.len());
                    assert!(pieces.iter().all(|piece| piece.floats() <= 32 << 10));
                    all.extend(pieces);
                }

                let expected = within(&series, range, &matchers);
                assert_eq!(contents(&all), expected, "{range:?}");

                let decoded = source(&block).select(&asked).await.unwrap();
                let decoded: Vec<_> = decoded.try_collect().await.unwrap();
                assert!(decoded.iter().all(|batch| !batch.goes_on()));
                assert_eq!(contents(&decoded), expected);

                assert!(most > 1, "no batch came in pieces");
            }
        }
    }
}
