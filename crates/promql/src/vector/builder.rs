//! Makes batches of rows.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BinaryBuilder, BooleanBufferBuilder, RecordBatch,
};
use arrow::buffer::NullBuffer;

use super::batch::Row;
use super::cell::Cell;
use super::histograms::HistogramColumns;
use super::schema::{cells_column, schema};
use crate::grid::Grid;

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
    /// The absent cells of the current row.
    absent: Vec<usize>,
    histograms: HistogramColumns,
    done: Vec<RecordBatch>,
}

impl VectorBuilder {
    /// Creates a builder that cuts batches at the size that `grid` asks for.
    pub(crate) fn new(grid: &Grid) -> Self {
        Self::with_series_max(grid.steps, grid.batch_series_max())
    }

    /// Returns what the values of `rows` rows take. To be reserved before
    /// [`VectorBuilder::single`].
    pub(crate) const fn single_bytes(steps: usize, rows: usize) -> usize {
        (rows * size_of::<f64>()).saturating_mul(steps)
    }

    /// Creates a builder of one batch, which has at most `rows` rows.
    pub(crate) fn single(steps: usize, rows: usize) -> Self {
        Self {
            values: Vec::with_capacity(rows * steps),
            ..Self::with_series_max(steps, usize::MAX)
        }
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

    /// Adds a series whose float at each step is what `cell` returns. `cell` is called in the order
    /// of the steps. A series without any value is not added. Returns whether the series was added.
    pub(crate) fn push(&mut self, labels: &[u8], cell: impl FnMut(usize) -> Option<f64>) -> bool {
        self.push_within(labels, 0..self.steps, cell)
    }

    /// [`VectorBuilder::push`] for a series that has values only at the steps `within`. `cell` is
    /// not called for others.
    pub(crate) fn push_within(
        &mut self,
        labels: &[u8],
        within: Range<usize>,
        mut cell: impl FnMut(usize) -> Option<f64>,
    ) -> bool {
        let before = self.values.len();
        self.absent.clear();
        self.values.resize(before + within.start, 0.0);

        self.values.extend(within.clone().map(|step| {
            cell(step).unwrap_or_else(|| {
                self.absent.push(before + step);
                0.0
            })
        }));

        self.values.resize(before + self.steps, 0.0);
        self.end_row(labels, before, within, self.histograms.len())
    }

    /// Adds a series with floats and histograms, as [`VectorBuilder::push`] does.
    pub(crate) fn push_cells<'a>(
        &mut self,
        labels: &[u8],
        mut cell: impl FnMut(usize) -> Option<Cell<'a>>,
    ) -> bool {
        let before = self.values.len();
        let histograms_before = self.histograms.len();
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

        self.end_row(labels, before, 0..self.steps, histograms_before)
    }

    fn end_row(
        &mut self,
        labels: &[u8],
        before: usize,
        within: Range<usize>,
        histograms_before: usize,
    ) -> bool {
        if self.absent.len() == within.len() && self.histograms.len() == histograms_before {
            self.values.truncate(before);
            return false;
        }

        // Most rows have no absent cells, so their bits are written in one go.
        self.present.append_n(within.start, false);
        self.present.append_n(within.len(), true);
        self.present.append_n(self.steps - within.end, false);
        self.absent
            .iter()
            .for_each(|&at| self.present.set_bit(at, false));
        self.labels.append_value(labels);
        self.histograms.end_row();
        self.rows += 1;

        if self.rows >= self.series_max {
            self.cut();
        }

        true
    }

    /// Adds a series unchanged.
    pub(crate) fn push_row(&mut self, row: &Row<'_>) -> bool {
        self.push_row_as(row.labels, row)
    }

    /// Adds the cells of a series with other labels.
    pub(crate) fn push_row_as(&mut self, labels: &[u8], row: &Row<'_>) -> bool {
        match row.has_histograms() {
            true => self.push_cells(labels, |step| row.cell(step)),
            false => self.push(labels, |step| row.get(step)),
        }
    }

    /// Returns the memory of the rows so far, without batches that were cut.
    pub(crate) fn bytes(&self) -> usize {
        self.values.capacity() * size_of::<f64>() + self.histograms.bytes()
    }

    fn cut(&mut self) {
        let mut values = std::mem::take(&mut self.values);
        if values.len() < values.capacity() / 2 {
            // Batches are kept, so unused capacity is returned.
            values.shrink_to_fit();
        }

        let present = NullBuffer::new(self.present.finish());
        let present = (present.null_count() > 0).then_some(present);
        let [steps, histograms] = self.histograms.finish();

        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.labels.finish()),
            cells_column(values, present, self.steps),
            steps,
            histograms,
        ];

        self.rows = 0;

        let batch =
            RecordBatch::try_new(schema(self.steps), columns).expect("the columns fit the schema");
        self.done.push(batch);
    }

    /// Returns the batches. There are none if there was no row.
    pub(crate) fn finish(mut self) -> Vec<RecordBatch> {
        if self.rows > 0 {
            self.cut();
        }

        self.done
    }

    /// Returns the one batch of [`VectorBuilder::single`], even if it has no row.
    pub(crate) fn finish_single(mut self) -> RecordBatch {
        self.cut();
        self.done.pop().expect("a batch was just cut")
    }
}

/// Returns a batch of all series of `labels` whose cells are 1 where `present` says so, row by row.
pub(crate) fn ones(labels: BinaryArray, present: &[bool], steps: usize) -> RecordBatch {
    let nulls = NullBuffer::from(present);
    let nulls = (nulls.null_count() > 0).then_some(nulls);

    let mut histograms = HistogramColumns::default();
    (0..labels.len()).for_each(|_| histograms.end_row());
    let [histogram_steps, histograms] = histograms.finish();

    let columns: Vec<ArrayRef> = vec![
        Arc::new(labels),
        cells_column(vec![1.0; present.len()], nulls, steps),
        histogram_steps,
        histograms,
    ];

    RecordBatch::try_new(schema(steps), columns).expect("the columns fit the schema")
}

#[cfg(test)]
mod tests {
    use duramen_model::FloatHistogram;

    use super::super::batch::VectorBatch;
    use super::*;

    #[test]
    fn a_row_without_values_is_dropped_and_absent_is_not_nan() {
        let mut builder = VectorBuilder::single(2, 3);
        assert!(builder.push(b"a", |step| (step == 1).then_some(f64::NAN)));
        assert!(!builder.push(b"b", |_| None));
        assert!(builder.push(b"c", |_| Some(1.0)));

        let batch = VectorBatch::new(builder.finish_single(), 2);
        let rows: Vec<_> = batch.rows().collect();

        assert_eq!(rows.len(), 2);
        assert_eq!(
            (rows[0].get(0), rows[0].get(1).map(f64::is_nan)),
            (None, Some(true))
        );

        assert_eq!(
            (rows[1].labels, rows[1].get(0)),
            (b"c".as_slice(), Some(1.0))
        );
    }

    #[test]
    fn only_the_steps_within_are_asked_for() {
        let mut builder = VectorBuilder::single(5, 4);
        let cell = |step| (step != 2).then_some(step as f64);

        assert!(builder.push_within(b"a", 1..4, cell));
        assert!(!builder.push_within(b"b", 2..3, cell));
        assert!(!builder.push_within(b"c", 5..5, cell));
        assert!(builder.push(b"d", cell));

        let batch = VectorBatch::new(builder.finish_single(), 5);
        let rows: Vec<_> = batch
            .rows()
            .map(|row| [0, 1, 2, 3, 4].map(|step| row.get(step)))
            .collect();

        assert_eq!(rows[0], [None, Some(1.0), None, Some(3.0), None]);
        assert_eq!(rows[1], [Some(0.0), Some(1.0), None, Some(3.0), Some(4.0)]);
        assert_eq!(rows.len(), 2);
    }

    #[test]
    fn a_cell_is_a_float_a_histogram_or_absent() {
        let histogram = FloatHistogram::empty(0, Vec::new());
        let mut builder = VectorBuilder::single(3, 3);

        let cells = [
            Some(Cell::Float(1.0)),
            None,
            Some(Cell::from(histogram.clone())),
        ];

        assert!(builder.push_cells(b"a", |step| cells[step].clone()));
        assert!(builder.push(b"b", |_| Some(2.0)));
        assert!(!builder.push_cells(b"c", |_| None));

        let batch = VectorBatch::new(builder.finish_single(), 3);
        let rows: Vec<_> = batch.rows().collect();

        assert_eq!(
            [0, 1, 2].map(|step| rows[0].get(step)),
            [Some(1.0), None, None]
        );

        assert_eq!(
            [0, 1, 2].map(|step| rows[0].is_present(step)),
            [true, false, true]
        );

        assert_eq!(
            (rows[0].histogram(2), rows[0].histogram(0)),
            (Some(histogram), None)
        );

        assert_eq!(
            (
                rows[0].has_histograms(),
                rows[1].has_histograms(),
                rows.len()
            ),
            (true, false, 2)
        );
    }

    #[test]
    fn batches_are_cut_at_the_size_of_the_grid() {
        let grid = Grid::range(0, (1 << 19) - 1, 1);
        let mut builder = VectorBuilder::new(&grid);

        for _ in 0..3 {
            builder.push(b"", |_| Some(0.0));
        }

        assert_eq!(
            builder
                .finish()
                .iter()
                .map(RecordBatch::num_rows)
                .collect::<Vec<_>>(),
            [2, 1]
        );
    }
}
