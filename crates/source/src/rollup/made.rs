//! Rows that are made of the samples of a source while they are read.

use duramen_model::TimeRange;
use futures::{StreamExt, TryStreamExt};

use crate::answer::SeriesStream;
use crate::batch::SeriesBatch;
use crate::rollup::RollupStream;
use crate::rollup::batch::RollupBatch;
use crate::rollup::row::{RollupRow, roll, roll_floats};

/// Returns the rows of the samples in `range`.
pub fn made(samples: SeriesStream, range: TimeRange, resolution_ms: i64) -> RollupStream {
    samples
        .map_ok(move |batch| roll_batch(&batch, range, resolution_ms))
        .boxed()
}

/// Returns the rows of the samples of a batch in `range`.
pub fn roll_batch(batch: &SeriesBatch, range: TimeRange, resolution_ms: i64) -> RollupBatch {
    let mut rolled = RollupBatch::default();

    for series in 0..batch.len() {
        append(batch, series, range, resolution_ms, rolled.rows_mut());
        rolled.end_series(batch.labels_at(series));
    }

    rolled
}

/// Appends the rows of the samples of a series in `range`.
fn append(
    batch: &SeriesBatch,
    series: usize,
    range: TimeRange,
    resolution_ms: i64,
    rows: &mut Vec<RollupRow>,
) {
    if batch.histograms_at(series).len() > 0 {
        // Rows with histograms are of no use, so a few more of them do no harm.
        roll(batch, series, resolution_ms, rows);
        return;
    }

    let (ts, values) = batch.samples_at(series);
    let start = ts.partition_point(|ts_ms| *ts_ms < range.start_ms());
    let end = ts.partition_point(|ts_ms| *ts_ms < range.end_ms());

    roll_floats(&ts[start..end], &values[start..end], resolution_ms, rows);
}
