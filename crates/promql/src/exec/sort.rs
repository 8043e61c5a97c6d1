//! `sort` and `sort_desc`.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use duramen_syntax::PosRange;

use crate::annotation::Annotations;
use crate::exec::operator::{Operator, whole_inputs};
use crate::grid::Grid;
use crate::vector::{self, Row, Vector, VectorBuilder};

/// Orders the rows of a one-step vector by value, NaN last. A vector of more steps has no order and passes as it is.
#[derive(Debug)]
pub(crate) struct Sort {
    pub(crate) grid: Grid,
    pub(crate) direction: Direction,
    pub(crate) annotations: Annotations,
    /// Of the call, for remarks.
    pub(crate) pos: PosRange,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

impl Sort {
    fn sort(&self, input: &Vector) -> Vec<RecordBatch> {
        let mut rows: Vec<Row<'_>> = input.rows().collect();
        if self.grid.steps > 1 {
            let text = "sort is ineffective for range queries since results are always ordered by labels";
            self.annotations.warn(text, self.pos);
        } else {
            let value = |row: &Row<'_>| row.get(0).unwrap_or(f64::NAN);
            rows.sort_by(|a, b| {
                let (a, b) = (value(a), value(b));
                let values = a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal);
                let values = if self.direction == Direction::Descending { values.reverse() } else { values };
                a.is_nan().cmp(&b.is_nan()).then(values)
            });
        }
        let mut out = VectorBuilder::new(&self.grid);
        for row in rows {
            out.push(row.labels, |step| row.get(step));
        }
        out.finish()
    }
}

impl Operator for Sort {
    const NAME: &'static str = "SortExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "direction={:?}", self.direction)
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
        let compute = move |vectors: Vec<Vector>| Ok(operator.sort(&vectors[0]));
        whole_inputs(Self::NAME, self.schema(), self.grid.steps, inputs, context, compute)
    }
}
