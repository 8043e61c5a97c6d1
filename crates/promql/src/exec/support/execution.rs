//! One partition of a node while it runs: where the work of every operator begins.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_common::error::{DataFusionError, Result};
use datafusion_common_runtime::SpawnedTask;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use datafusion_physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::{Stream, StreamExt, TryStreamExt, stream};

use crate::exec::support::allowance::Allowance;
use crate::exec::support::meter::Meter;
use crate::exec::support::run::Run;
use crate::vector::{Vector, VectorBatch};

/// What an operator has when one of its partitions starts. `S` is the state that its partitions
/// share.
#[derive(Debug)]
pub(crate) struct Execution<S> {
    /// The name of the operator, for its reservation.
    pub(crate) name: &'static str,
    /// The schema of its output.
    pub(crate) schema: SchemaRef,
    pub(crate) inputs: Arc<[Arc<dyn ExecutionPlan>]>,
    pub(crate) partition: usize,
    pub(crate) context: Arc<TaskContext>,
    pub(crate) run: Arc<Run>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) shared: Arc<S>,
}

impl<S: Send + Sync + 'static> Execution<S> {
    /// Returns the same execution with the state that the partitions of the operator share.
    pub(crate) fn sharing<T>(self, shared: Arc<T>) -> Execution<T> {
        Execution {
            name: self.name,
            schema: self.schema,
            inputs: self.inputs,
            partition: self.partition,
            context: self.context,
            run: self.run,
            meter: self.meter,
            shared,
        }
    }

    /// Returns an allowance with a new reservation for the operator.
    pub(crate) fn allowance(&self) -> Allowance {
        Allowance::new(self.name, &self.context, Arc::clone(&self.run))
    }

    /// Starts this partition of an input.
    pub(crate) fn input(&self, at: usize) -> Result<SendableRecordBatchStream> {
        self.inputs[at].execute(self.partition, Arc::clone(&self.context))
    }

    /// Starts all partitions of an input.
    pub(crate) fn partitions(&self, at: usize) -> Result<Vec<SendableRecordBatchStream>> {
        let input = &self.inputs[at];
        (0..input.output_partitioning().partition_count())
            .map(|partition| input.execute(partition, Arc::clone(&self.context)))
            .collect()
    }

    /// Reads a single-partition input of vectors to its end. The memory of the result is reserved
    /// in the allowance.
    pub(crate) async fn collect(
        &self,
        at: usize,
        steps: usize,
        allowance: &Allowance,
    ) -> Result<Vector> {
        let input = self.inputs[at].execute(0, Arc::clone(&self.context))?;
        collect(input, steps, allowance).await
    }

    /// Runs [`Execution::collect`] in its own task.
    pub(crate) async fn collect_apart(
        &self,
        at: usize,
        steps: usize,
        allowance: &Allowance,
    ) -> Result<Vector> {
        let input = Arc::clone(&self.inputs[at]);
        let context = Arc::clone(&self.context);
        let allowance = allowance.clone();
        let task = SpawnedTask::spawn(async move {
            collect(input.execute(0, context)?, steps, &allowance).await
        });

        let joined = task.join_unwind().await;
        joined.map_err(|error| DataFusionError::ExecutionJoin(Box::new(error)))?
    }

    /// Returns the output, batch by batch.
    pub(crate) fn stream(
        &self,
        batches: impl Stream<Item = Result<RecordBatch>> + Send + 'static,
    ) -> SendableRecordBatchStream {
        Box::pin(RecordBatchStreamAdapter::new(
            Arc::clone(&self.schema),
            batches,
        ))
    }

    /// Returns an output with one batch for each batch of this partition of the first input.
    pub(crate) fn mapped(
        &self,
        mut map: impl FnMut(RecordBatch) -> Result<RecordBatch> + Send + 'static,
    ) -> Result<SendableRecordBatchStream> {
        let batches = self.input(0)?;
        Ok(self.stream(batches.and_then(move |batch| std::future::ready(map(batch)))))
    }

    /// Returns an output that is computed as a whole before any of it is passed on. From then on,
    /// the reservation of `compute`'s allowance covers exactly the output.
    pub(crate) fn whole<F>(
        self,
        compute: impl FnOnce(Self, Allowance) -> F + Send + 'static,
    ) -> SendableRecordBatchStream
    where
        F: Future<Output = Result<Vec<RecordBatch>>> + Send + 'static,
    {
        let schema = Arc::clone(&self.schema);
        let output = async move {
            let allowance = self.allowance();
            let batches = compute(self, allowance.clone()).await?;

            allowance.hold(batches.iter().map(RecordBatch::get_array_memory_size).sum())?;
            let account = allowance.into_account();

            Ok::<_, DataFusionError>(stream::iter(batches).map(move |batch| {
                let _held = &account;
                Ok(batch)
            }))
        };

        let batches = stream::once(output).try_flatten();
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}

/// Reads a single-partition input of vectors to its end. The memory of the result is reserved in
/// `allowance`.
pub(crate) async fn collect(
    mut input: SendableRecordBatchStream,
    steps: usize,
    allowance: &Allowance,
) -> Result<Vector> {
    let mut batches = Vec::new();

    while let Some(batch) = input.next().await {
        let batch = batch?;
        allowance.grow(batch.get_array_memory_size())?;

        if batch.num_rows() > 0 {
            batches.push(VectorBatch::new(batch, steps));
        }
    }

    Ok(Vector { steps, batches })
}
