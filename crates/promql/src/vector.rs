//! The form of an instant vector over a grid: one row is one series.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryBuilder, BooleanBufferBuilder, FixedSizeListArray, Float64Array,
    LargeBinaryArray, LargeBinaryBuilder, ListArray, RecordBatch, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use duramen_model::FloatHistogram;

use crate::grid::Grid;

/// `labels`: the encoded form of [`duramen_model::Labels`]. `values`: one cell per step; null is absent, or a histogram. Absent, NaN and
/// stale are three things: NaN is a value like any other, and a stale marker never leaves the selector.
///
/// `histogram_steps`, `histograms`: the steps of the row that have a histogram, ascending, and the byte form of each. Rows of floats
/// have empty lists.
pub(crate) fn schema(steps: usize) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("labels", DataType::Binary, false),
        Field::new("values", DataType::FixedSizeList(item(), width(steps)), false),
        Field::new("histogram_steps", DataType::List(step_item()), false),
        Field::new("histograms", DataType::List(histogram_item()), false),
    ]))
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float64, true))
}

fn step_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::UInt32, false))
}

fn histogram_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::LargeBinary, false))
}

fn width(steps: usize) -> i32 {
    i32::try_from(steps).expect("the planner bounds the steps")
}

/// The column of flat cells, as it stands in a batch.
pub(crate) fn cells_column(values: Vec<f64>, present: Option<NullBuffer>, steps: usize) -> ArrayRef {
    let cells = Arc::new(Float64Array::new(values.into(), present));
    Arc::new(FixedSizeListArray::new(item(), width(steps), cells, None))
}

/// What a series has at a step.
#[derive(Clone, Debug)]
pub(crate) enum Cell<'a> {
    Float(f64),
    /// A histogram in byte form, as an operator passes it on.
    Encoded(&'a [u8]),
    /// A histogram that was just computed.
    Histogram(Box<FloatHistogram>),
}

impl From<f64> for Cell<'_> {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<FloatHistogram> for Cell<'_> {
    fn from(histogram: FloatHistogram) -> Self {
        Self::Histogram(Box::new(histogram))
    }
}

/// A cell to calculate with.
#[derive(Clone, Debug)]
pub(crate) enum Sample {
    Float(f64),
    Histogram(Box<FloatHistogram>),
}

impl Cell<'_> {
    pub(crate) fn decode(self) -> Sample {
        match self {
            Self::Float(value) => Sample::Float(value),
            Self::Encoded(bytes) => Sample::Histogram(Box::new(decoded(bytes))),
            Self::Histogram(histogram) => Sample::Histogram(histogram),
        }
    }
}

impl From<Sample> for Cell<'_> {
    fn from(sample: Sample) -> Self {
        match sample {
            Sample::Float(value) => Self::Float(value),
            Sample::Histogram(histogram) => Self::Histogram(histogram),
        }
    }
}

/// A histogram that an operator encoded.
pub(crate) fn decoded(bytes: &[u8]) -> FloatHistogram {
    FloatHistogram::from_bytes(bytes).expect("operators pass histograms on in their byte form")
}

/// The histograms of rows, as the columns of a batch. Steps ascend within a row.
#[derive(Debug)]
pub(crate) struct HistogramColumns {
    offsets: Vec<i32>,
    steps: Vec<u32>,
    histograms: LargeBinaryBuilder,
}

impl Default for HistogramColumns {
    fn default() -> Self {
        Self { offsets: vec![0], steps: Vec::new(), histograms: LargeBinaryBuilder::new() }
    }
}

impl HistogramColumns {
    pub(crate) fn push(&mut self, step: usize, bytes: &[u8]) {
        self.steps.push(u32::try_from(step).expect("the planner bounds the steps"));
        self.histograms.append_value(bytes);
    }

    pub(crate) fn end_row(&mut self) {
        self.offsets.push(i32::try_from(self.steps.len()).expect("a batch has fewer than 2^31 cells"));
    }

    /// How many there are in all rows.
    fn len(&self) -> usize {
        self.steps.len()
    }

    /// The two columns; there are no rows afterwards.
    pub(crate) fn finish(&mut self) -> [ArrayRef; 2] {
        let Self { offsets, steps, mut histograms } = std::mem::take(self);
        let offsets = OffsetBuffer::new(offsets.into());
        let steps = Arc::new(UInt32Array::new(steps.into(), None));
        let histograms = Arc::new(histograms.finish());
        [
            Arc::new(ListArray::new(step_item(), offsets.clone(), steps, None)),
            Arc::new(ListArray::new(histogram_item(), offsets, histograms, None)),
        ]
    }
}

/// The histograms of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HistogramRow<'a> {
    steps: &'a [u32],
    histograms: &'a LargeBinaryArray,
    /// Where those of the row start in `histograms`.
    start: usize,
}

impl<'a> HistogramRow<'a> {
    /// The row of the columns that stand at `first` and behind it.
    pub(crate) fn of(batch: &'a RecordBatch, first: usize, row: usize) -> Self {
        let lists: [&ListArray; 2] = [downcast(batch.column(first)), downcast(batch.column(first + 1))];
        let at = |row: usize| usize::try_from(lists[0].value_offsets()[row]).expect("list offsets are not negative");
        let steps: &UInt32Array = downcast(lists[0].values());
        Self { steps: &steps.values()[at(row)..at(row + 1)], histograms: downcast(lists[1].values()), start: at(row) }
    }

    /// Each with its step.
    pub(crate) fn iter(self) -> impl Iterator<Item = (usize, &'a [u8])> {
        self.steps.iter().enumerate().map(move |(at, &step)| (step as usize, self.histograms.value(self.start + at)))
    }

    #[inline]
    fn get(self, step: usize) -> Option<&'a [u8]> {
        if self.steps.is_empty() {
            return None;
        }
        let at = self.steps.binary_search_by(|held| (*held as usize).cmp(&step)).ok()?;
        Some(self.histograms.value(self.start + at))
    }
}

/// A batch of [`schema`], with its columns at hand.
#[derive(Clone, Debug)]
pub(crate) struct VectorBatch {
    batch: RecordBatch,
    steps: usize,
}

/// One series: its labels and its cells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) labels: &'a [u8],
    values: &'a [f64],
    nulls: Option<&'a NullBuffer>,
    /// Where the cells of the row start in `nulls`.
    start: usize,
    pub(crate) histograms: HistogramRow<'a>,
}

impl<'a> Row<'a> {
    /// The float at a step.
    #[inline]
    pub(crate) fn get(&self, step: usize) -> Option<f64> {
        self.nulls.is_none_or(|nulls| nulls.is_valid(self.start + step)).then(|| self.values[step])
    }

    /// The float or histogram at a step.
    #[inline]
    pub(crate) fn cell(&self, step: usize) -> Option<Cell<'a>> {
        self.get(step).map(Cell::Float).or_else(|| self.histograms.get(step).map(Cell::Encoded))
    }

    pub(crate) fn histogram(&self, step: usize) -> Option<FloatHistogram> {
        self.histograms.get(step).map(decoded)
    }

    /// All cells, when each is a float.
    #[inline]
    pub(crate) fn whole(&self) -> Option<&'a [f64]> {
        self.nulls.is_none().then_some(self.values)
    }

    pub(crate) fn has_histograms(&self) -> bool {
        !self.histograms.steps.is_empty()
    }

    #[inline]
    pub(crate) fn has_histogram(&self, step: usize) -> bool {
        self.histograms.get(step).is_some()
    }

    #[inline]
    pub(crate) fn is_present(&self, step: usize) -> bool {
        self.nulls.is_none_or(|nulls| nulls.is_valid(self.start + step)) || self.has_histogram(step)
    }
}

impl VectorBatch {
    pub(crate) fn new(batch: RecordBatch, steps: usize) -> Self {
        Self { batch, steps }
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let labels: &BinaryArray = downcast(self.batch.column(0));
        let lists: &FixedSizeListArray = downcast(self.batch.column(1));
        let cells: &Float64Array = downcast(lists.values());
        (0..self.batch.num_rows()).map(move |row| {
            let start = row * self.steps;
            Row {
                labels: labels.value(row),
                values: &cells.values()[start..start + self.steps],
                nulls: cells.nulls(),
                start,
                histograms: HistogramRow::of(&self.batch, 2, row),
            }
        })
    }
}

pub(crate) fn downcast<T: Array + 'static>(array: &ArrayRef) -> &T {
    array.as_any().downcast_ref().expect("the schema between operators is fixed")
}

/// All batches of an input.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    pub(crate) steps: usize,
    pub(crate) batches: Vec<VectorBatch>,
}

impl Vector {
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.batches.iter().flat_map(VectorBatch::rows)
    }

    /// The cells of a scalar: its only row.
    pub(crate) fn scalar(&self) -> Vec<f64> {
        let row = self.rows().next();
        (0..self.steps).map(|step| row.and_then(|row| row.get(step)).unwrap_or(f64::NAN)).collect()
    }
}

/// Collects rows into batches.
#[derive(Debug)]
pub(crate) struct VectorBuilder {
    steps: usize,
    series_max: usize,
    labels: BinaryBuilder,
    rows: usize,
    values: Vec<f64>,
    /// One bit for each of `values`.
    present: BooleanBufferBuilder,
    /// The cells that the row under way lacks.
    absent: Vec<usize>,
    histograms: HistogramColumns,
    done: Vec<RecordBatch>,
}

impl VectorBuilder {
    /// Cuts batches at the size that `grid` asks for.
    pub(crate) fn new(grid: &Grid) -> Self {
        Self::with_series_max(grid.steps, grid.batch_series_max())
    }

    /// Everything into one batch.
    pub(crate) fn single(steps: usize) -> Self {
        Self::with_series_max(steps, usize::MAX)
    }

    fn with_series_max(steps: usize, series_max: usize) -> Self {
        Self {
            steps,
            series_max,
            labels: BinaryBuilder::new(),
            rows: 0,
            values: Vec::new(),
            present: BooleanBufferBuilder::new(0),
            absent: Vec::new(),
            histograms: HistogramColumns::default(),
            done: Vec::new(),
        }
    }

    /// Adds a series whose float at each step is what `cell` gives, asked in the order of the steps. A series without any value
    /// is no row; whether it was one is returned.
    pub(crate) fn push(&mut self, labels: &[u8], mut cell: impl FnMut(usize) -> Option<f64>) -> bool {
        let before = self.values.len();
        self.absent.clear();
        self.values.extend((0..self.steps).map(|step| {
            cell(step).unwrap_or_else(|| {
                self.absent.push(before + step);
                0.0
            })
        }));
        self.end_row(labels, before, self.histograms.len())
    }

    /// Adds a series with floats and histograms, as [`VectorBuilder::push`] does.
    pub(crate) fn push_cells<'a>(&mut self, labels: &[u8], mut cell: impl FnMut(usize) -> Option<Cell<'a>>) -> bool {
        let (before, histograms_before) = (self.values.len(), self.histograms.len());
        self.absent.clear();
        for step in 0..self.steps {
            let value = match cell(step) {
                Some(Cell::Float(value)) => Some(value),
                Some(Cell::Encoded(bytes)) => {
                    self.histograms.push(step, bytes);
                    None
                }
                Some(Cell::Histogram(histogram)) => {
                    self.histograms.push(step, &histogram.to_bytes());
                    None
                }
                None => None,
            };
            if value.is_none() {
                self.absent.push(before + step);
            }
            self.values.push(value.unwrap_or(0.0));
        }
        self.end_row(labels, before, histograms_before)
    }

    fn end_row(&mut self, labels: &[u8], before: usize, histograms_before: usize) -> bool {
        if self.absent.len() == self.steps && self.histograms.len() == histograms_before {
            self.values.truncate(before);
            return false;
        }
        // Most rows are whole, and their bits are written at once.
        self.present.append_n(self.steps, true);
        self.absent.iter().for_each(|&at| self.present.set_bit(at, false));
        self.labels.append_value(labels);
        self.histograms.end_row();
        self.rows += 1;
        if self.rows >= self.series_max {
            self.cut();
        }
        true
    }

    /// Adds a series as it is.
    pub(crate) fn push_row(&mut self, row: &Row<'_>) -> bool {
        self.push_row_as(row.labels, row)
    }

    /// Adds the cells of a series under other labels.
    pub(crate) fn push_row_as(&mut self, labels: &[u8], row: &Row<'_>) -> bool {
        match row.has_histograms() {
            true => self.push_cells(labels, |step| row.cell(step)),
            false => self.push(labels, |step| row.get(step)),
        }
    }

    fn cut(&mut self) {
        let values = std::mem::take(&mut self.values);
        let present = NullBuffer::new(self.present.finish());
        let present = (present.null_count() > 0).then_some(present);
        let [steps, histograms] = self.histograms.finish();
        let columns: Vec<ArrayRef> =
            vec![Arc::new(self.labels.finish()), cells_column(values, present, self.steps), steps, histograms];
        self.rows = 0;
        let batch = RecordBatch::try_new(schema(self.steps), columns).expect("the columns fit the schema");
        self.done.push(batch);
    }

    /// The batches; none when there was no row.
    pub(crate) fn finish(mut self) -> Vec<RecordBatch> {
        if self.rows > 0 {
            self.cut();
        }
        self.done
    }

    /// The one batch of [`VectorBuilder::single`], also when it has no row.
    pub(crate) fn finish_single(mut self) -> RecordBatch {
        self.cut();
        self.done.pop().expect("a batch was just cut")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_values_is_dropped_and_absent_is_not_nan() {
        let mut builder = VectorBuilder::single(2);
        assert!(builder.push(b"a", |step| (step == 1).then_some(f64::NAN)));
        assert!(!builder.push(b"b", |_| None));
        assert!(builder.push(b"c", |_| Some(1.0)));
        let batch = VectorBatch::new(builder.finish_single(), 2);
        let rows: Vec<_> = batch.rows().collect();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].get(0), rows[0].get(1).map(f64::is_nan)), (None, Some(true)));
        assert_eq!((rows[1].labels, rows[1].get(0)), (b"c".as_slice(), Some(1.0)));
    }

    #[test]
    fn a_cell_is_a_float_a_histogram_or_absent() {
        let histogram = FloatHistogram::empty(0, Vec::new());
        let mut builder = VectorBuilder::single(3);
        let cells = [Some(Cell::Float(1.0)), None, Some(Cell::from(histogram.clone()))];
        assert!(builder.push_cells(b"a", |step| cells[step].clone()));
        assert!(builder.push(b"b", |_| Some(2.0)));
        assert!(!builder.push_cells(b"c", |_| None));
        let batch = VectorBatch::new(builder.finish_single(), 3);
        let rows: Vec<_> = batch.rows().collect();
        assert_eq!([0, 1, 2].map(|step| rows[0].get(step)), [Some(1.0), None, None]);
        assert_eq!([0, 1, 2].map(|step| rows[0].is_present(step)), [true, false, true]);
        assert_eq!((rows[0].histogram(2), rows[0].histogram(0)), (Some(histogram), None));
        assert_eq!((rows[0].has_histograms(), rows[1].has_histograms(), rows.len()), (true, false, 2));
    }

    #[test]
    fn batches_are_cut_at_the_size_of_the_grid() {
        let grid = Grid::range(0, (1 << 19) - 1, 1);
        let mut builder = VectorBuilder::new(&grid);
        for _ in 0..3 {
            builder.push(b"", |_| Some(0.0));
        }
        assert_eq!(builder.finish().iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 1]);
    }
}
