//! What is computed for each cell by itself.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use duramen_model::LabelsBuilder;
use duramen_syntax::ast::BinaryOp;

use crate::exec::operator::{Operator, whole_inputs};
use crate::grid::Grid;
use crate::kernels::arithmetic;
use crate::kernels::cell::CellFunction;
use crate::label_set::Projection;
use crate::vector::{self, Vector, VectorBuilder};

/// Maps the cells of the first input; the others are scalars.
#[derive(Debug)]
pub(crate) struct MapCells {
    pub(crate) change: CellChange,
    pub(crate) grid: Grid,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum CellChange {
    Negate,
    Function(CellFunction),
    /// An operator with a scalar at one side.
    WithScalar {
        op: BinaryOp,
        return_bool: bool,
        scalar: Side,
    },
}

/// A side of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Left,
    Right,
}

impl CellChange {
    pub(crate) fn drops_name(self) -> bool {
        match self {
            Self::WithScalar { op, return_bool, .. } => arithmetic::drops_name(op, return_bool),
            Self::Negate | Self::Function(_) => true,
        }
    }

    /// The new value of a cell, `None` for no cell.
    #[inline]
    fn apply(self, value: f64, arguments: [f64; 2], time_ms: i64) -> Option<f64> {
        match self {
            Self::Negate => Some(-value),
            Self::Function(function) => function.evaluate(value, arguments, time_ms),
            Self::WithScalar { op, return_bool, scalar } => {
                let (a, b) = match scalar {
                    Side::Left => (arguments[0], value),
                    Side::Right => (value, arguments[0]),
                };
                if op.is_comparison() && !return_bool {
                    // Whichever side the vector is on, its value is the one that is kept.
                    return arithmetic::compare(op, a, b).then_some(value);
                }
                Some(arithmetic::value(op, a, b))
            }
        }
    }
}

impl MapCells {
    fn evaluate(&self, inputs: &[Vector]) -> Vec<RecordBatch> {
        let arguments: Vec<Vec<f64>> = inputs[1..].iter().map(Vector::scalar).collect();
        let argument = |at: usize, step: usize| arguments.get(at).map_or(f64::NAN, |cells| cells[step]);
        let mut out = VectorBuilder::new(&self.grid);
        let mut labels = LabelsBuilder::default();
        let kept = if self.change.drops_name() { Projection::drop_name() } else { Projection::drop(&[]) };
        for row in inputs[0].rows() {
            kept.apply(row.labels, &mut labels);
            out.push(labels.encoded(), |step| {
                let arguments = [argument(0, step), argument(1, step)];
                self.change.apply(row.get(step)?, arguments, self.grid.at(step))
            });
        }
        out.finish()
    }
}

impl Operator for MapCells {
    const NAME: &'static str = "MapCellsExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.change {
            CellChange::Negate => f.write_str("negate"),
            CellChange::Function(CellFunction::Plain(name, _)) => write!(f, "function={name}"),
            CellChange::Function(function) => write!(f, "function={function:?}"),
            CellChange::WithScalar { op, return_bool, scalar } => {
                write!(f, "op={}{}, scalar={scalar:?}", op.as_str(), if return_bool { " bool" } else { "" })
            }
        }
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
        let compute = move |vectors: Vec<Vector>, _: &MemoryReservation| Ok(operator.evaluate(&vectors));
        whole_inputs(Self::NAME, self.schema(), self.grid.steps, inputs, context, compute)
    }
}
