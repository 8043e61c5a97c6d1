//! `absent`: a series at the steps at which the input has none.

use std::fmt;

use arrow::array::RecordBatch;
use duramen_model::Labels;

use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::whole_input::WholeInputOperator;
use crate::grid::Grid;
use crate::vector::{Vector, VectorBuilder};

/// Returns 1 at the steps at which the input has no series.
#[derive(Debug, PartialEq)]
pub(crate) struct Absent {
    pub(crate) grid: Grid,
    /// The labels of the resulting series.
    pub(crate) labels: Labels,
}

impl Absent {
    fn evaluate(&self, input: &Vector, allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        let mut present = vec![false; self.grid.steps];
        for row in input.rows() {
            allowance.check()?;
            present
                .iter_mut()
                .enumerate()
                .for_each(|(step, any)| *any |= row.is_present(step));
        }

        let mut out = VectorBuilder::new(&self.grid);
        out.push(self.labels.encoded(), |step| {
            (!present[step]).then_some(1.0)
        });
        Ok(out.finish())
    }
}

impl WholeInputOperator for Absent {
    const NAME: &'static str = "AbsentExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "labels={:?}", self.labels)
    }

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn compute(&self, inputs: &[Vector], allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        self.evaluate(&inputs[0], allowance)
    }
}
