//! Decodes `histograms.parquet` into histograms in their byte form.

use std::ops::Range;

use arrow::array::{
    Array, BinaryArray, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMillisecondArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use duramen_model::{Counts, Histogram, Span};
use duramen_source::Lives;
use parquet::errors::{ParquetError, Result};

use crate::layout::reset_hint;
use crate::read::record_batch::column;

/// The histograms of one batch, in the order of the file.
#[derive(Debug)]
pub(crate) struct Histograms {
    pub(crate) ts: Vec<i64>,
    starts: Vec<i64>,
    ttls: Vec<i64>,
    bytes: Vec<u8>,
    ends: Vec<i32>,
}

impl Default for Histograms {
    fn default() -> Self {
        Self {
            ts: Vec::new(),
            starts: Vec::new(),
            ttls: Vec::new(),
            bytes: Vec::new(),
            ends: vec![0],
        }
    }
}

impl Histograms {
    /// Appends all rows of `batch`.
    pub(crate) fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = Columns::of(batch)?;
        let starts: &TimestampMillisecondArray = column(batch, "start_ts")?;
        let ttls: &Int64Array = column(batch, "ttl")?;

        self.ts
            .extend_from_slice(column::<TimestampMillisecondArray>(batch, "ts")?.values());
        self.starts
            .extend(starts.iter().map(Option::unwrap_or_default));
        self.ttls.extend(ttls.iter().map(Option::unwrap_or_default));

        for row in 0..batch.num_rows() {
            self.bytes
                .extend_from_slice(&columns.histogram(row)?.to_bytes());

            let too_many =
                |_| ParquetError::General("the histograms of a batch have 2^31 bytes".to_owned());
            self.ends
                .push(i32::try_from(self.bytes.len()).map_err(too_many)?);
        }

        Ok(())
    }

    /// Returns the columns for a batch of series. `offsets` are those of
    /// [`duramen_source::Histograms`].
    pub(crate) fn into_columns(self, offsets: Vec<i32>) -> duramen_source::Histograms {
        let Self {
            ts,
            starts,
            ttls,
            bytes,
            ends,
        } = self;

        let unless_empty = |all: Vec<i64>| all.iter().any(|value| *value != 0).then_some(all);
        let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
        let bytes = BinaryArray::new(ends, Buffer::from_vec(bytes), None);

        duramen_source::Histograms {
            offsets,
            ts,
            bytes,
            lives: Lives {
                starts: unless_empty(starts),
                ttls: unless_empty(ttls),
            },
        }
    }
}

struct Columns<'a> {
    schema: &'a Int32Array,
    hint: &'a StringArray,
    sum: &'a Float64Array,
    zero_threshold: &'a Float64Array,
    count_int: &'a Int64Array,
    zero_count_int: &'a Int64Array,
    count: &'a Float64Array,
    zero_count: &'a Float64Array,
    positive_spans: &'a ListArray,
    negative_spans: &'a ListArray,
    positive_deltas: &'a ListArray,
    negative_deltas: &'a ListArray,
    positive_counts: &'a ListArray,
    negative_counts: &'a ListArray,
    custom_values: &'a ListArray,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self> {
        Ok(Self {
            schema: column(batch, "schema")?,
            hint: column(batch, "hint")?,
            sum: column(batch, "sum")?,
            zero_threshold: column(batch, "zero_threshold")?,
            count_int: column(batch, "count_int")?,
            zero_count_int: column(batch, "zero_count_int")?,
            count: column(batch, "count")?,
            zero_count: column(batch, "zero_count")?,
            positive_spans: column(batch, "positive_spans")?,
            negative_spans: column(batch, "negative_spans")?,
            positive_deltas: column(batch, "positive_deltas")?,
            negative_deltas: column(batch, "negative_deltas")?,
            positive_counts: column(batch, "positive_counts")?,
            negative_counts: column(batch, "negative_counts")?,
            custom_values: column(batch, "custom_values")?,
        })
    }

    fn histogram(&self, row: usize) -> Result<Histogram> {
        let hint = reset_hint::named(self.hint.value(row));
        Ok(Histogram {
            schema: self.schema.value(row),
            hint: hint.ok_or_else(|| {
                ParquetError::General("a reset hint has no known name".to_owned())
            })?,
            sum: self.sum.value(row),
            zero_threshold: self.zero_threshold.value(row),
            counts: self.counts(row)?,
            positive_spans: spans(self.positive_spans, row)?,
            negative_spans: spans(self.negative_spans, row)?,
            custom_values: floats(self.custom_values, row)?,
        })
    }

    fn counts(&self, row: usize) -> Result<Counts> {
        let integer = self.count_int.is_valid(row) && self.zero_count_int.is_valid(row);
        let float = self.count.is_valid(row) && self.zero_count.is_valid(row);

        match (integer, float) {
            (true, false) => Ok(Counts::Integer {
                count: self.count_int.value(row).cast_unsigned(),
                zero_count: self.zero_count_int.value(row).cast_unsigned(),
                positive: integers(self.positive_deltas, row)?,
                negative: integers(self.negative_deltas, row)?,
            }),
            (false, true) => Ok(Counts::Float {
                count: self.count.value(row),
                zero_count: self.zero_count.value(row),
                positive: floats(self.positive_counts, row)?,
                negative: floats(self.negative_counts, row)?,
            }),
            _ => Err(ParquetError::General(
                "a histogram has both families of counts, or neither".to_owned(),
            )),
        }
    }
}

/// Returns the elements of the list in `row`: an array, and their range in it.
fn elements<T: Array + 'static>(list: &ListArray, row: usize) -> Result<(&T, Range<usize>)> {
    let other = || {
        ParquetError::General("a list has elements of another type than the format says".to_owned())
    };
    let elements = list.values().as_any().downcast_ref().ok_or_else(other)?;
    let at = |i: usize| usize::try_from(list.value_offsets()[i]).map_err(|_| other());

    Ok((elements, at(row)?..at(row + 1)?))
}

fn integers(list: &ListArray, row: usize) -> Result<Vec<i64>> {
    let (elements, range) = elements::<Int64Array>(list, row)?;
    Ok(elements.values()[range].to_vec())
}

fn floats(list: &ListArray, row: usize) -> Result<Vec<f64>> {
    let (elements, range) = elements::<Float64Array>(list, row)?;
    Ok(elements.values()[range].to_vec())
}

fn spans(list: &ListArray, row: usize) -> Result<Vec<Span>> {
    let (elements, range) = elements::<StructArray>(list, row)?;
    let parts = elements.columns();
    let offsets = parts
        .first()
        .and_then(|part| part.as_any().downcast_ref::<Int32Array>());
    let lengths = parts
        .get(1)
        .and_then(|part| part.as_any().downcast_ref::<Int32Array>());

    let (Some(offsets), Some(lengths)) = (offsets, lengths) else {
        return Err(ParquetError::General(
            "a span has other fields than the format says".to_owned(),
        ));
    };

    Ok(range
        .map(|i| Span {
            offset: offsets.value(i),
            length: lengths.value(i).cast_unsigned(),
        })
        .collect())
}
