//! `absent`: a series where there is none.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use duramen_model::Labels;

use crate::exec::operator::{Operator, whole_inputs};
use crate::grid::Grid;
use crate::vector::{self, Vector, VectorBuilder};

/// 1 at the steps at which the input has no series.
#[derive(Debug)]
pub(crate) struct Absent {
    pub(crate) grid: Grid,
    /// Of the series that is made up.
    pub(crate) labels: Labels,
}

impl Absent {
    fn evaluate(&self, input: &Vector) -> Vec<RecordBatch> {
        let mut present = vec![false; self.grid.steps];
        for row in input.rows() {
            present.iter_mut().enumerate().for_each(|(step, any)| *any |= row.is_present(step));
        }
        let mut out = VectorBuilder::new(&self.grid);
        out.push(self.labels.encoded(), |step| (!present[step]).then_some(1.0));
        out.finish()
    }
}

impl Operator for Absent {
    const NAME: &'static str = "AbsentExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "labels={:?}", self.labels)
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
        let compute = move |vectors: Vec<Vector>, _: &MemoryReservation| Ok(operator.evaluate(&vectors[0]));
        whole_inputs(Self::NAME, self.schema(), self.grid.steps, inputs, context, compute)
    }
}
