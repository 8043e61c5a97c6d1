//! Operators that know nothing of their output before they have all of their input.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt, stream};

use crate::error::Error;
use crate::exec::support::allowance::Allowance;
use crate::exec::support::operator::{Operator, reservation};
use crate::grid::Grid;
use crate::vector::{self, Vector, VectorBatch};

/// Reads a single-partition input of vectors to its end. What it holds is on `account`.
pub(crate) async fn collect(
    mut input: SendableRecordBatchStream,
    steps: usize,
    account: &MemoryReservation,
) -> Result<Vector> {
    let mut batches = Vec::new();

    while let Some(batch) = input.next().await {
        let batch = batch?;
        account.try_grow(batch.get_array_memory_size())?;

        if batch.num_rows() > 0 {
            batches.push(VectorBatch::new(batch, steps));
        }
    }

    Ok(Vector { steps, batches })
}

/// An operator that needs all of its inputs before it knows any of its output. Each input is
/// started and read by a task of its own: the two sides of an operator run at once, and a high tree
/// does not become a deep stack.
pub(crate) trait WholeInputOperator: fmt::Debug + Send + Sync + Sized + 'static {
    const NAME: &'static str;

    /// As of [`Operator::describe`].
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Of the output.
    fn grid(&self) -> &Grid;

    /// How many steps each input has.
    fn input_steps(&self) -> usize {
        self.grid().steps
    }

    /// The output for the inputs, in their order. Twice the input's size is reserved already; what
    /// needs more reserves it through `allowance`.
    ///
    /// It awaits nothing: what takes long asks whether the query is still wanted.
    fn compute(&self, inputs: &[Vector], allowance: &Allowance) -> Result<Vec<RecordBatch>, Error>;
}

impl<O: WholeInputOperator> Operator for O {
    const NAME: &'static str = <O as WholeInputOperator>::NAME;

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        WholeInputOperator::describe(self, f)
    }

    fn schema(&self) -> SchemaRef {
        vector::schema(self.grid().steps)
    }

    fn execute(
        self: &Arc<Self>,
        inputs: &[Arc<dyn ExecutionPlan>],
        _: usize,
        context: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let operator = Arc::clone(self);
        let inputs = inputs.to_vec();
        let context = Arc::clone(context);

        let output = async move {
            let name = <O as WholeInputOperator>::NAME;
            let steps = operator.input_steps();
            let account = Arc::new(reservation(name, &context));
            let inputs = inputs
                .iter()
                .map(|input| collect_apart(input, steps, &context, &account));

            // Of several failures the first in the order of the text is told, whichever comes first
            // in time.
            let vectors = join_all(inputs)
                .await
                .into_iter()
                .collect::<Result<Vec<_>>>()?;

            // Room for an output as large as the inputs, and for a row and its making.
            account.try_grow(account.size().max(2 * steps * size_of::<f64>()))?;

            let allowance = Allowance::on(Arc::clone(&account), &context);
            let batches = operator
                .compute(&vectors, &allowance)
                .map_err(DataFusionError::from)?;
            HeldOutput::new(batches, account)
        };

        Ok(HeldOutput::stream(self.schema(), output))
    }
}

/// [`collect`] in a task of its own.
pub(crate) async fn collect_apart(
    input: &Arc<dyn ExecutionPlan>,
    steps: usize,
    context: &Arc<TaskContext>,
    account: &Arc<MemoryReservation>,
) -> Result<Vector> {
    let input = Arc::clone(input);
    let context = Arc::clone(context);
    let account = Arc::clone(account);
    let task =
        SpawnedTask::spawn(
            async move { collect(input.execute(0, context)?, steps, &account).await },
        );

    task.join_unwind().await.map_err(joined)?
}

/// An output that is there as a whole, and the account that it is on until it was passed on.
#[derive(Debug)]
pub(crate) struct HeldOutput {
    batches: Vec<RecordBatch>,
    account: Arc<MemoryReservation>,
}

impl HeldOutput {
    /// Puts the batches on the account, in the place of what was on it.
    pub(crate) fn new(batches: Vec<RecordBatch>, account: Arc<MemoryReservation>) -> Result<Self> {
        account.try_resize(batches.iter().map(RecordBatch::get_array_memory_size).sum())?;
        Ok(Self { batches, account })
    }

    /// The output of an operator, once it is there.
    pub(crate) fn stream(
        schema: SchemaRef,
        output: impl Future<Output = Result<Self>> + Send + 'static,
    ) -> SendableRecordBatchStream {
        let batches = stream::once(output).map_ok(|Self { batches, account }| {
            stream::iter(batches).map(move |batch| {
                let _held = &account;
                Ok(batch)
            })
        });

        Box::pin(RecordBatchStreamAdapter::new(schema, batches.try_flatten()))
    }
}

fn joined(error: tokio::task::JoinError) -> DataFusionError {
    DataFusionError::ExecutionJoin(Box::new(error))
}
