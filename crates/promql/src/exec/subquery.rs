//! A vector over a grid, read as series of samples.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use duramen_source::{SeriesBatch, SeriesBatchBuilder};
use futures::TryStreamExt;

use crate::exec::operator::Operator;
use crate::grid::Grid;
use crate::vector::VectorBatch;

/// Stands between the expression of a subquery, which is evaluated on a grid of its own, and the range function over it.
#[derive(Debug)]
pub(crate) struct Subquery {
    /// Of the input.
    pub(crate) grid: Grid,
}

impl Subquery {
    fn samples(&self, batch: RecordBatch) -> RecordBatch {
        let mut out = SeriesBatchBuilder::default();
        for row in VectorBatch::new(batch, self.grid.steps).rows() {
            out.samples_mut(|ts, values| {
                for (step, value) in (0..self.grid.steps).filter_map(|step| Some((step, row.get(step)?))) {
                    ts.push(self.grid.at(step));
                    values.push(value);
                }
            });
            out.end_series(row.labels);
        }
        out.finish().into_record_batch()
    }
}

impl Operator for Subquery {
    const NAME: &'static str = "SubqueryExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Grid { start_ms, step_ms, steps } = self.grid;
        write!(f, "start={start_ms}, step={step_ms}ms, steps={steps}")
    }

    fn schema(&self) -> SchemaRef {
        SeriesBatch::schema()
    }

    fn execute(
        self: &Arc<Self>,
        inputs: &[Arc<dyn ExecutionPlan>],
        _: usize,
        context: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let operator = Arc::clone(self);
        let stream = inputs[0].execute(0, Arc::clone(context))?.map_ok(move |batch| operator.samples(batch));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }
}
