//! Rows of equal labels into one.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use hashbrown::HashMap;

use crate::error::Error;
use crate::exec::operator::{Operator, whole_inputs};
use crate::grid::Grid;
use crate::vector::{self, Row, Vector, VectorBuilder};

/// Stands behind what takes the metric name away from series of several names. Two series that are left with the same labels
/// are one when they are never present at the same step, and an error otherwise: a range query is its instants.
#[derive(Debug)]
pub(crate) struct MergeSeries {
    pub(crate) grid: Grid,
}

/// Vectors by labels, in the order in which the labels came up. Its memory is on the operator's account.
#[derive(Debug)]
pub(crate) struct Merged<'a> {
    account: &'a MemoryReservation,
    steps: usize,
    ids: HashMap<Box<[u8]>, usize>,
    labels: Vec<Box<[u8]>>,
    cells: Vec<Option<f64>>,
}

impl<'a> Merged<'a> {
    pub(crate) fn new(steps: usize, account: &'a MemoryReservation) -> Self {
        Self { account, steps, ids: HashMap::new(), labels: Vec::new(), cells: Vec::new() }
    }

    /// Adds the cells of a series.
    pub(crate) fn add(&mut self, labels: &[u8], mut cell: impl FnMut(usize) -> Option<f64>) -> Result<(), Error> {
        let next = self.labels.len();
        let id = match self.ids.get(labels) {
            Some(&id) => id,
            None => {
                let bytes = self.steps * size_of::<Option<f64>>() + 2 * labels.len() + 64;
                self.account.try_grow(bytes).map_err(Error::from_datafusion)?;
                self.ids.insert(labels.into(), next);
                self.labels.push(labels.into());
                self.cells.resize(self.cells.len() + self.steps, None);
                next
            }
        };
        let cells = &mut self.cells[id * self.steps..(id + 1) * self.steps];
        for (step, held) in cells.iter_mut().enumerate() {
            let Some(value) = cell(step) else { continue };
            if held.replace(value).is_some() {
                return Err(Error::execution("vector cannot contain metrics with the same labelset"));
            }
        }
        Ok(())
    }

    pub(crate) fn add_row(&mut self, row: &Row<'_>) -> Result<(), Error> {
        self.add(row.labels, |step| row.get(step))
    }

    pub(crate) fn finish(self, grid: &Grid) -> Vec<RecordBatch> {
        let mut out = VectorBuilder::new(grid);
        for (id, labels) in self.labels.iter().enumerate() {
            out.push(labels, |step| self.cells[id * self.steps + step]);
        }
        out.finish()
    }
}

impl MergeSeries {
    fn merge(&self, input: &Vector, account: &MemoryReservation) -> Result<Vec<RecordBatch>, Error> {
        let mut merged = Merged::new(self.grid.steps, account);
        for row in input.rows() {
            merged.add_row(&row)?;
        }
        Ok(merged.finish(&self.grid))
    }
}

impl Operator for MergeSeries {
    const NAME: &'static str = "MergeSeriesExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("overlap=error")
    }

    fn schema(&self) -> SchemaRef {
        vector::schema(self.grid.steps)
    }

    fn execute(
        self: &Arc<Self>,
        inputs: &[Arc<dyn ExecutionPlan>],
        _: usize,
        context: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let operator = Arc::clone(self);
        let compute = move |vectors: Vec<Vector>, account: &MemoryReservation| operator.merge(&vectors[0], account);
        whole_inputs(Self::NAME, self.schema(), self.grid.steps, inputs, context, compute)
    }
}
