//! What all operators share as nodes of a DataFusion plan.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use duramen_source::Reads;
use futures::stream;

use crate::exec::support::cancellation::Cancellation;
use crate::exec::support::meter::Meter;
use duramen_syntax::deep;

/// One kind of node. It knows its own columns and what to do; [`OperatorExec`] makes a plan node of
/// it.
///
/// The order of batches is part of a stream's meaning: a node with several partitions gives batch
/// `i` of its whole output in partition `i % partitions`.
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

/// A chain of operators is as high as it is long.
impl<O> Drop for OperatorExec<O> {
    fn drop(&mut self) {
        deep(|| drop(std::mem::take(&mut self.inputs)));
    }
}

/// The output of an operator, which holds those of its inputs.
struct Output(Option<SendableRecordBatchStream>);

impl Output {
    fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        let Some(stream) = &mut self.0 else {
            return Poll::Ready(None);
        };
        deep(|| stream.as_mut().poll_next(task))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        deep(|| drop(self.0.take()));
    }
}

impl<O: Operator> OperatorExec<O> {
    /// What is done when the node is polled goes to `meter`; an operator with tasks of its own has
    /// it as well.
    pub(crate) fn plan(
        operator: O,
        inputs: Vec<Arc<dyn ExecutionPlan>>,
        meter: Arc<Meter>,
    ) -> Arc<dyn ExecutionPlan> {
        Self::build(Arc::new(operator), inputs, meter)
    }

    fn build(
        operator: Arc<O>,
        inputs: Vec<Arc<dyn ExecutionPlan>>,
        meter: Arc<Meter>,
    ) -> Arc<dyn ExecutionPlan> {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(operator.schema()),
            Partitioning::UnknownPartitioning(operator.partitions(&inputs)),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));

        Arc::new(Self {
            operator,
            inputs,
            meter,
            properties,
        })
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
        Ok(Self::build(
            Arc::clone(&self.operator),
            children,
            Arc::clone(&self.meter),
        ))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let stream = deep(|| self.operator.execute(&self.inputs, partition, &context))?;
        let mut output = Output(Some(stream));
        let meter = Arc::clone(&self.meter);
        let cancellation = Cancellation::of(&context);

        let polled = stream::poll_fn(move |task| {
            if let Err(error) = cancellation.check() {
                return Poll::Ready(Some(Err(error.into())));
            }

            // A chain of operators is polled through all of its links.
            let polled = meter.work(|| output.poll_next(task));
            if let Poll::Ready(Some(Ok(batch))) = &polled {
                meter.gave(batch);
            }

            polled
        });

        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            polled,
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.meter.metrics(self.operator.reads()))
    }
}

/// An account with the query's memory pool.
pub(crate) fn reservation(name: &'static str, context: &TaskContext) -> MemoryReservation {
    MemoryConsumer::new(name).register(context.memory_pool())
}
