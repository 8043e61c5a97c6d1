//! Vectors as operators read them.

use arrow::array::{Array, BinaryArray, FixedSizeListArray, Float64Array, RecordBatch};
use arrow::buffer::NullBuffer;
use duramen_model::FloatHistogram;

use super::cell::{Cell, decoded};
use super::histograms::HistogramRow;
use super::schema::downcast;

/// A batch of [`schema`](super::schema::schema), with its columns downcast.
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
    /// Returns the float at a step.
    #[inline]
    pub(crate) fn get(&self, step: usize) -> Option<f64> {
        self.nulls
            .is_none_or(|nulls| nulls.is_valid(self.start + step))
            .then(|| self.values[step])
    }

    /// Returns the float or histogram at a step.
    #[inline]
    pub(crate) fn cell(&self, step: usize) -> Option<Cell<'a>> {
        self.get(step)
            .map(Cell::Float)
            .or_else(|| self.histograms.get(step).map(Cell::Encoded))
    }

    pub(crate) fn histogram(&self, step: usize) -> Option<FloatHistogram> {
        self.histograms.get(step).map(decoded)
    }

    /// Returns all cells if each is a float.
    #[inline]
    pub(crate) fn whole(&self) -> Option<&'a [f64]> {
        self.nulls.is_none().then_some(self.values)
    }

    pub(crate) fn has_histograms(&self) -> bool {
        !self.histograms.is_empty()
    }

    #[inline]
    pub(crate) fn has_histogram(&self, step: usize) -> bool {
        self.histograms.get(step).is_some()
    }

    #[inline]
    pub(crate) fn is_present(&self, step: usize) -> bool {
        self.nulls
            .is_none_or(|nulls| nulls.is_valid(self.start + step))
            || self.has_histogram(step)
    }
}

impl VectorBatch {
    pub(crate) fn new(batch: RecordBatch, steps: usize) -> Self {
        Self { batch, steps }
    }

    pub(crate) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Returns the batch that operators pass on, without a copy.
    pub(crate) fn record(&self) -> RecordBatch {
        self.batch.clone()
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

    /// Returns the cells of a scalar, which has one row.
    pub(crate) fn scalar(&self) -> Vec<f64> {
        let row = self.rows().next();
        (0..self.steps)
            .map(|step| row.and_then(|row| row.get(step)).unwrap_or(f64::NAN))
            .collect()
    }
}
