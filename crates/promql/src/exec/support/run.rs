//! One run of a plan: what its nodes share while it lasts.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion_common::error::{DataFusionError, Result};
use datafusion_execution::TaskContext;
use duramen_runtime::Clock;
use duramen_source::SeriesSource;

use crate::annotation::collector::Annotations;
use crate::exec::support::cancellation::Cancellation;
use crate::exec::support::meter::Meter;
use crate::exec::support::sample_budget::SampleBudget;
use crate::exec::support::step_counts::StepCounts;

/// The number of a node. It is unique in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NodeId(pub(crate) u32);

/// What the nodes of a plan share in one run, as an extension of the context that the plan runs in.
/// The nodes themselves are plain data. Everything that a run changes is here, so that one plan can
/// run several times, also at the same time, each time in its own context. A context runs one plan,
/// once.
///
/// Each partition of a node asks for it when the partition starts.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) source: Arc<dyn SeriesSource>,
    /// The limit of one selector.
    pub(crate) series_max: usize,
    pub(crate) budget: Arc<SampleBudget>,
    pub(crate) annotations: Annotations,
    pub(crate) counts: StepCounts,
    pub(crate) cancellation: Cancellation,
    /// Measures how long nodes take.
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) nodes: NodeTable,
}

/// The state of single nodes in one run. It must not hold the [`Run`] itself, because that would be
/// a cycle of references.
#[derive(Debug, Default)]
pub(crate) struct NodeTable {
    meters: Mutex<HashMap<NodeId, Arc<Meter>>>,
    shared: Mutex<HashMap<NodeId, Arc<dyn Any + Send + Sync>>>,
}

impl Run {
    /// Returns the run of `context`.
    pub(crate) fn of(context: &TaskContext) -> Result<Arc<Self>> {
        let run = context.session_config().get_extension::<Self>();
        run.ok_or_else(|| {
            DataFusionError::Internal("a PromQL plan runs in the context of a query".to_owned())
        })
    }

    /// Returns the counters of a node.
    pub(crate) fn meter(&self, node: NodeId) -> Arc<Meter> {
        let mut meters = self
            .nodes
            .meters
            .lock()
            .unwrap_or_else(PoisonError::into_inner);

        let meter = meters
            .entry(node)
            .or_insert_with(|| Arc::new(Meter::new(Arc::clone(&self.clock), self.budget.memory())));
        Arc::clone(meter)
    }

    /// Returns the state that the partitions of a node share. Other nodes in the same stage that
    /// know its number share it too. All must ask for the same type.
    pub(crate) fn shared<S: Default + Send + Sync + 'static>(&self, node: NodeId) -> Arc<S> {
        let mut shared = self
            .nodes
            .shared
            .lock()
            .unwrap_or_else(PoisonError::into_inner);

        let of_node = shared.entry(node).or_insert_with(|| Arc::new(S::default()));
        Arc::clone(of_node)
            .downcast()
            .expect("a node shares one type")
    }
}
