//! What is computed for each cell by itself.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use duramen_model::LabelsBuilder;
use duramen_syntax::PosRange;
use duramen_syntax::ast::BinaryOp;
use futures::{TryStreamExt, stream};

use crate::annotation::Annotations;
use crate::exec::arguments::{Arguments, at_step};
use crate::exec::operator::Operator;
use crate::grid::Grid;
use crate::kernels::arithmetic;
use crate::kernels::cell::CellFunction;
use crate::label_set::Projection;
use crate::vector::{self, VectorBatch, VectorBuilder};

/// Maps the cells of the first input, one batch in, one batch out, even if empty; the other inputs are scalars.
#[derive(Debug)]
pub(crate) struct MapCells {
    change: CellChange,
    grid: Grid,
    annotations: Annotations,
    /// Of the whole expression, for remarks.
    pos: PosRange,
    arguments: Arguments,
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
                if arithmetic::is_trim(op) {
                    return None;
                }
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
    pub(crate) fn new(change: CellChange, grid: Grid, annotations: Annotations, pos: PosRange) -> Self {
        Self { change, grid, annotations, pos, arguments: Arguments::default() }
    }

    fn evaluate(&self, batch: RecordBatch, arguments: &[Vec<f64>]) -> RecordBatch {
        let mut out = VectorBuilder::single(self.grid.steps);
        let mut labels = LabelsBuilder::default();
        let kept = if self.change.drops_name() { Projection::drop_name() } else { Projection::drop(&[]) };
        // A row has a cell that is there.
        if let (CellChange::WithScalar { op, .. }, 1..) = (self.change, batch.num_rows())
            && arithmetic::is_trim(op)
        {
            self.annotations.inform_of_floats(op, self.pos);
        }
        for row in VectorBatch::new(batch, self.grid.steps).rows() {
            kept.apply(row.labels, &mut labels);
            out.push(labels.encoded(), |step| {
                self.change.apply(row.get(step)?, at_step(arguments, step), self.grid.at(step))
            });
        }
        out.finish_single()
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

    fn partitions(&self, inputs: &[Arc<dyn ExecutionPlan>]) -> usize {
        inputs[0].output_partitioning().partition_count()
    }

    fn execute(
        self: &Arc<Self>,
        inputs: &[Arc<dyn ExecutionPlan>],
        partition: usize,
        context: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (operator, inputs, context) = (Arc::clone(self), inputs.to_vec(), Arc::clone(context));
        let output = async move {
            let arguments = operator.arguments.read(Self::NAME, &inputs[1..], operator.grid.steps, &context).await?;
            let batches = inputs[0].execute(partition, context)?;
            Ok::<_, DataFusionError>(batches.map_ok(move |batch| operator.evaluate(batch, &arguments)))
        };
        let stream = stream::once(output).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }
}
