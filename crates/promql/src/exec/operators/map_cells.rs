//! Functions of each cell separately.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_common::error::Result;
use datafusion_execution::SendableRecordBatchStream;
use datafusion_physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use duramen_syntax::PosRange;

use crate::annotation::Annotation;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::arguments::{Arguments, at_step};
use crate::exec::support::execution::Execution;
use crate::exec::support::operator::Operator;
use crate::grid::Grid;
use crate::kernels::arithmetic;
use crate::kernels::binary::combine;
use crate::kernels::cell::CellFunction;
use crate::name_removal::NameRemoval;
use crate::plan::function::{CellChange, Side};
use crate::vector::{self, Cell, Row, Sample, VectorBatch, VectorBuilder};

/// Maps the cells of the first input. Each batch gives one batch, even if it is empty. The other
/// inputs are scalars.
#[derive(Debug, PartialEq)]
pub(crate) struct MapCells {
    pub(crate) change: CellChange,
    pub(crate) grid: Grid,
    /// The position of the whole expression, for annotations.
    pub(crate) pos: PosRange,
    pub(crate) names: NameRemoval,
}

impl CellChange {
    /// Returns the new value of a cell. `None` removes the cell.
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
                    // The value of the vector is kept, whichever side it is on.
                    return arithmetic::compare(op, a, b).then_some(value);
                }

                Some(arithmetic::value(op, a, b))
            }
        }
    }
}

impl MapCells {
    fn evaluate(
        &self,
        batch: RecordBatch,
        arguments: &[Vec<f64>],
        allowance: &Allowance,
    ) -> Result<RecordBatch> {
        // The output of the call before is with the receiver, who has reserved it.
        allowance.hold(VectorBuilder::single_bytes(
            self.grid.steps,
            batch.num_rows(),
        ))?;

        let mut out = VectorBuilder::single(self.grid.steps, batch.num_rows());
        let mut nameless = self.names.nameless();

        for row in VectorBatch::new(batch, self.grid.steps).rows() {
            allowance.check()?;

            let labels = if self.change.drops_name() {
                nameless.remove_from(row.labels)
            } else {
                row.labels
            };

            let trims =
                matches!(self.change, CellChange::WithScalar { op, .. } if arithmetic::is_trim(op));
            if row.has_histograms()
                || trims
                || matches!(self.change, CellChange::Function(CellFunction::Native(_)))
            {
                out.push_cells(labels, |step| self.mixed(&row, step, arguments, allowance));
                allowance.hold(out.bytes())?;
                continue;
            }

            out.push(labels, |step| {
                self.change
                    .apply(row.get(step)?, at_step(arguments, step), self.grid.at(step))
            });
        }

        allowance.hold(out.bytes())?;
        Ok(out.finish_single())
    }

    /// Returns the new cell at a step of a row that may have histograms.
    fn mixed<'a>(
        &self,
        row: &Row<'a>,
        step: usize,
        arguments: &[Vec<f64>],
        allowance: &Allowance,
    ) -> Option<Cell<'a>> {
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
                    |annotation: Annotation<'_>| allowance.annotations().add(annotation, self.pos);
                combine(op, return_bool, left, right, &mut annotate)
                    .map(Cell::from)
                    .value()
            }
        }
    }
}

impl Operator for MapCells {
    const NAME: &'static str = "MapCellsExec";

    type Shared = Arguments;

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
        self: Arc<Self>,
        execution: Execution<Arguments>,
    ) -> Result<SendableRecordBatchStream> {
        let allowance = execution.allowance();
        let steps = self.grid.steps;

        Ok(execution.mapped_with_arguments(
            steps,
            |execution| execution.input(0),
            move |batch, arguments| self.evaluate(batch, arguments, &allowance).map(Some),
        ))
    }
}
