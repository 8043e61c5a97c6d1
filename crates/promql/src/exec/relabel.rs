//! `label_replace` and `label_join`.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use duramen_model::GoRegex;

use crate::error::Error;
use crate::exec::merge::Merged;
use crate::exec::operator::{Operator, whole_inputs};
use crate::grid::Grid;
use crate::label_set::{value_of, with_label};
use crate::vector::{self, Vector};

/// Writes one label of each series. Series that become alike are merged, or an error where they overlap.
#[derive(Debug)]
pub(crate) struct Relabel {
    pub(crate) grid: Grid,
    /// The label that is written.
    pub(crate) target: String,
    pub(crate) value: LabelValue,
}

/// What is written.
#[derive(Clone, Debug)]
pub(crate) enum LabelValue {
    /// The template with the groups of a match of the whole source; nothing changes without a match.
    Replace { source: String, pattern: GoRegex, template: String },
    /// The sources with the separator between them.
    Join { sources: Vec<String>, separator: String },
}

impl Relabel {
    fn relabel(&self, input: &Vector, account: &MemoryReservation) -> Result<Vec<RecordBatch>, Error> {
        let mut out = Merged::new(self.grid.steps, account);
        for row in input.rows() {
            match self.value_for(row.labels) {
                Some(value) => {
                    out.add(with_label(row.labels, &self.target, &value).encoded(), |step| row.get(step))?;
                }
                None => out.add_row(&row)?,
            }
        }
        Ok(out.finish(&self.grid))
    }

    /// `None`: the series stays as it is.
    fn value_for(&self, labels: &[u8]) -> Option<String> {
        match &self.value {
            LabelValue::Replace { source, pattern, template } => {
                pattern.replace_all_expand(value_of(labels, source), template)
            }
            LabelValue::Join { sources, separator } => {
                let values: Vec<_> = sources.iter().map(|source| value_of(labels, source)).collect();
                Some(values.join(separator))
            }
        }
    }
}

impl Operator for Relabel {
    const NAME: &'static str = "RelabelExec";

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "target={:?}, value={:?}", self.target, self.value)
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
        let compute = move |vectors: Vec<Vector>, account: &MemoryReservation| operator.relabel(&vectors[0], account);
        whole_inputs(Self::NAME, self.schema(), self.grid.steps, inputs, context, compute)
    }
}
