//! Drops metric names at the end of a query, with delayed name removal.

use std::fmt;

use arrow::array::RecordBatch;
use duramen_model::LabelsBuilder;

use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::merged::Merged;
use crate::exec::support::whole_input::WholeInputOperator;
use crate::grid::Grid;
use crate::label_set::is_marked;
use crate::name_removal::NameLabels;
use crate::vector::Vector;

/// Drops the names that are marked, and the marks. Series that become equal are merged. It is an
/// error if they overlap.
#[derive(Debug, PartialEq)]
pub(crate) struct RemoveNames {
    pub(crate) grid: Grid,
    pub(crate) names: NameLabels,
}

impl RemoveNames {
    fn remove(&self, input: &Vector, allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        let others = self.names.others();
        let mut labels = LabelsBuilder::default();
        let mut merged = Merged::new(self.grid.steps, allowance);

        for row in input.rows() {
            if !is_marked(row.labels) {
                merged.add_row(&row)?;
                continue;
            }

            others.apply(row.labels, &mut labels);
            merged.add_cells(labels.encoded(), |step| row.cell(step))?;
        }

        Ok(merged.finish(&self.grid))
    }
}

impl WholeInputOperator for RemoveNames {
    const NAME: &'static str = "RemoveNamesExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "labels={:?}", self.names)
    }

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn compute(&self, inputs: &[Vector], allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        self.remove(&inputs[0], allowance)
    }
}
