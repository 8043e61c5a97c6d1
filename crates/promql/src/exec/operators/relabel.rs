//! `label_replace` and `label_join`.

use std::fmt;

use arrow::array::RecordBatch;
use duramen_model::METRIC_NAME;

use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::merged::Merged;
use crate::exec::support::whole_input::WholeInputOperator;
use crate::grid::Grid;
use crate::label_set::{unmarked, value_of, with_label};
use crate::plan::function::LabelValue;
use crate::vector::Vector;

/// Writes one label of each series. Series that become equal are merged. It is an error if they
/// overlap.
#[derive(Debug, PartialEq)]
pub(crate) struct Relabel {
    pub(crate) grid: Grid,
    /// The label that is written.
    pub(crate) target: String,
    pub(crate) value: LabelValue,
}

/// How many copies of its labels and its new text a series takes while it is made: the text as it
/// grows, up to twice its length, the label set, and its marked form.
const COPIES: usize = 4;

impl LabelValue {
    /// Returns the maximum length of the text for a series. A few nested calls can make gigabytes
    /// of a short label.
    fn bytes_max(&self, labels: &[u8]) -> usize {
        match self {
            Self::Replace {
                source, template, ..
            } => template.len() + template.matches('$').count() * value_of(labels, source).len(),
            Self::Join { sources, separator } => sources
                .iter()
                .map(|source| value_of(labels, source).len() + separator.len())
                .sum(),
        }
    }
}

impl Relabel {
    fn relabel(&self, input: &Vector, allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        let mut out = Merged::new(self.grid.steps, allowance);

        for row in input.rows() {
            let making = COPIES * (row.labels.len() + self.value.bytes_max(row.labels));
            allowance.grow(making)?;

            match self.value_for(row.labels) {
                Some(value) => {
                    // A name that is written here is new, so the mark does not apply to it.
                    let labels = if self.target == METRIC_NAME {
                        unmarked(row.labels)
                    } else {
                        row.labels
                    };

                    out.add_cells(&with_label(labels, &self.target, &value), |step| {
                        row.cell(step)
                    })?;
                }
                None => out.add_row(&row)?,
            }

            allowance.shrink(making);
        }

        Ok(out.finish(&self.grid))
    }

    /// Returns the new value of the label. `None` leaves the series unchanged.
    fn value_for(&self, labels: &[u8]) -> Option<String> {
        match &self.value {
            LabelValue::Replace {
                source,
                pattern,
                template,
            } => pattern.replace_all_expand(value_of(labels, source), template),
            LabelValue::Join { sources, separator } => {
                let values: Vec<_> = sources
                    .iter()
                    .map(|source| value_of(labels, source))
                    .collect();

                Some(values.join(separator))
            }
        }
    }
}

impl WholeInputOperator for Relabel {
    const NAME: &'static str = "RelabelExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "target={:?}, value={:?}", self.target, self.value)
    }

    fn grid(&self) -> &Grid {
        &self.grid
    }

    fn compute(&self, inputs: &[Vector], allowance: &Allowance) -> Result<Vec<RecordBatch>, Error> {
        self.relabel(&inputs[0], allowance)
    }
}
