//! Operators that need all of their input before they know any of their output.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_common::error::Result;
use datafusion_execution::SendableRecordBatchStream;
use futures::future::join_all;

use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::execution::Execution;
use crate::exec::support::operator::Operator;
use crate::grid::Grid;
use crate::vector::{self, Vector};

/// An operator that needs all of its inputs before it knows any of its output. Each input is
/// started and read by its own task. So the two sides of an operator run at the same time, and a
/// deep tree does not become a deep stack.
pub(crate) trait WholeInputOperator: fmt::Debug + Send + Sync + Sized + 'static {
    const NAME: &'static str;

    /// Like [`Operator::describe`].
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// The grid of the output.
    fn grid(&self) -> &Grid;

    /// Returns the number of steps of each input.
    fn input_steps(&self) -> usize {
        self.grid().steps
    }

    /// Returns the output for the inputs, in their order. Twice the input's size is reserved
    /// already. Reserve more through `allowance`.
    ///
    /// There are no await points, so long computations must check for cancellation.
    fn compute(&self, inputs: &[Vector], allowance: &Allowance) -> Result<Vec<RecordBatch>, Error>;
}

impl<O: WholeInputOperator> Operator for O {
    const NAME: &'static str = <O as WholeInputOperator>::NAME;

    type Shared = ();

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        WholeInputOperator::describe(self, f)
    }

    fn schema(&self) -> SchemaRef {
        vector::schema(self.grid().steps)
    }

    fn execute(self: Arc<Self>, execution: Execution<()>) -> Result<SendableRecordBatchStream> {
        Ok(execution.whole(move |execution, allowance| async move {
            let steps = self.input_steps();
            let inputs = (0..execution.inputs.len())
                .map(|at| execution.collect_apart(at, steps, &allowance));

            // If several inputs fail, the first one in the order of the text is reported, whichever
            // failed first.
            let vectors = join_all(inputs)
                .await
                .into_iter()
                .collect::<Result<Vec<_>>>()?;

            // Reserves an output as large as the inputs, and at least a row and a copy of it while
            // it is made.
            allowance.grow(allowance.size().max(2 * steps * size_of::<f64>()))?;

            Ok(self.compute(&vectors, &allowance)?)
        }))
    }
}
