//! What does not depend on the step, at every step.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;

use crate::exec::operator::{Operator, whole_inputs};
use crate::grid::Grid;
use crate::vector::{self, Vector, VectorBuilder};

/// Its input has one step; each of its cells becomes a row of equal cells.
#[derive(Debug)]
pub(crate) struct RepeatStep {
    pub(crate) grid: Grid,
}

impl RepeatStep {
    fn repeat(&self, input: &Vector) -> Vec<RecordBatch> {
        let mut out = VectorBuilder::new(&self.grid);
        for row in input.rows() {
            out.push(row.labels, |_| row.get(0));
        }
        out.finish()
    }
}

impl Operator for RepeatStep {
    const NAME: &'static str = "RepeatStepExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "steps={}", self.grid.steps)
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
        let compute = move |vectors: Vec<Vector>, _: &MemoryReservation| Ok(operator.repeat(&vectors[0]));
        whole_inputs(Self::NAME, self.schema(), 1, inputs, context, compute)
    }
}
