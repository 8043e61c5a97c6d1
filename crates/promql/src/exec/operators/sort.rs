//! `sort` and similar functions.

use std::cmp::Ordering;
use std::fmt;

use arrow::array::RecordBatch;
use duramen_model::labels::LabelsIter;
use duramen_syntax::PosRange;

use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::cancellation::sorted;
use crate::exec::support::whole_input::WholeInputOperator;
use crate::grid::Grid;
use crate::kernels::natural;
use crate::label_set::{unmarked, value_of};
use crate::plan::function::{Direction, SortKey};
use crate::vector::{Row, Vector, VectorBuilder};

/// Sorts the rows of a one-step vector. A vector of more steps has no order.
#[derive(Debug, PartialEq)]
pub(crate) struct Sort {
    pub(crate) grid: Grid,
    pub(crate) direction: Direction,
    pub(crate) key: SortKey,
    /// The position of the call, for annotations.
    pub(crate) pos: PosRange,
}

impl Sort {
    fn sort(&self, input: &Vector, allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        let mut rows: Vec<Row<'_>> = input.rows().collect();
        if self.grid.steps > 1 {
            let text =
                "sort is ineffective for range queries since results are always ordered by labels";
            allowance.annotations().warn(text, self.pos);
        } else {
            rows = sorted(rows, &allowance.cancellation, |a, b| self.compare(a, b))?;
        }

        let mut out = VectorBuilder::new(&self.grid);

        for row in rows {
            allowance.check()?;

            // A histogram has no value to sort by. It is dropped even if nothing is sorted.
            match self.key {
                SortKey::Value => out.push(row.labels, |step| row.get(step)),
                SortKey::Labels(_) => out.push_row(&row),
            };
        }

        Ok(out.finish())
    }

    fn compare<'a>(&self, a: &Row<'a>, b: &Row<'a>) -> Ordering {
        let directed = |order: Ordering| match self.direction {
            Direction::Ascending => order,
            Direction::Descending => order.reverse(),
        };

        match &self.key {
            SortKey::Value => {
                let value = |row: &Row<'_>| row.get(0).unwrap_or(f64::NAN);
                let a = value(a);
                let b = value(b);

                a.is_nan()
                    .cmp(&b.is_nan())
                    .then(directed(a.partial_cmp(&b).unwrap_or(Ordering::Equal)))
            }
            SortKey::Labels(names) => {
                let label = |name: &String| {
                    natural::compare(value_of(a.labels, name), value_of(b.labels, name))
                };
                let by_names = names.iter().map(label).find(|order| order.is_ne());
                let all = |row: &Row<'a>| LabelsIter::over(unmarked(row.labels));

                directed(by_names.unwrap_or_else(|| all(a).cmp(all(b))))
            }
        }
    }
}

impl WholeInputOperator for Sort {
    const NAME: &'static str = "SortExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key={:?}, direction={:?}", self.key, self.direction)
    }

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn compute(&self, inputs: &[Vector], allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        self.sort(&inputs[0], allowance)
    }
}
