//! Reads `rollups.parquet`: the rows of the series that a request finds.

use std::sync::Arc;

use arrow::array::{
    Array, Float64Array, Int8Array, Int64Array, RecordBatch, TimestampMillisecondArray,
};
use duramen_source::rollup::batch::{BATCH_ROWS, RollupBatch};
use duramen_source::rollup::row::RollupRow;
use duramen_source::{Read, SeriesRequest};
use futures::{Stream, StreamExt, stream};
use parquet::errors::{ParquetError, Result as Decoded};

use crate::error::Error;
use crate::layout::decimal::{EXPONENT_MAX, unscaled};
use crate::layout::rows::SeriesRows;
use crate::read::batch::{Batch, groups_of};
use crate::read::block::Block;
use crate::read::record_batch::column;
use crate::read::select::{self, READ_AHEAD, stop_at_error};
use crate::series::file::SeriesFile;

/// Returns the rows of the series of `block` that pass, in the order of the block. `file` is its
/// series file. The next batch is fetched while one is in use.
pub(crate) fn stream(
    block: Arc<Block>,
    file: Arc<SeriesFile>,
    request: SeriesRequest,
) -> impl Stream<Item = Result<RollupBatch, Error>> + Send {
    let request = Arc::new(SeriesRequest {
        batch_series_max: BATCH_ROWS,
        ..request
    });
    request.reads.add(Read::Series, block.stats.series);

    let size = select::BatchSize::of_rows(BATCH_ROWS);
    let found = select::found(Arc::clone(&block), file, Arc::clone(&request), size);

    let batches = stream::once(found)
        .flatten()
        .map(move |batch| {
            let block = Arc::clone(&block);
            let request = Arc::clone(&request);

            async move {
                let batch = batch?;
                let series = batch.rows.len() as u64;
                request.reads.add(Read::SeriesFound, series);
                fetch(&block, &batch, &request).await
            }
        })
        .buffered(READ_AHEAD);

    stop_at_error(batches)
}

/// Gets and decodes the rows of one batch of series.
async fn fetch(
    block: &Block,
    batch: &Batch,
    request: &SeriesRequest,
) -> Result<RollupBatch, Error> {
    let ranges = batch.rows.iter().map(|rows| rows.samples.clone());
    let Some((file, groups)) = groups_of(block, block.rollups.as_ref(), ranges)? else {
        return Ok(RollupBatch::default());
    };

    let weight = batch.rows.iter().map(SeriesRows::weight).sum::<u64>();
    let rows_max = usize::try_from(weight).unwrap_or(usize::MAX);
    let bytes = rows_max.saturating_mul(size_of::<RollupRow>());
    let _reserved = select::reserve_bytes(block, request, bytes)?;

    let bytes = file.fetch_groups(&groups, &request.reads).await?;
    let mut rows = Vec::with_capacity(rows_max);
    file.decode(&bytes, &groups, |batch| append(batch, &mut rows))?;

    let mut rows = rows.into_iter();
    let mut out = RollupBatch::default();

    for (series, of_series) in batch.rows.iter().enumerate() {
        let length = of_series.samples.end - of_series.samples.start;
        let length = usize::try_from(length).unwrap_or(usize::MAX);

        out.rows_mut().extend(rows.by_ref().take(length));
        out.end_series(batch.labels.value(series));
    }

    Ok(out)
}

/// Appends all rows of `batch`.
fn append(batch: &RecordBatch, out: &mut Vec<RollupRow>) -> Decoded<()> {
    let columns = Columns::of(batch)?;

    for row in 0..batch.num_rows() {
        out.push(columns.row(row)?);
    }

    Ok(())
}

struct Columns<'a> {
    ts: &'a TimestampMillisecondArray,
    count: &'a Int64Array,
    first_ts: &'a TimestampMillisecondArray,
    last_ts: &'a TimestampMillisecondArray,
    before_last_ts: &'a TimestampMillisecondArray,
    stale_ts: &'a TimestampMillisecondArray,
    exponent: &'a Int8Array,
    first: Values<'a>,
    last: Values<'a>,
    min: Values<'a>,
    max: Values<'a>,
    sum: Values<'a>,
    corrections: Values<'a>,
    resets: &'a Int64Array,
    changes: &'a Int64Array,
    histograms: &'a Int64Array,
}

/// One number of each row: as an integer, as a float, or none.
struct Values<'a> {
    integers: &'a Int64Array,
    floats: &'a Float64Array,
}

impl<'a> Values<'a> {
    fn of(batch: &'a RecordBatch, integers: &str, floats: &str) -> Decoded<Self> {
        Ok(Self {
            integers: column(batch, integers)?,
            floats: column(batch, floats)?,
        })
    }

    fn get(&self, row: usize, exponent: i32) -> Decoded<Option<f64>> {
        let has_integer = self.integers.is_valid(row);
        let has_float = self.floats.is_valid(row);

        match (has_integer, has_float) {
            (true, true) => Err(malformed("a number is both an integer and a float")),
            (true, false) => Ok(Some(unscaled(self.integers.value(row), exponent))),
            (false, true) => Ok(Some(self.floats.value(row))),
            (false, false) => Ok(None),
        }
    }
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Decoded<Self> {
        let values = |integers, floats| Values::of(batch, integers, floats);

        Ok(Self {
            ts: column(batch, "ts")?,
            count: column(batch, "count")?,
            first_ts: column(batch, "first_ts")?,
            last_ts: column(batch, "last_ts")?,
            before_last_ts: column(batch, "before_last_ts")?,
            stale_ts: column(batch, "stale_ts")?,
            exponent: column(batch, "exponent")?,
            first: values("first_int", "first")?,
            last: values("last_int", "last")?,
            min: values("min_int", "min")?,
            max: values("max_int", "max")?,
            sum: values("sum_int", "sum")?,
            corrections: values("corrections_int", "corrections")?,
            resets: column(batch, "resets")?,
            changes: column(batch, "changes")?,
            histograms: column(batch, "histograms")?,
        })
    }

    fn row(&self, row: usize) -> Decoded<RollupRow> {
        let exponent = self.exponent.value(row);
        if exponent.cast_unsigned() > EXPONENT_MAX {
            return Err(malformed("an exponent is beyond 22"));
        }

        let exponent = i32::from(exponent);
        let counted = |column: &Int64Array| {
            u64::try_from(column.value(row))
                .map_err(|_| malformed("a number of samples is negative"))
        };
        let time =
            |column: &TimestampMillisecondArray| column.is_valid(row).then(|| column.value(row));

        let count = counted(self.count)?;
        let common = RollupRow {
            end_ms: self.ts.value(row),
            stale_ms: time(self.stale_ts),
            histograms: counted(self.histograms)?,
            ..RollupRow::default()
        };

        if count == 0 {
            return Ok(common);
        }

        let needed = |value: Option<f64>| value.ok_or_else(|| malformed("a bucket lacks a value"));
        let at = |time: Option<i64>| time.ok_or_else(|| malformed("a bucket lacks a time"));

        let first = needed(self.first.get(row, exponent)?)?;
        let last = needed(self.last.get(row, exponent)?)?;

        Ok(RollupRow {
            count,
            sum: needed(self.sum.get(row, exponent)?)?,
            min: self.min.get(row, exponent)?.unwrap_or(first),
            max: self.max.get(row, exponent)?.unwrap_or(last),
            first,
            last,
            first_ms: at(time(self.first_ts))?,
            last_ms: at(time(self.last_ts))?,
            before_last_ms: time(self.before_last_ts),
            corrections: self.corrections.get(row, exponent)?.unwrap_or(0.0),
            resets: counted(self.resets)?,
            changes: counted(self.changes)?,
            ..common
        })
    }
}

fn malformed(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}
