//! Merges rows with equal labels.

use arrow::array::RecordBatch;
use hashbrown::HashMap;

use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::grid::Grid;
use crate::vector::{Cell, Row, VectorBuilder};

/// Vectors by labels, in the order in which the labels were first seen. Its memory is reserved in
/// the operator's allowance.
#[derive(Debug)]
pub(crate) struct Merged<'a> {
    pub(crate) allowance: &'a Allowance,
    steps: usize,
    ids: HashMap<Box<[u8]>, usize>,
    labels: Vec<Box<[u8]>>,
    cells: Vec<Box<[Option<f64>]>>,
    /// By series and step, in byte form. There is no float at such a step.
    histograms: HashMap<(usize, usize), Box<[u8]>>,
}

impl<'a> Merged<'a> {
    pub(crate) fn new(steps: usize, allowance: &'a Allowance) -> Self {
        Self {
            allowance,
            steps,
            ids: HashMap::new(),
            labels: Vec::new(),
            cells: Vec::new(),
            histograms: HashMap::new(),
        }
    }

    /// Adds the floats of a series.
    pub(crate) fn add(
        &mut self,
        labels: &[u8],
        cell: impl FnMut(usize) -> Option<f64>,
    ) -> Result<(), Error> {
        let mut cell = cell;
        self.add_cells(labels, |step| cell(step).map(Cell::Float))
    }

    /// Adds the cells of a series.
    pub(crate) fn add_cells<'c>(
        &mut self,
        labels: &[u8],
        cell: impl FnMut(usize) -> Option<Cell<'c>>,
    ) -> Result<(), Error> {
        self.add_cells_at(labels, 0..self.steps, cell)
    }

    /// Adds the cells of a series at some of the steps.
    pub(crate) fn add_cells_at<'c>(
        &mut self,
        labels: &[u8],
        steps: impl IntoIterator<Item = usize>,
        mut cell: impl FnMut(usize) -> Option<Cell<'c>>,
    ) -> Result<(), Error> {
        self.allowance.check()?;

        let id = self.id(labels)?;

        for step in steps {
            let Some(cell) = cell(step) else { continue };
            let held = &mut self.cells[id][step];

            let bytes = match cell {
                Cell::Float(value) => {
                    if held.replace(value).is_some() || self.histograms.contains_key(&(id, step)) {
                        return Err(Error::same_labels());
                    }

                    continue;
                }
                Cell::Encoded(bytes) => bytes.into(),
                Cell::Histogram(histogram) => histogram.to_bytes().into_boxed_slice(),
            };

            self.allowance.grow(bytes.len() + 64)?;
            if held.is_some() || self.histograms.insert((id, step), bytes).is_some() {
                return Err(Error::same_labels());
            }
        }

        Ok(())
    }

    /// Returns the index of a series. The memory of a new series is reserved first.
    fn id(&mut self, labels: &[u8]) -> Result<usize, Error> {
        if let Some(&id) = self.ids.get(labels) {
            return Ok(id);
        }

        let id = self.labels.len();

        // The labels are in the map, in the list, and in the output. There they may be longer than
        // those of the input.
        let bytes = self.steps * size_of::<Option<f64>>() + 3 * labels.len() + 64;
        self.allowance.grow(bytes)?;
        self.ids.insert(labels.into(), id);
        self.labels.push(labels.into());
        self.cells.push(vec![None; self.steps].into());

        Ok(id)
    }

    pub(crate) fn add_row(&mut self, row: &Row<'_>) -> Result<(), Error> {
        self.add_cells(row.labels, |step| row.cell(step))
    }

    pub(crate) fn finish(self, grid: &Grid) -> Vec<RecordBatch> {
        let mut out = VectorBuilder::new(grid);

        for (id, labels) in self.labels.iter().enumerate() {
            let float = |step: usize| self.cells[id][step];
            if self.histograms.is_empty() {
                out.push(labels, float);
                continue;
            }

            out.push_cells(labels, |step| {
                let histogram = || {
                    self.histograms
                        .get(&(id, step))
                        .map(|bytes| Cell::Encoded(bytes))
                };

                float(step).map(Cell::Float).or_else(histogram)
            });
        }

        out.finish()
    }
}
