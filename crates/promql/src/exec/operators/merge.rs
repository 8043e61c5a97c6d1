//! Merges rows with equal labels into one.

use std::fmt;

use arrow::array::RecordBatch;
use hashbrown::HashSet;

use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::merged::Merged;
use crate::exec::support::whole_input::WholeInputOperator;
use crate::grid::Grid;
use crate::vector::{Vector, VectorBatch};

/// Follows an operator that drops the metric name from series of several names. Two series with the
/// same labels become one if they are never present at the same step. Otherwise it is an error,
/// because a range query must give what its instant queries give.
#[derive(Debug, PartialEq)]
pub(crate) struct MergeSeries {
    pub(crate) grid: Grid,
}

/// Returns whether label sets are distinct.
fn are_distinct(input: &Vector, allowance: &Allowance) -> Result<bool, Error> {
    let mut seen = HashSet::new();

    for batch in &input.batches {
        allowance.check()?;
        seen.reserve(batch.len());

        if !batch.rows().all(|row| seen.insert(row.labels)) {
            return Ok(false);
        }
    }

    Ok(true)
}

impl MergeSeries {
    /// Returns the input unchanged if there is nothing to merge, as in nearly every query.
    fn merge(&self, input: &Vector, allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        if are_distinct(input, allowance)? {
            return Ok(input.batches.iter().map(VectorBatch::record).collect());
        }

        let mut merged = Merged::new(self.grid.steps, allowance);
        for row in input.rows() {
            merged.add_row(&row)?;
        }

        Ok(merged.finish(&self.grid))
    }
}

impl WholeInputOperator for MergeSeries {
    const NAME: &'static str = "MergeSeriesExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("overlap=error")
    }

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn compute(&self, inputs: &[Vector], allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        self.merge(&inputs[0], allowance)
    }
}
