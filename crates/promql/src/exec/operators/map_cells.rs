//! What is computed for each cell by itself.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use duramen_syntax::PosRange;
use futures::{TryStreamExt, stream};

use crate::annotation::Annotation;
use crate::annotation::collector::Annotations;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::arguments::{Arguments, at_step};
use crate::exec::support::operator::Operator;
use crate::grid::Grid;
use crate::kernels::arithmetic;
use crate::kernels::binary::combine;
use crate::kernels::cell::CellFunction;
use crate::name_removal::NameRemoval;
use crate::plan::function::{CellChange, Side};
use crate::vector::{self, Cell, Row, Sample, VectorBatch, VectorBuilder};

/// Maps the cells of the first input, one batch in, one batch out, even if empty; the other inputs
/// are scalars.
#[derive(Debug)]
pub(crate) struct MapCells {
    change: CellChange,
    grid: Grid,
    annotations: Annotations,
    /// Of the whole expression, for annotations.
    pos: PosRange,
    names: NameRemoval,
    arguments: Arguments,
}

impl CellChange {
    /// The new value of a cell, `None` for no cell.
    #[inline]
    fn apply(self, value: f64, arguments: [f64; 2], time_ms: i64) -> Option<f64> {
        match self {
            Self::Negate => Some(-value),
            Self::Function(function) => function.evaluate(value, arguments, time_ms),
            Self::WithScalar {
                op,
                return_bool,
                scalar,
            } => {
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
    pub(crate) fn new(
        change: CellChange,
        grid: Grid,
        annotations: Annotations,
        pos: PosRange,
        names: NameRemoval,
    ) -> Self {
        Self {
            change,
            grid,
            annotations,
            pos,
            names,
            arguments: Arguments::default(),
        }
    }

    fn evaluate(
        &self,
        batch: RecordBatch,
        arguments: &[Vec<f64>],
        allowance: &Allowance,
    ) -> Result<RecordBatch> {
        let mut out = VectorBuilder::single(self.grid.steps, batch.num_rows());
        let mut nameless = self.names.nameless();

        for row in VectorBatch::new(batch, self.grid.steps).rows() {
            allowance.check()?;

            let labels = if self.change.drops_name() {
                nameless.of(row.labels)
            } else {
                row.labels
            };

            let trims =
                matches!(self.change, CellChange::WithScalar { op, .. } if arithmetic::is_trim(op));
            if row.has_histograms()
                || trims
                || matches!(self.change, CellChange::Function(CellFunction::Native(_)))
            {
                out.push_cells(labels, |step| self.mixed(&row, step, arguments));
                allowance.hold(out.bytes())?;
                continue;
            }

            out.push(labels, |step| {
                self.change
                    .apply(row.get(step)?, at_step(arguments, step), self.grid.at(step))
            });
        }

        allowance.hold(0)?;
        Ok(out.finish_single())
    }

    /// The new cell at a step of a row that may have histograms.
    fn mixed<'a>(&self, row: &Row<'a>, step: usize, arguments: &[Vec<f64>]) -> Option<Cell<'a>> {
        let cell = row.cell(step)?;
        let arguments = at_step(arguments, step);

        match self.change {
            CellChange::Function(function) => {
                let value = match cell.decode() {
                    Sample::Float(value) => function.evaluate(value, arguments, self.grid.at(step)),
                    Sample::Histogram(histogram) => {
                        function.evaluate_histogram(&histogram, self.grid.at(step))
                    }
                };

                value.map(Cell::Float)
            }
            CellChange::Negate => Some(match cell.decode() {
                Sample::Float(value) => Cell::Float(-value),
                Sample::Histogram(mut histogram) => {
                    histogram.scale(-1.0);
                    Cell::Histogram(histogram)
                }
            }),
            CellChange::WithScalar {
                op,
                return_bool,
                scalar,
            } => {
                if let Cell::Float(value) = cell
                    && !arithmetic::is_trim(op)
                {
                    return self
                        .change
                        .apply(value, arguments, self.grid.at(step))
                        .map(Cell::Float);
                }

                let cell = cell.decode();
                let argument = Sample::Float(arguments[0]);

                let (left, right) = if scalar == Side::Left {
                    (argument, cell)
                } else {
                    (cell, argument)
                };

                let mut annotate =
                    |annotation: Annotation<'_>| self.annotations.add(annotation, self.pos);
                combine(op, return_bool, left, right, &mut annotate)
                    .map(Cell::from)
                    .value()
            }
        }
    }
}

impl Operator for MapCells {
    const NAME: &'static str = "MapCellsExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.change {
            CellChange::Negate => f.write_str("negate"),
            CellChange::Function(CellFunction::Plain(function)) => {
                write!(f, "function={}", function.name)
            }
            CellChange::Function(function) => write!(f, "function={function:?}"),
            CellChange::WithScalar {
                op,
                return_bool,
                scalar,
            } => {
                write!(
                    f,
                    "op={}{}, scalar={scalar:?}",
                    op.as_str(),
                    if return_bool { " bool" } else { "" }
                )
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
        let operator = Arc::clone(self);
        let inputs = inputs.to_vec();
        let context = Arc::clone(context);

        let output = async move {
            let arguments = operator
                .arguments
                .read(Self::NAME, &inputs[1..], operator.grid.steps, &context)
                .await?;

            let allowance = Allowance::of(Self::NAME, &context);
            let batches = inputs[0].execute(partition, context)?;
            let mapped =
                move |batch| std::future::ready(operator.evaluate(batch, &arguments, &allowance));

            Ok::<_, DataFusionError>(batches.and_then(mapped))
        };

        let stream = stream::once(output).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream,
        )))
    }
}
