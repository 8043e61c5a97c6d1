//! Reads `rollups.parquet`: the rows of the series that a request finds.

use std::sync::Arc;

use arrow::array::{
    Array, Float64Array, Int8Array, Int64Array, RecordBatch, TimestampMillisecondArray,
};
use duramen_source::rollup::RowParts;
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
    parts: RowParts,
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
                fetch(&block, &batch, &request, parts).await
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
    parts: RowParts,
) -> Result<RollupBatch, Error> {
    let ranges = batch.rows.iter().map(|rows| rows.samples.clone());
    let Some((file, groups)) = groups_of(block, block.rollups.as_ref(), ranges)? else {
        return Ok(RollupBatch::default());
    };

    let weight = batch.rows.iter().map(SeriesRows::weight).sum::<u64>();
    let rows_max = usize::try_from(weight).unwrap_or(usize::MAX);
    let bytes = rows_max.saturating_mul(size_of::<RollupRow>());
    let memory = select::reserve_bytes(block, request, bytes)?;

    let bytes = file.fetch_groups(&groups, &request.reads).await?;
    let mut rows = Vec::with_capacity(rows_max);
    let columns = columns(parts);
    file.decode_columns(&bytes, &groups, &columns, |batch| {
        append(batch, parts, &mut rows)
    })?;

    // A row for each that the series file promises, or the file is damaged.
    if rows.len() != rows_max {
        return Err(block.malformed_series("a series points at rows that are not there"));
    }

    let mut end = 0;
    let ends = batch.rows.iter().enumerate().map(|(series, of_series)| {
        let length = of_series.samples.end - of_series.samples.start;
        end += usize::try_from(length).unwrap_or(usize::MAX);
        (batch.labels.value(series), end)
    });

    Ok(RollupBatch::of_rows(rows, ends).holding(memory))
}

/// The columns that have these parts.
fn columns(parts: RowParts) -> Vec<&'static str> {
    let always = [
        "ts",
        "count",
        "first_ts",
        "last_ts",
        "before_last_ts",
        "exponent",
        "histograms",
    ];

    let mut columns = always.to_vec();
    let mut add = |is_wanted: bool, more: &[&'static str]| {
        columns.extend(more.iter().filter(|_| is_wanted));
    };

    // Extremes are the ends where they have no value of their own.
    let ends = parts.ends || parts.extremes;
    add(ends, &["first_int", "first", "last_int", "last"]);
    add(parts.extremes, &["min_int", "min", "max_int", "max"]);
    add(parts.sum, &["sum_int", "sum"]);
    add(parts.corrections, &["corrections_int", "corrections"]);
    add(parts.steps, &["resets", "changes"]);
    add(parts.stale, &["stale_ts"]);
    columns
}

/// Appends all rows of `batch`, column by column.
fn append(batch: &RecordBatch, parts: RowParts, out: &mut Vec<RollupRow>) -> Decoded<()> {
    let start = out.len();
    let ends: &TimestampMillisecondArray = column(batch, "ts")?;
    let row = |end_ms: &i64| RollupRow {
        end_ms: *end_ms,
        ..RollupRow::default()
    };
    out.extend(ends.values().iter().map(row));
    let rows = &mut out[start..];

    put_counts(batch, "count", rows, |row| &mut row.count)?;
    put_counts(batch, "histograms", rows, |row| &mut row.histograms)?;
    put_needed(batch, "first_ts", rows, |row, ts_ms| row.first_ms = ts_ms)?;
    put_needed(batch, "last_ts", rows, |row, ts_ms| row.last_ms = ts_ms)?;
    put_times(batch, "before_last_ts", rows, |row, ts_ms| {
        row.before_last_ms = Some(ts_ms);
    })?;

    let exponents: &Int8Array = column(batch, "exponent")?;
    let exponents = exponents.values();
    let is_beyond = |exponent: &i8| exponent.cast_unsigned() > EXPONENT_MAX;
    if exponents.iter().any(is_beyond) {
        return Err(malformed("an exponent is beyond 22"));
    }

    if parts.ends || parts.extremes {
        let values = Values::of(batch, "first_int", "first", exponents)?;
        values.put_needed(rows, |row, value| row.first = value)?;
        let values = Values::of(batch, "last_int", "last", exponents)?;
        values.put_needed(rows, |row, value| row.last = value)?;
    }

    if parts.extremes {
        for row in &mut *rows {
            row.min = row.first;
            row.max = row.last;
        }

        let values = Values::of(batch, "min_int", "min", exponents)?;
        values.put(rows, |row, value| row.min = value)?;
        let values = Values::of(batch, "max_int", "max", exponents)?;
        values.put(rows, |row, value| row.max = value)?;
    }

    if parts.sum {
        let values = Values::of(batch, "sum_int", "sum", exponents)?;
        values.put_needed(rows, |row, value| row.sum = value)?;
    }

    if parts.corrections {
        let values = Values::of(batch, "corrections_int", "corrections", exponents)?;
        values.put(rows, |row, value| row.corrections = value)?;
    }

    if parts.steps {
        put_counts(batch, "resets", rows, |row| &mut row.resets)?;
        put_counts(batch, "changes", rows, |row| &mut row.changes)?;
    }

    if parts.stale {
        put_times(batch, "stale_ts", rows, |row, ts_ms| {
            row.stale_ms = Some(ts_ms);
        })?;
    }

    Ok(())
}

fn put_counts(
    batch: &RecordBatch,
    name: &str,
    rows: &mut [RollupRow],
    place: impl Fn(&mut RollupRow) -> &mut u64,
) -> Decoded<()> {
    let counts: &Int64Array = column(batch, name)?;

    for (row, count) in rows.iter_mut().zip(counts.values()) {
        let count = u64::try_from(*count);
        *place(row) = count.map_err(|_| malformed("a number of samples is negative"))?;
    }

    Ok(())
}

/// Puts the times of a column into the rows that have one.
fn put_times(
    batch: &RecordBatch,
    name: &str,
    rows: &mut [RollupRow],
    put: impl Fn(&mut RollupRow, i64),
) -> Decoded<()> {
    let times: &TimestampMillisecondArray = column(batch, name)?;

    if times.null_count() == times.len() {
        return Ok(());
    }

    for (at, (row, ts_ms)) in rows.iter_mut().zip(times.values()).enumerate() {
        if times.is_valid(at) {
            put(row, *ts_ms);
        }
    }

    Ok(())
}

/// Puts the times of a column into the rows, of which each with floats must have one.
fn put_needed(
    batch: &RecordBatch,
    name: &str,
    rows: &mut [RollupRow],
    put: impl Fn(&mut RollupRow, i64),
) -> Decoded<()> {
    let times: &TimestampMillisecondArray = column(batch, name)?;

    for (at, (row, ts_ms)) in rows.iter_mut().zip(times.values()).enumerate() {
        if row.count == 0 {
            continue;
        }
        if times.is_null(at) {
            return Err(malformed("a bucket lacks a time"));
        }

        put(row, *ts_ms);
    }

    Ok(())
}

/// One number of each row: as an integer, as a float, or none.
struct Values<'a> {
    integers: &'a Int64Array,
    floats: &'a Float64Array,
    exponents: &'a [i8],
}

impl<'a> Values<'a> {
    fn of(
        batch: &'a RecordBatch,
        integers: &str,
        floats: &str,
        exponents: &'a [i8],
    ) -> Decoded<Self> {
        Ok(Self {
            integers: column(batch, integers)?,
            floats: column(batch, floats)?,
            exponents,
        })
    }

    fn get(&self, at: usize) -> Decoded<Option<f64>> {
        match (self.integers.is_valid(at), self.floats.is_valid(at)) {
            (true, true) => Err(malformed("a number is both an integer and a float")),
            (true, false) => {
                let exponent = i32::from(self.exponents[at]);
                Ok(Some(unscaled(self.integers.value(at), exponent)))
            }
            (false, true) => Ok(Some(self.floats.value(at))),
            (false, false) => Ok(None),
        }
    }

    /// Whether no row has a value.
    fn is_empty(&self) -> bool {
        self.integers.null_count() == self.integers.len()
            && self.floats.null_count() == self.floats.len()
    }

    /// Puts the values into the rows that have one.
    fn put(&self, rows: &mut [RollupRow], put: impl Fn(&mut RollupRow, f64)) -> Decoded<()> {
        if self.is_empty() {
            return Ok(());
        }

        for (at, row) in rows.iter_mut().enumerate() {
            if row.count == 0 {
                continue;
            }
            if let Some(value) = self.get(at)? {
                put(row, value);
            }
        }

        Ok(())
    }

    /// Puts the values into the rows, of which each with floats must have one.
    fn put_needed(&self, rows: &mut [RollupRow], put: impl Fn(&mut RollupRow, f64)) -> Decoded<()> {
        for (at, row) in rows.iter_mut().enumerate() {
            if row.count == 0 {
                continue;
            }

            let value = self.get(at)?;
            put(
                row,
                value.ok_or_else(|| malformed("a bucket lacks a value"))?,
            );
        }

        Ok(())
    }
}

fn malformed(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}
