//! The form of an instant vector over a grid: one row is one series.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryBuilder, BooleanBufferBuilder, FixedSizeListArray, Float64Array, RecordBatch,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::grid::Grid;

/// `labels`: the encoded form of [`duramen_model::Labels`]. `values`: one cell per step; null is absent. Absent, NaN and stale are
/// three things: NaN is a value like any other, and a stale marker never leaves the selector.
pub(crate) fn schema(steps: usize) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("labels", DataType::Binary, false),
        Field::new("values", DataType::FixedSizeList(item(), width(steps)), false),
    ]))
}

fn item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float64, true))
}

fn width(steps: usize) -> i32 {
    i32::try_from(steps).expect("the planner bounds the steps")
}

/// The column of flat cells, as it stands in a batch.
pub(crate) fn cells_column(values: Vec<f64>, present: Option<NullBuffer>, steps: usize) -> ArrayRef {
    let cells = Arc::new(Float64Array::new(values.into(), present));
    Arc::new(FixedSizeListArray::new(item(), width(steps), cells, None))
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
}

impl Row<'_> {
    #[inline]
    pub(crate) fn get(&self, step: usize) -> Option<f64> {
        self.is_present(step).then(|| self.values[step])
    }

    /// All cells, when none is absent.
    #[inline]
    pub(crate) fn whole(&self) -> Option<&[f64]> {
        self.nulls.is_none().then_some(self.values)
    }

    #[inline]
    pub(crate) fn is_present(&self, step: usize) -> bool {
        self.nulls.is_none_or(|nulls| nulls.is_valid(self.start + step))
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
            done: Vec::new(),
        }
    }

    /// Adds a series whose cell at each step is what `cell` gives, asked in the order of the steps. A series without any value
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
        if self.absent.len() == self.steps {
            self.values.truncate(before);
            return false;
        }
        // Most rows are whole, and their bits are written at once.
        self.present.append_n(self.steps, true);
        self.absent.iter().for_each(|&at| self.present.set_bit(at, false));
        self.labels.append_value(labels);
        self.rows += 1;
        if self.rows >= self.series_max {
            self.cut();
        }
        true
    }

    fn cut(&mut self) {
        let values = std::mem::take(&mut self.values);
        let present = NullBuffer::new(self.present.finish());
        let present = (present.null_count() > 0).then_some(present);
        let columns: Vec<ArrayRef> = vec![Arc::new(self.labels.finish()), cells_column(values, present, self.steps)];
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
    fn batches_are_cut_at_the_size_of_the_grid() {
        let grid = Grid::range(0, (1 << 19) - 1, 1);
        let mut builder = VectorBuilder::new(&grid);
        for _ in 0..3 {
            builder.push(b"", |_| Some(0.0));
        }
        assert_eq!(builder.finish().iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2, 1]);
    }
}
