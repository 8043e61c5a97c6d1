//! A batch of series slices: one row is one series.

pub mod builder;
mod columns;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, BinaryArray, Float64Array, Int64Array, ListArray, RecordBatch, UInt64Array,
    new_empty_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
pub use columns::{Floats, Histograms, Lives};
use duramen_model::Life;

/// The columns of a batch.
///
/// `labels`: the encoded form of [`duramen_model::Labels`].
///
/// `ts`, `value`: the floats of the series. Times are in milliseconds and strictly ascend within a
/// row. There is one value for each time, with its bits as sent. `start_ts`, `ttl`: the [`Life`] of
/// each float, or null in all rows when no sample of the batch has one.
///
/// `histogram_ts`, `histogram`, `histogram_start_ts`, `histogram_ttl`: the same for native
/// histograms, in the encoding of [`duramen_model::Histogram::to_bytes`]. A time is in `ts` or in
/// `histogram_ts`, never in both.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let list = |name, item: &LazyLock<Arc<Field>>, nullable| {
        Field::new(name, DataType::List(Arc::clone(item)), nullable)
    };
    Arc::new(Schema::new(vec![
        Field::new("labels", DataType::Binary, false),
        list("ts", &INTEGER, false),
        list("value", &FLOAT, false),
        list("start_ts", &INTEGER, true),
        list("ttl", &INTEGER, true),
        list("histogram_ts", &INTEGER, false),
        list("histogram", &BYTES, false),
        list("histogram_start_ts", &INTEGER, true),
        list("histogram_ttl", &INTEGER, true),
    ]))
});
/// The columns of a piece behind which its batch goes on. Only the metadata differs.
static GOES_ON: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mark = HashMap::from([("goes_on".to_owned(), String::new())]);
    Arc::new(Schema::clone(&SCHEMA).with_metadata(mark))
});
static INTEGER: LazyLock<Arc<Field>> =
    LazyLock::new(|| Arc::new(Field::new("item", DataType::Int64, false)));
static FLOAT: LazyLock<Arc<Field>> =
    LazyLock::new(|| Arc::new(Field::new("item", DataType::Float64, false)));
static BYTES: LazyLock<Arc<Field>> =
    LazyLock::new(|| Arc::new(Field::new("item", DataType::Binary, false)));

const LABELS: usize = 0;
const TS: usize = 1;
const VALUE: usize = 2;
const START_TS: usize = 3;
const TTL: usize = 4;
const HISTOGRAM_TS: usize = 5;
const HISTOGRAM: usize = 6;
const HISTOGRAM_START_TS: usize = 7;
const HISTOGRAM_TTL: usize = 8;

/// A record batch of [`SeriesBatch::schema`], with access to its columns.
#[derive(Clone, Debug)]
pub struct SeriesBatch {
    batch: RecordBatch,
}

/// One histogram of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistogramRef<'a> {
    pub ts_ms: i64,
    pub life: Life,
    /// The histogram, encoded by [`duramen_model::Histogram::to_bytes`].
    pub bytes: &'a [u8],
}

impl SeriesBatch {
    pub fn schema() -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    /// Makes a batch of flat columns of floats, without copying. Series `i` has the samples
    /// `[offsets[i], offsets[i + 1])`.
    ///
    /// # Panics
    /// When the lengths of the columns do not fit together, which is a bug of the caller.
    pub fn from_parts(
        labels: BinaryArray,
        offsets: Vec<i32>,
        ts: ScalarBuffer<i64>,
        values: ScalarBuffer<f64>,
    ) -> Self {
        let floats = Floats {
            offsets,
            ts,
            values,
            lives: Lives::default(),
        };

        let rows = labels.len();
        Self::from_columns(
            labels,
            floats,
            Histograms {
                offsets: vec![0; rows + 1],
                ..Histograms::default()
            },
        )
    }

    /// Makes a batch of all columns that a series can have, without copying.
    ///
    /// # Panics
    /// When the lengths of the columns do not fit together.
    pub fn from_columns(labels: BinaryArray, floats: Floats, histograms: Histograms) -> Self {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(floats.offsets));
        let histogram_offsets = OffsetBuffer::new(ScalarBuffer::from(histograms.offsets));

        let columns: Vec<ArrayRef> = vec![
            Arc::new(labels),
            integers(&offsets, floats.ts),
            list(
                &FLOAT,
                &offsets,
                Arc::new(Float64Array::new(floats.values, None)),
            ),
            optional(&offsets, floats.lives.starts),
            optional(&offsets, floats.lives.ttls),
            integers(&histogram_offsets, histograms.ts.into()),
            list(&BYTES, &histogram_offsets, Arc::new(histograms.bytes)),
            optional(&histogram_offsets, histograms.lives.starts),
            optional(&histogram_offsets, histograms.lives.ttls),
        ];

        let batch = RecordBatch::try_new(Self::schema(), columns)
            .expect("the columns of a series batch fit its schema");
        Self { batch }
    }

    /// Takes a record batch of [`SeriesBatch::schema`]. Returns `None` when it has another schema.
    pub fn from_record_batch(batch: RecordBatch) -> Option<Self> {
        let schema = batch.schema_ref();
        let is_ours = Arc::ptr_eq(schema, &GOES_ON) || *schema == *SCHEMA || *schema == *GOES_ON;
        is_ours.then_some(Self { batch })
    }

    /// Whether the next batch of the stream is a piece of the same batch. What is computed of whole
    /// batches waits for the last piece, so it does not depend on how they are cut.
    pub fn goes_on(&self) -> bool {
        !self.batch.schema_ref().metadata().is_empty()
    }

    /// The same series, as a piece behind which the batch goes on or ends.
    #[must_use]
    pub fn going_on(self, goes_on: bool) -> Self {
        if self.goes_on() == goes_on {
            return self;
        }

        let schema = if goes_on { &GOES_ON } else { &SCHEMA };
        let columns = self.batch.columns().to_vec();
        let batch = RecordBatch::try_new(Arc::clone(schema), columns)
            .expect("the columns of a series batch fit its schema");
        Self { batch }
    }

    /// The series at `rows`, without copying.
    ///
    /// # Panics
    /// When there are no such rows.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        let batch = self.batch.slice(rows.start, rows.len());
        Self { batch }
    }

    /// The series at these rows, which ascend. Copies their samples.
    ///
    /// # Panics
    /// When there are no such rows.
    #[must_use]
    pub fn at_rows(&self, rows: &[usize]) -> Self {
        let rows = rows.iter().map(|row| *row as u64);
        let batch = take_record_batch(&self.batch, &UInt64Array::from_iter_values(rows));
        let batch = batch.expect("the rows are in the batch");
        Self { batch }
    }

    /// The same series with their floats, and with the histograms of the same rows of `other`.
    ///
    /// # Panics
    /// When `other` has another number of series.
    #[must_use]
    pub fn with_histograms_of(&self, other: &Self) -> Self {
        let floats = &self.batch.columns()[..HISTOGRAM_TS];
        let histograms = &other.batch.columns()[HISTOGRAM_TS..];
        let columns = [floats, histograms].concat();

        let batch = RecordBatch::try_new(self.batch.schema(), columns)
            .expect("the columns of a series batch fit its schema");
        Self { batch }
    }

    pub const fn record_batch(&self) -> &RecordBatch {
        &self.batch
    }

    pub fn into_record_batch(self) -> RecordBatch {
        self.batch
    }

    /// The number of series.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn labels(&self) -> &BinaryArray {
        column(&self.batch, LABELS)
    }

    /// The encoded labels of series `row`.
    pub fn labels_at(&self, row: usize) -> &[u8] {
        self.labels().value(row)
    }

    /// The positions of floats: series `row` has `offsets()[row]..offsets()[row + 1]` of
    /// [`SeriesBatch::ts`] and [`SeriesBatch::values`].
    pub fn offsets(&self) -> &[i32] {
        self.list(TS).value_offsets()
    }

    /// The times of the floats of all series, one after the other.
    pub fn ts(&self) -> &[i64] {
        downcast::<Int64Array>(self.list(TS).values()).values()
    }

    /// The floats of all series, one after the other.
    pub fn values(&self) -> &[f64] {
        downcast::<Float64Array>(self.list(VALUE).values()).values()
    }

    /// The times and values of the floats of series `row`.
    pub fn samples_at(&self, row: usize) -> (&[i64], &[f64]) {
        let span = span(self.offsets(), row);
        (&self.ts()[span.clone()], &self.values()[span])
    }

    /// The start times of the counters of series `row`, one for each float; 0 means unknown. `None`
    /// when no float of the batch has one.
    pub fn starts_at(&self, row: usize) -> Option<&[i64]> {
        self.optional_at(START_TS, row)
    }

    /// The life spans of the floats of series `row`; 0 means the look-back. `None` when no float of
    /// the batch has one.
    pub fn ttls_at(&self, row: usize) -> Option<&[i64]> {
        self.optional_at(TTL, row)
    }

    /// The histograms of series `row`. Their times strictly ascend.
    pub fn histograms_at(&self, row: usize) -> impl ExactSizeIterator<Item = HistogramRef<'_>> {
        let span = span(self.list(HISTOGRAM_TS).value_offsets(), row);
        let ts = downcast::<Int64Array>(self.list(HISTOGRAM_TS).values()).values();
        let bytes = downcast::<BinaryArray>(self.list(HISTOGRAM).values());
        let starts = self.optional_at(HISTOGRAM_START_TS, row);
        let ttls = self.optional_at(HISTOGRAM_TTL, row);

        span.clone().map(move |at| {
            let value = |column: Option<&[i64]>| column.map_or(0, |all| all[at - span.start]);
            HistogramRef {
                ts_ms: ts[at],
                life: Life {
                    start_ms: value(starts),
                    ttl_ms: value(ttls),
                },
                bytes: bytes.value(at),
            }
        })
    }

    /// The number of floats and histograms of all series.
    pub fn samples(&self) -> usize {
        self.floats() + self.histograms()
    }

    /// The number of floats of all series.
    pub fn floats(&self) -> usize {
        total(self.offsets())
    }

    /// The number of histograms of all series.
    pub fn histograms(&self) -> usize {
        total(self.list(HISTOGRAM_TS).value_offsets())
    }

    fn list(&self, index: usize) -> &ListArray {
        column(&self.batch, index)
    }

    fn optional_at(&self, index: usize, row: usize) -> Option<&[i64]> {
        let list = self.list(index);
        let values = downcast::<Int64Array>(list.values()).values();
        list.is_valid(row)
            .then(|| &values[span(list.value_offsets(), row)])
    }
}

fn span(offsets: &[i32], row: usize) -> Range<usize> {
    let at = |i: i32| usize::try_from(i).expect("list offsets are not negative");
    at(offsets[row])..at(offsets[row + 1])
}

fn total(offsets: &[i32]) -> usize {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => usize::try_from(last - first).expect("list offsets ascend"),
        _ => 0,
    }
}

fn list(item: &Arc<Field>, offsets: &OffsetBuffer<i32>, values: ArrayRef) -> ArrayRef {
    Arc::new(ListArray::new(
        Arc::clone(item),
        offsets.clone(),
        values,
        None,
    ))
}

fn integers(offsets: &OffsetBuffer<i32>, values: ScalarBuffer<i64>) -> ArrayRef {
    list(&INTEGER, offsets, Arc::new(Int64Array::new(values, None)))
}

/// A column with these values, which must be as many as in the other columns, or with null in every
/// row.
fn optional(offsets: &OffsetBuffer<i32>, values: Option<Vec<i64>>) -> ArrayRef {
    if let Some(values) = values {
        return integers(offsets, values.into());
    }

    let rows = offsets.len() - 1;
    let nulls = Some(NullBuffer::new_null(rows));
    let none = new_empty_array(&DataType::Int64);

    Arc::new(ListArray::new(
        Arc::clone(&INTEGER),
        OffsetBuffer::new_zeroed(rows),
        none,
        nulls,
    ))
}

/// Column `index` of `batch`, whose type the schema fixes.
fn column<T: Array + 'static>(batch: &RecordBatch, index: usize) -> &T {
    downcast(batch.column(index))
}

fn downcast<T: Array + 'static>(array: &ArrayRef) -> &T {
    array
        .as_any()
        .downcast_ref()
        .expect("the schema of a series batch is fixed")
}
