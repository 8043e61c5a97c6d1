//! Repeats at every step what does not depend on the step.

use std::fmt;

use arrow::array::RecordBatch;

use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::whole_input::WholeInputOperator;
use crate::grid::Grid;
use crate::vector::{Vector, VectorBuilder};

/// Repeats its input, which has one step. Each cell becomes a row of equal cells.
#[derive(Debug, PartialEq)]
pub(crate) struct RepeatStep {
    pub(crate) grid: Grid,
}

impl RepeatStep {
    fn repeat(&self, input: &Vector, allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        let mut out = VectorBuilder::new(&self.grid);
        for row in input.rows() {
            allowance.check()?;
            out.push_cells(row.labels, |_| row.cell(0));
        }

        Ok(out.finish())
    }
}

impl WholeInputOperator for RepeatStep {
    const NAME: &'static str = "RepeatStepExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "steps={}", self.grid.steps)
    }

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn input_steps(&self) -> usize {
        1
    }

    fn compute(&self, inputs: &[Vector], allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        self.repeat(&inputs[0], allowance)
    }
}
