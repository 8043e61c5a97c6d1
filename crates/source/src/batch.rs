//! A batch of series slices: one row is one series.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryBuilder, Float64Array, Int64Array, ListArray, RecordBatch, new_empty_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use duramen_model::{Labels, Life};

/// `labels`: the encoded form of [`Labels`].
///
/// `ts`, `value`: the floats of the series; times in milliseconds, strictly ascending within a row, and as many values, bits as sent.
/// `start_ts`, `ttl`: their [`Life`], as many as `ts`, or null in all rows when no sample of the batch has any.
///
/// `histogram_ts`, `histogram`, `histogram_start_ts`, `histogram_ttl`: the same for native histograms, each in the byte form of
/// [`duramen_model::Histogram`]. A time stands in `ts` or in `histogram_ts`, never in both.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let list =
        |name, item: &LazyLock<Arc<Field>>, nullable| Field::new(name, DataType::List(Arc::clone(item)), nullable);
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
static INTEGER: LazyLock<Arc<Field>> = LazyLock::new(|| Arc::new(Field::new("item", DataType::Int64, false)));
static FLOAT: LazyLock<Arc<Field>> = LazyLock::new(|| Arc::new(Field::new("item", DataType::Float64, false)));
static BYTES: LazyLock<Arc<Field>> = LazyLock::new(|| Arc::new(Field::new("item", DataType::Binary, false)));

const LABELS: usize = 0;
const TS: usize = 1;
const VALUE: usize = 2;
const START_TS: usize = 3;
const TTL: usize = 4;
const HISTOGRAM_TS: usize = 5;
const HISTOGRAM: usize = 6;
const HISTOGRAM_START_TS: usize = 7;
const HISTOGRAM_TTL: usize = 8;

/// A record batch of [`SeriesBatch::schema`], with its columns at hand.
#[derive(Clone, Debug)]
pub struct SeriesBatch {
    batch: RecordBatch,
}

/// One histogram of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistogramRef<'a> {
    pub ts_ms: i64,
    pub life: Life,
    /// The byte form of a [`duramen_model::Histogram`].
    pub bytes: &'a [u8],
}

impl SeriesBatch {
    pub fn schema() -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    /// Puts flat columns of floats together without copying: series `i` owns the samples `[offsets[i], offsets[i + 1])`.
    ///
    /// # Panics
    /// When the lengths do not fit together: a broken invariant of the caller.
    pub fn from_parts(
        labels: BinaryArray,
        offsets: Vec<i32>,
        ts: ScalarBuffer<i64>,
        values: ScalarBuffer<f64>,
    ) -> Self {
        let floats = Floats { offsets, ts, values, lives: Lives::default() };
        let rows = labels.len();
        Self::from_columns(labels, floats, Histograms { offsets: vec![0; rows + 1], ..Histograms::default() })
    }

    /// The same with all that a series may have.
    ///
    /// # Panics
    /// When the lengths do not fit together.
    pub fn from_columns(labels: BinaryArray, floats: Floats, histograms: Histograms) -> Self {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(floats.offsets));
        let histogram_offsets = OffsetBuffer::new(ScalarBuffer::from(histograms.offsets));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(labels),
            integers(&offsets, floats.ts),
            list(&FLOAT, &offsets, Arc::new(Float64Array::new(floats.values, None))),
            optional(&offsets, floats.lives.starts),
            optional(&offsets, floats.lives.ttls),
            integers(&histogram_offsets, histograms.ts.into()),
            list(&BYTES, &histogram_offsets, Arc::new(histograms.bytes)),
            optional(&histogram_offsets, histograms.lives.starts),
            optional(&histogram_offsets, histograms.lives.ttls),
        ];
        let batch =
            RecordBatch::try_new(Self::schema(), columns).expect("the columns of a series batch fit its schema");
        Self { batch }
    }

    /// Takes a batch that has [`SeriesBatch::schema`]; `None` when it has another.
    pub fn from_record_batch(batch: RecordBatch) -> Option<Self> {
        (batch.schema() == *SCHEMA).then_some(Self { batch })
    }

    pub const fn record_batch(&self) -> &RecordBatch {
        &self.batch
    }

    pub fn into_record_batch(self) -> RecordBatch {
        self.batch
    }

    /// How many series.
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

    /// `offsets()[row]..offsets()[row + 1]` are the floats of series `row` in [`SeriesBatch::ts`] and [`SeriesBatch::values`].
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

    /// When what the floats of series `row` count began, 0 for unknown; `None` when no sample of the batch says so.
    pub fn starts_at(&self, row: usize) -> Option<&[i64]> {
        self.optional_at(START_TS, row)
    }

    /// How long the floats of series `row` stand, 0 for the look-back; `None` when no sample of the batch says so.
    pub fn ttls_at(&self, row: usize) -> Option<&[i64]> {
        self.optional_at(TTL, row)
    }

    /// The histograms of series `row`, their times strictly ascending.
    pub fn histograms_at(&self, row: usize) -> impl ExactSizeIterator<Item = HistogramRef<'_>> {
        let span = span(self.list(HISTOGRAM_TS).value_offsets(), row);
        let ts = downcast::<Int64Array>(self.list(HISTOGRAM_TS).values()).values();
        let bytes = downcast::<BinaryArray>(self.list(HISTOGRAM).values());
        let starts = self.optional_at(HISTOGRAM_START_TS, row);
        let ttls = self.optional_at(HISTOGRAM_TTL, row);
        span.clone().map(move |at| {
            let of = |column: Option<&[i64]>| column.map_or(0, |all| all[at - span.start]);
            HistogramRef {
                ts_ms: ts[at],
                life: Life { start_ms: of(starts), ttl_ms: of(ttls) },
                bytes: bytes.value(at),
            }
        })
    }

    /// How many floats and histograms all series have together.
    pub fn samples(&self) -> usize {
        self.floats() + self.histograms()
    }

    /// How many floats all series have together.
    pub fn floats(&self) -> usize {
        total(self.offsets())
    }

    /// How many histograms all series have together.
    pub fn histograms(&self) -> usize {
        total(self.list(HISTOGRAM_TS).value_offsets())
    }

    fn list(&self, index: usize) -> &ListArray {
        column(&self.batch, index)
    }

    fn optional_at(&self, index: usize, row: usize) -> Option<&[i64]> {
        let list = self.list(index);
        let values = downcast::<Int64Array>(list.values()).values();
        list.is_valid(row).then(|| &values[span(list.value_offsets(), row)])
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
    Arc::new(ListArray::new(Arc::clone(item), offsets.clone(), values, None))
}

fn integers(offsets: &OffsetBuffer<i32>, values: ScalarBuffer<i64>) -> ArrayRef {
    list(&INTEGER, offsets, Arc::new(Int64Array::new(values, None)))
}

/// As many values as the other columns have, or null in every row.
fn optional(offsets: &OffsetBuffer<i32>, values: Option<Vec<i64>>) -> ArrayRef {
    if let Some(values) = values {
        return integers(offsets, values.into());
    }
    let rows = offsets.len() - 1;
    let nulls = Some(NullBuffer::new_null(rows));
    let none = new_empty_array(&DataType::Int64);
    Arc::new(ListArray::new(Arc::clone(&INTEGER), OffsetBuffer::new_zeroed(rows), none, nulls))
}

/// Column `index` of `batch`, whose type the schema fixes.
fn column<T: Array + 'static>(batch: &RecordBatch, index: usize) -> &T {
    downcast(batch.column(index))
}

fn downcast<T: Array + 'static>(array: &ArrayRef) -> &T {
    array.as_any().downcast_ref().expect("the schema of a series batch is fixed")
}

/// The floats of all series of a batch, one after the other: series `i` owns `[offsets[i], offsets[i + 1])`.
#[derive(Debug)]
pub struct Floats {
    pub offsets: Vec<i32>,
    pub ts: ScalarBuffer<i64>,
    pub values: ScalarBuffer<f64>,
    pub lives: Lives,
}

/// The histograms of all series of a batch, as [`Floats`] are.
#[derive(Debug)]
pub struct Histograms {
    pub offsets: Vec<i32>,
    pub ts: Vec<i64>,
    pub bytes: BinaryArray,
    pub lives: Lives,
}

impl Default for Histograms {
    fn default() -> Self {
        let bytes = BinaryBuilder::new().finish();
        Self { offsets: Vec::new(), ts: Vec::new(), bytes, lives: Lives::default() }
    }
}

/// The life spans of floats or of histograms: as many as those, or `None` when none of them says anything.
#[derive(Debug, Default)]
pub struct Lives {
    pub starts: Option<Vec<i64>>,
    pub ttls: Option<Vec<i64>>,
}

impl Lives {
    /// Says `life` of the sample at place `at`; those before it that were not told have none.
    fn put(&mut self, at: usize, life: Life) {
        for (column, value) in [(&mut self.starts, life.start_ms), (&mut self.ttls, life.ttl_ms)] {
            if value != 0 {
                let column = column.get_or_insert_default();
                column.resize(at, 0);
                column.push(value);
            }
        }
    }

    /// Both columns as long as the samples are.
    fn padded(mut self, samples: usize) -> Self {
        for column in [&mut self.starts, &mut self.ttls].into_iter().flatten() {
            column.resize(samples, 0);
        }
        self
    }
}

/// Collects series in memory, one after the other.
#[derive(Debug, Default)]
pub struct SeriesBatchBuilder {
    labels: BinaryBuilder,
    offsets: Vec<i32>,
    ts: Vec<i64>,
    values: Vec<f64>,
    lives: Lives,
    histogram_offsets: Vec<i32>,
    histogram_ts: Vec<i64>,
    histograms: BinaryBuilder,
    histogram_lives: Lives,
}

impl SeriesBatchBuilder {
    /// Appends a series of floats, whose times ascend strictly.
    pub fn push(&mut self, labels: &Labels, ts: &[i64], values: &[f64]) {
        self.samples_mut(|all_ts, all_values| {
            all_ts.extend_from_slice(ts);
            all_values.extend_from_slice(values);
        });
        self.end_series(labels.encoded());
    }

    /// Lets `append` add floats of the series that the next [`SeriesBatchBuilder::end_series`] ends, as many times as values.
    pub fn samples_mut(&mut self, append: impl FnOnce(&mut Vec<i64>, &mut Vec<f64>)) {
        append(&mut self.ts, &mut self.values);
        debug_assert_eq!(self.ts.len(), self.values.len());
    }

    /// Adds a float of the series that the next [`SeriesBatchBuilder::end_series`] ends, behind those it has.
    pub fn push_sample(&mut self, ts_ms: i64, value: f64, life: Life) {
        self.lives.put(self.ts.len(), life);
        self.ts.push(ts_ms);
        self.values.push(value);
    }

    /// Says what the float that was added last has to say beside its value.
    ///
    /// # Panics
    /// When no float was added.
    pub fn set_last_life(&mut self, life: Life) {
        self.lives.put(self.ts.len() - 1, life);
    }

    /// Adds a histogram of the series that the next [`SeriesBatchBuilder::end_series`] ends, behind those it has.
    pub fn push_histogram(&mut self, histogram: HistogramRef<'_>) {
        self.histogram_lives.put(self.histogram_ts.len(), histogram.life);
        self.histogram_ts.push(histogram.ts_ms);
        self.histograms.append_value(histogram.bytes);
    }

    /// Ends a series: what was added since the last call is its samples.
    pub fn end_series(&mut self, encoded_labels: &[u8]) {
        let offset = |samples| i32::try_from(samples).expect("a batch holds fewer than 2^31 samples");
        if self.offsets.is_empty() {
            self.offsets.push(0);
            self.histogram_offsets.push(0);
        }
        self.labels.append_value(encoded_labels);
        self.offsets.push(offset(self.ts.len()));
        self.histogram_offsets.push(offset(self.histogram_ts.len()));
    }

    /// How many series have been ended.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many floats and histograms have been added.
    pub fn samples(&self) -> usize {
        self.ts.len() + self.histogram_ts.len()
    }

    /// The batch so far; the builder is empty afterwards.
    pub fn finish(&mut self) -> SeriesBatch {
        let Self {
            mut labels,
            offsets,
            ts,
            values,
            lives,
            histogram_offsets,
            histogram_ts,
            mut histograms,
            histogram_lives,
        } = std::mem::take(self);
        let or_zero = |offsets: Vec<i32>| if offsets.is_empty() { vec![0] } else { offsets };
        let lives = lives.padded(ts.len());
        let floats = Floats { offsets: or_zero(offsets), ts: ts.into(), values: values.into(), lives };
        let lives = histogram_lives.padded(histogram_ts.len());
        let histograms =
            Histograms { offsets: or_zero(histogram_offsets), ts: histogram_ts, bytes: histograms.finish(), lives };
        SeriesBatch::from_columns(labels.finish(), floats, histograms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(name: &str) -> Labels {
        Labels::from_pairs([(name, "1")]).unwrap()
    }

    #[test]
    fn a_batch_gives_back_the_series_that_were_pushed() {
        let mut builder = SeriesBatchBuilder::default();
        builder.push(&labels("a"), &[1, 2], &[0.5, -0.0]);
        builder.push(&labels("b"), &[], &[]);
        let batch = builder.finish();
        assert_eq!((batch.len(), batch.samples()), (2, 2));
        assert_eq!(batch.labels_at(1), labels("b").encoded());
        assert_eq!(batch.samples_at(0), ([1, 2].as_slice(), [0.5, -0.0].as_slice()));
        assert_eq!(batch.samples_at(1).0.len(), 0);
        assert_eq!((batch.starts_at(0), batch.ttls_at(1), batch.histograms_at(0).len()), (None, None, 0));
        assert!(builder.finish().is_empty());
    }

    #[test]
    fn lives_and_histograms_stand_with_their_series() {
        let mut builder = SeriesBatchBuilder::default();
        builder.push(&labels("a"), &[1], &[0.5]);
        builder.push_sample(1, 1.0, Life::NONE);
        builder.push_sample(2, 2.0, Life { start_ms: 0, ttl_ms: 7 });
        builder.push_sample(3, 3.0, Life::NONE);
        let life = Life { start_ms: 5, ttl_ms: 0 };
        let of = |ts_ms, life| HistogramRef { ts_ms, life, bytes: b"h" };
        builder.push_histogram(of(4, life));
        builder.end_series(labels("b").encoded());
        builder.push_histogram(of(4, Life::NONE));
        builder.push_histogram(of(5, life));
        builder.end_series(labels("c").encoded());
        let batch = builder.finish();
        assert_eq!(batch.ttls_at(0), Some([0].as_slice()));
        assert_eq!(batch.ttls_at(1), Some([0, 7, 0].as_slice()));
        assert_eq!(batch.starts_at(1), None);
        assert_eq!(batch.histograms_at(0).len(), 0);
        assert_eq!(batch.histograms_at(1).collect::<Vec<_>>(), [of(4, life)]);
        assert_eq!(batch.histograms_at(2).collect::<Vec<_>>(), [of(4, Life::NONE), of(5, life)]);
        assert_eq!((batch.floats(), batch.histograms(), batch.samples()), (4, 3, 7));
    }

    #[test]
    fn floats_alone_can_be_put_together_without_a_copy() {
        let names = BinaryArray::from_vec(vec![b"a", b"b"]);
        let batch = SeriesBatch::from_parts(names, vec![0, 1, 2], vec![1, 2].into(), vec![0.5, 1.5].into());
        assert_eq!(batch.samples_at(1), ([2].as_slice(), [1.5].as_slice()));
        assert_eq!((batch.histograms_at(1).len(), batch.ttls_at(0)), (0, None));
    }
}
