//! What all operators share as nodes of a DataFusion plan.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_common::error::Result;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion_physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use datafusion_physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use duramen_syntax::on_growing_stack;
use futures::stream;

use crate::exec::support::execution::Execution;
use crate::exec::support::run::{NodeId, Run};
use crate::stats::Work;

/// A kind of plan node, as plain data: its parameters, and how to execute it. [`OperatorExec`]
/// makes a plan node of it. The node has no running state: the state of one partition is in its
/// stream, and the state that its partitions share is [`Operator::Shared`], which the [`Run`] keeps
/// for each node.
///
/// The order of batches is part of a stream's meaning: a node with several partitions returns batch
/// `i` of its whole output in partition `i % partitions`. With three partitions, batch 4 is the
/// second batch of partition 1.
pub(crate) trait Operator: fmt::Debug + Send + Sync + Sized + 'static {
    const NAME: &'static str;

    /// Whether it reads from the source, and not only from its inputs. Such reads are counted.
    const READS: bool = false;

    /// What its partitions share in one run.
    type Shared: fmt::Debug + Default + Send + Sync + 'static;

    /// Writes the parameters that a printed plan has after the name, as `key=value` pairs.
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;

    fn schema(&self) -> SchemaRef;

    fn partitions(&self, inputs: &[Arc<dyn ExecutionPlan>]) -> usize {
        let _ = inputs;
        1
    }

    /// Starts one partition.
    fn execute(
        self: Arc<Self>,
        execution: Execution<Self::Shared>,
    ) -> Result<SendableRecordBatchStream>;
}

/// An [`Operator`] as a trait object. The type of [`Operator::Shared`] is hidden; the value is
/// fetched from the run when a partition starts.
trait AnyOperator: fmt::Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn reads(&self) -> bool;
    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    fn schema(&self) -> SchemaRef;
    fn partitions(&self, inputs: &[Arc<dyn ExecutionPlan>]) -> usize;

    fn execute(
        self: Arc<Self>,
        node: NodeId,
        execution: Execution<()>,
    ) -> Result<SendableRecordBatchStream>;
}

impl<O: Operator> AnyOperator for O {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn reads(&self) -> bool {
        O::READS
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Operator::describe(self, f)
    }

    fn schema(&self) -> SchemaRef {
        Operator::schema(self)
    }

    fn partitions(&self, inputs: &[Arc<dyn ExecutionPlan>]) -> usize {
        Operator::partitions(self, inputs)
    }

    fn execute(
        self: Arc<Self>,
        node: NodeId,
        execution: Execution<()>,
    ) -> Result<SendableRecordBatchStream> {
        let shared = execution.run.shared(node);
        Operator::execute(self, execution.sharing(shared))
    }
}

/// A plan node around an [`Operator`].
#[derive(Debug)]
pub(crate) struct OperatorExec {
    id: NodeId,
    operator: Arc<dyn AnyOperator>,
    inputs: Arc<[Arc<dyn ExecutionPlan>]>,
    properties: Arc<PlanProperties>,
}

/// Drops the inputs on a stack that grows, because a chain of operators may be very deep.
impl Drop for OperatorExec {
    fn drop(&mut self) {
        on_growing_stack(|| drop(std::mem::take(&mut self.inputs)));
    }
}

/// The stream of an operator. It owns the streams of the operator's inputs, so a poll and a drop
/// recurse. It is `None` only while it is dropped.
struct Output(Option<SendableRecordBatchStream>);

impl Output {
    fn poll_next(&mut self, task: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        let Some(stream) = &mut self.0 else {
            return Poll::Ready(None);
        };
        on_growing_stack(|| stream.as_mut().poll_next(task))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        on_growing_stack(|| drop(self.0.take()));
    }
}

impl OperatorExec {
    /// Creates the node with number `id`.
    pub(crate) fn plan(
        id: NodeId,
        operator: impl Operator,
        inputs: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Arc<dyn ExecutionPlan> {
        Self::build(id, Arc::new(operator), inputs)
    }

    fn build(
        id: NodeId,
        operator: Arc<dyn AnyOperator>,
        inputs: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Arc<dyn ExecutionPlan> {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(operator.schema()),
            Partitioning::UnknownPartitioning(operator.partitions(&inputs)),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));

        Arc::new(Self {
            id,
            operator,
            inputs: inputs.into(),
            properties,
        })
    }

    /// Returns what the node did in a run.
    pub(crate) fn work(&self, run: &Run) -> Work {
        run.meter(self.id).work_done(self.operator.reads())
    }
}

impl DisplayAs for OperatorExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.operator.name())?;
        self.operator.describe(f)
    }
}

impl ExecutionPlan for OperatorExec {
    fn name(&self) -> &str {
        self.operator.name()
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
        Ok(Self::build(self.id, Arc::clone(&self.operator), children))
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
        let run = Run::of(&context)?;
        let meter = run.meter(self.id);
        let cancellation = run.cancellation.clone();

        let execution = Execution {
            name: self.operator.name(),
            schema: self.schema(),
            inputs: Arc::clone(&self.inputs),
            partition,
            context,
            run,
            meter: Arc::clone(&meter),
            shared: Arc::new(()),
        };

        let stream = on_growing_stack(|| Arc::clone(&self.operator).execute(self.id, execution))?;
        let mut output = Output(Some(stream));

        let polled = stream::poll_fn(move |task| {
            if let Err(error) = cancellation.check() {
                return Poll::Ready(Some(Err(error.into())));
            }

            // A deep chain of operators is polled recursively.
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
}
