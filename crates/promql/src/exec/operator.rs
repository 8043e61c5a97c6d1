//! What all operators share as nodes of a DataFusion plan.

use std::fmt;
use std::sync::Arc;
use std::task::Poll;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use duramen_source::Reads;
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};

use crate::error::Error;
use crate::exec::meter::Meter;
use crate::grid::Grid;
use crate::plan::deep;
use crate::vector::{self, Vector, VectorBatch};

/// One kind of node. It knows its own columns and what to do; [`OperatorExec`] makes a plan node of it.
///
/// The order of batches is part of a stream's meaning: a node with several partitions gives batch `i` of its whole output in
/// partition `i % partitions`.
pub(crate) trait Operator: fmt::Debug + Send + Sync + Sized + 'static {
    const NAME: &'static str;

    /// What stands behind the name in a printed plan, from `key=value` pairs.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    fn schema(&self) -> SchemaRef;

    fn partitions(&self, inputs: &[Arc<dyn ExecutionPlan>]) -> usize {
        let _ = inputs;
        1
    }

    /// What it reads from outside of the plan, counted.
    fn reads(&self) -> Option<&Reads> {
        None
    }

    fn execute(
        self: &Arc<Self>,
        inputs: &[Arc<dyn ExecutionPlan>],
        partition: usize,
        context: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream>;
}

/// A plan node around an [`Operator`].
#[derive(Debug)]
pub(crate) struct OperatorExec<O> {
    operator: Arc<O>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    meter: Arc<Meter>,
    properties: Arc<PlanProperties>,
}

impl<O: Operator> OperatorExec<O> {
    /// What is done when the node is polled goes to `meter`; an operator with tasks of its own has it as well.
    pub(crate) fn plan(operator: O, inputs: Vec<Arc<dyn ExecutionPlan>>, meter: Arc<Meter>) -> Arc<dyn ExecutionPlan> {
        Self::build(Arc::new(operator), inputs, meter)
    }

    fn build(operator: Arc<O>, inputs: Vec<Arc<dyn ExecutionPlan>>, meter: Arc<Meter>) -> Arc<dyn ExecutionPlan> {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(operator.schema()),
            Partitioning::UnknownPartitioning(operator.partitions(&inputs)),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Arc::new(Self { operator, inputs, meter, properties })
    }
}

impl<O: Operator> DisplayAs for OperatorExec<O> {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", O::NAME)?;
        self.operator.describe(f)
    }
}

impl<O: Operator> ExecutionPlan for OperatorExec<O> {
    fn name(&self) -> &str {
        O::NAME
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Self::build(Arc::clone(&self.operator), children, Arc::clone(&self.meter)))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut stream = deep(|| self.operator.execute(&self.inputs, partition, &context))?;
        // A chain of operators is polled through all of its links.
        let meter = Arc::clone(&self.meter);
        let polled = stream::poll_fn(move |task| {
            let polled = meter.work(|| deep(|| stream.as_mut().poll_next(task)));
            if let Poll::Ready(Some(Ok(batch))) = &polled {
                meter.gave(batch);
            }
            polled
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), polled)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.meter.metrics(self.operator.reads()))
    }
}

/// An account with the query's memory pool.
pub(crate) fn reservation(name: &'static str, context: &TaskContext) -> MemoryReservation {
    MemoryConsumer::new(name).register(context.memory_pool())
}

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

/// An operator that needs all of its inputs before it knows any of its output. Each input is started and read by a task of its own: the
/// two sides of an operator run at once, and a high tree does not become a deep stack.
pub(crate) trait WholeOperator: fmt::Debug + Send + Sync + Sized + 'static {
    const NAME: &'static str;

    /// As of [`Operator::describe`].
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    /// Of the output.
    fn grid(&self) -> &Grid;

    /// How many steps each input has.
    fn input_steps(&self) -> usize {
        self.grid().steps
    }

    /// The output for the inputs, in their order. What goes in and as much again is on the account; what needs more asks for it.
    fn compute(&self, inputs: &[Vector], account: &MemoryReservation) -> Result<Vec<RecordBatch>, Error>;
}

impl<O: WholeOperator> Operator for O {
    const NAME: &'static str = <O as WholeOperator>::NAME;

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        WholeOperator::describe(self, f)
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
        let (operator, inputs, context) = (Arc::clone(self), inputs.to_vec(), Arc::clone(context));
        let output = async move {
            let (name, steps) = (<O as WholeOperator>::NAME, operator.input_steps());
            let account = Arc::new(reservation(name, &context));
            let tasks = inputs.into_iter().map(|input| {
                let (context, account) = (Arc::clone(&context), Arc::clone(&account));
                SpawnedTask::spawn(async move { collect(input.execute(0, context)?, steps, &account).await })
            });
            let vectors = try_join_all(tasks.map(|task| async { task.join_unwind().await.map_err(joined)? })).await?;
            // Room for an output as large as the inputs, and for a row and its making.
            account.try_grow(account.size().max(2 * steps * size_of::<f64>()))?;
            let batches = operator.compute(&vectors, &account).map_err(DataFusionError::from)?;
            let size: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
            account.try_resize(size)?;
            Ok::<_, DataFusionError>(stream::iter(batches).map(move |batch| {
                let _held = &account;
                Ok(batch)
            }))
        };
        let stream = stream::once(output).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }
}

fn joined(error: tokio::task::JoinError) -> DataFusionError {
    DataFusionError::ExecutionJoin(Box::new(error))
}
