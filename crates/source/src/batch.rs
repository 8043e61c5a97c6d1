//! A batch of series slices: one row is one series.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, BinaryArray, BinaryBuilder, Float64Array, Int64Array, ListArray, RecordBatch};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use duramen_model::Labels;

/// `labels`: the encoded form of [`Labels`]. `ts`: milliseconds, strictly ascending within a row. `value`: as many as `ts`, bits as
/// sent. No nulls anywhere. Columns that come later (histograms, start times, life spans) are added behind these.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("labels", DataType::Binary, false),
        Field::new("ts", DataType::List(Arc::clone(&TS_ITEM)), false),
        Field::new("value", DataType::List(Arc::clone(&VALUE_ITEM)), false),
    ]))
});
static TS_ITEM: LazyLock<Arc<Field>> = LazyLock::new(|| Arc::new(Field::new("item", DataType::Int64, false)));
static VALUE_ITEM: LazyLock<Arc<Field>> = LazyLock::new(|| Arc::new(Field::new("item", DataType::Float64, false)));

/// A record batch of [`SeriesBatch::schema`], with its columns at hand.
#[derive(Clone, Debug)]
pub struct SeriesBatch {
    batch: RecordBatch,
}

impl SeriesBatch {
    pub fn schema() -> SchemaRef {
        Arc::clone(&SCHEMA)
    }

    /// Puts flat columns together without copying: series `i` owns the samples `[offsets[i], offsets[i + 1])`.
    ///
    /// # Panics
    /// When the lengths do not fit together: a broken invariant of the caller.
    pub fn from_parts(
        labels: BinaryArray,
        offsets: Vec<i32>,
        ts: ScalarBuffer<i64>,
        values: ScalarBuffer<f64>,
    ) -> Self {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let ts: ArrayRef = Arc::new(Int64Array::new(ts, None));
        let values: ArrayRef = Arc::new(Float64Array::new(values, None));
        let ts = ListArray::new(Arc::clone(&TS_ITEM), offsets.clone(), ts, None);
        let values = ListArray::new(Arc::clone(&VALUE_ITEM), offsets, values, None);
        let columns: Vec<ArrayRef> = vec![Arc::new(labels), Arc::new(ts), Arc::new(values)];
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
        column(&self.batch, 0)
    }

    /// The encoded labels of series `row`.
    pub fn labels_at(&self, row: usize) -> &[u8] {
        self.labels().value(row)
    }

    /// `offsets()[row]..offsets()[row + 1]` are the samples of series `row` in [`SeriesBatch::ts`] and [`SeriesBatch::values`].
    pub fn offsets(&self) -> &[i32] {
        column::<ListArray>(&self.batch, 1).value_offsets()
    }

    /// The times of all series, one after the other.
    pub fn ts(&self) -> &[i64] {
        downcast::<Int64Array>(column::<ListArray>(&self.batch, 1).values()).values()
    }

    /// The values of all series, one after the other.
    pub fn values(&self) -> &[f64] {
        downcast::<Float64Array>(column::<ListArray>(&self.batch, 2).values()).values()
    }

    /// The times and values of series `row`.
    pub fn samples_at(&self, row: usize) -> (&[i64], &[f64]) {
        let offsets = self.offsets();
        let at = |i: i32| usize::try_from(i).expect("list offsets are not negative");
        let span = at(offsets[row])..at(offsets[row + 1]);
        (&self.ts()[span.clone()], &self.values()[span])
    }

    /// How many samples all series have together.
    pub fn samples(&self) -> usize {
        let offsets = self.offsets();
        match (offsets.first(), offsets.last()) {
            (Some(first), Some(last)) => usize::try_from(last - first).expect("list offsets ascend"),
            _ => 0,
        }
    }
}

/// Column `index` of `batch`, whose type the schema fixes.
fn column<T: Array + 'static>(batch: &RecordBatch, index: usize) -> &T {
    downcast(batch.column(index))
}

fn downcast<T: Array + 'static>(array: &ArrayRef) -> &T {
    array.as_any().downcast_ref().expect("the schema of a series batch is fixed")
}

/// Collects series in memory, one after the other.
#[derive(Debug, Default)]
pub struct SeriesBatchBuilder {
    labels: BinaryBuilder,
    offsets: Vec<i32>,
    ts: Vec<i64>,
    values: Vec<f64>,
}

impl SeriesBatchBuilder {
    /// Appends a series with its samples, whose times ascend strictly.
    pub fn push(&mut self, labels: &Labels, ts: &[i64], values: &[f64]) {
        self.samples_mut(|all_ts, all_values| {
            all_ts.extend_from_slice(ts);
            all_values.extend_from_slice(values);
        });
        self.end_series(labels.encoded());
    }

    /// Lets `append` add samples of the series that the next [`SeriesBatchBuilder::end_series`] ends, as many times as values.
    pub fn samples_mut(&mut self, append: impl FnOnce(&mut Vec<i64>, &mut Vec<f64>)) {
        append(&mut self.ts, &mut self.values);
        debug_assert_eq!(self.ts.len(), self.values.len());
    }

    /// Ends a series: what was added since the last call is its samples.
    pub fn end_series(&mut self, encoded_labels: &[u8]) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        self.labels.append_value(encoded_labels);
        self.offsets.push(i32::try_from(self.ts.len()).expect("a batch holds fewer than 2^31 samples"));
    }

    /// How many series have been ended.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many samples have been added.
    pub fn samples(&self) -> usize {
        self.ts.len()
    }

    /// The batch so far; the builder is empty afterwards.
    pub fn finish(&mut self) -> SeriesBatch {
        let mut offsets = std::mem::take(&mut self.offsets);
        if offsets.is_empty() {
            offsets.push(0);
        }
        let (ts, values) = (std::mem::take(&mut self.ts), std::mem::take(&mut self.values));
        SeriesBatch::from_parts(self.labels.finish(), offsets, ts.into(), values.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_the_series_that_were_pushed() {
        let mut builder = SeriesBatchBuilder::default();
        let (a, b) = (Labels::from_pairs([("a", "1")]).unwrap(), Labels::from_pairs([("b", "1")]).unwrap());
        builder.push(&a, &[1, 2], &[0.5, -0.0]);
        builder.push(&b, &[], &[]);
        let batch = builder.finish();
        assert_eq!((batch.len(), batch.samples()), (2, 2));
        assert_eq!(batch.labels_at(1), b.encoded());
        assert_eq!(batch.samples_at(0), ([1, 2].as_slice(), [0.5, -0.0].as_slice()));
        assert_eq!(batch.samples_at(1).0.len(), 0);
        assert!(builder.finish().is_empty());
    }
}
