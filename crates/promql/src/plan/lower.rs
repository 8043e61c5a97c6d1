//! From the logical plan to operators.

use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use duramen_model::TenantId;
use duramen_source::{Columns, SeriesRequest, SeriesSource};

use crate::annotation::Annotations;
use crate::exec::absent::Absent;
use crate::exec::aggregate::{FinalAggregate, PartialAggregate};
use crate::exec::cells::MapCells;
use crate::exec::gather::OrderedGather;
use crate::exec::grouped::GroupedAggregate;
use crate::exec::histogram::Histogram;
use crate::exec::info::Info;
use crate::exec::merge::MergeSeries;
use crate::exec::mixed_series::Starts;
use crate::exec::operator::OperatorExec;
use crate::exec::relabel::Relabel;
use crate::exec::remove_names::RemoveNames;
use crate::exec::repeat::RepeatStep;
use crate::exec::scalar::Scalar;
use crate::exec::scan::{SampleBudget, SeriesScan};
use crate::exec::sort::Sort;
use crate::exec::step_eval::StepEval;
use crate::exec::subquery::Subquery;
use crate::exec::vector_binary::VectorBinary;
use crate::grid::Grid;
use crate::name_removal::NameRemoval;
use crate::plan::{Node, Plan, Series, deep};
use crate::stats::Queryable;

type Exec = Arc<dyn ExecutionPlan>;

/// What the operators of one query share.
#[derive(Debug)]
pub(crate) struct Lowering {
    pub(crate) source: Arc<dyn SeriesSource>,
    pub(crate) tenants: Arc<[TenantId]>,
    pub(crate) partitions: usize,
    pub(crate) budget: Arc<SampleBudget>,
    /// Of one selector.
    pub(crate) series_max: usize,
    pub(crate) annotations: Annotations,
    pub(crate) starts: Starts,
    pub(crate) names: NameRemoval,
    pub(crate) queryable: Arc<Queryable>,
}

impl Lowering {
    /// The operators of a plan, with all batches in one partition.
    pub(crate) fn lower(&self, plan: &Plan) -> Exec {
        gathered(self.lower_parts(plan))
    }

    /// The operators of a plan, in as many partitions as they have.
    fn lower_parts(&self, plan: &Plan) -> Exec {
        deep(|| self.lower_node(&plan.node, plan.grid))
    }

    fn lower_all(&self, plans: &[Plan]) -> Vec<Exec> {
        plans.iter().map(|plan| self.lower(plan)).collect()
    }

    fn lower_node(&self, node: &Node, grid: Grid) -> Exec {
        let annotations = self.annotations.clone();
        match node {
            Node::Scalar { function, inputs } => {
                OperatorExec::plan(Scalar { function: *function, grid }, self.lower_all(inputs))
            }
            Node::Steps { series, lookup, function, arguments, hints, pos } => {
                let mut inputs = vec![self.series(series, grid)];
                inputs.extend(self.lower_all(arguments));
                let read_as = (self.starts, *hints);
                let operator = StepEval::new(grid, *lookup, *function, annotations, *pos, read_as, self.names);
                OperatorExec::plan(operator.counting(Arc::clone(&self.queryable)), inputs)
            }
            Node::Repeat { input } => OperatorExec::plan(RepeatStep { grid }, vec![self.lower(input)]),
            Node::Merge { input } => OperatorExec::plan(MergeSeries { grid }, vec![self.lower(input)]),
            Node::RemoveNames { names, input } => {
                OperatorExec::plan(RemoveNames { grid, names: *names }, vec![self.lower(input)])
            }
            Node::Aggregate { aggregation, projection, input, pos } => {
                let (aggregation, pos) = (*aggregation, *pos);
                let partial = PartialAggregate {
                    aggregation,
                    projection: projection.clone(),
                    grid,
                    annotations: annotations.clone(),
                    pos,
                };
                let partial = OperatorExec::plan(partial, vec![self.lower_parts(input)]);
                let projection = projection.clone();
                let whole = FinalAggregate { aggregation, projection, grid, annotations, pos };
                OperatorExec::plan(whole, vec![gathered(partial)])
            }
            Node::Grouped { aggregation, projection, inputs, pos, input_pos } => {
                let (aggregation, projection) = (aggregation.clone(), projection.clone());
                let (pos, input_pos) = (*pos, *input_pos);
                let operator = GroupedAggregate { aggregation, projection, grid, annotations, pos, input_pos };
                OperatorExec::plan(operator, self.lower_all(inputs))
            }
            Node::Map { change, inputs, pos } => {
                let (vector, scalars) = inputs.split_first().expect("a vector to map");
                let inputs = std::iter::once(self.lower_parts(vector)).chain(self.lower_all(scalars)).collect();
                OperatorExec::plan(MapCells::new(*change, grid, annotations, *pos, self.names), inputs)
            }
            Node::Binary { op, return_bool, matching, inputs, pos } => {
                let (op, return_bool, matching) = (*op, *return_bool, matching.clone());
                let names = self.names;
                let operator = VectorBinary { op, return_bool, matching, grid, annotations, pos: *pos, names };
                OperatorExec::plan(operator, self.lower_all(inputs))
            }
            Node::Histogram { function, inputs, pos } => {
                let (function, pos, names) = (function.clone(), pos.clone(), self.names);
                let operator = Histogram { function, grid, annotations, pos, names };
                OperatorExec::plan(operator, self.lower_all(inputs))
            }
            Node::Info { inputs, selection } => {
                OperatorExec::plan(Info { grid, selection: selection.clone() }, self.lower_all(inputs))
            }
            Node::Absent { labels, input } => {
                OperatorExec::plan(Absent { grid, labels: labels.clone() }, vec![self.lower(input)])
            }
            Node::Sort { key, direction, input, pos } => OperatorExec::plan(
                Sort { grid, direction: *direction, key: key.clone(), annotations, pos: *pos },
                vec![self.lower(input)],
            ),
            Node::Relabel { target, value, input } => {
                let operator = Relabel { grid, target: target.clone(), value: value.clone() };
                OperatorExec::plan(operator, vec![self.lower(input)])
            }
        }
    }

    /// The samples for the steps of `grid`.
    pub(crate) fn series(&self, series: &Series, grid: Grid) -> Exec {
        match series {
            Series::Scan { matchers, range } => {
                let request = SeriesRequest {
                    tenants: Arc::clone(&self.tenants),
                    matchers: Arc::clone(matchers),
                    range: *range,
                    columns: if self.starts == Starts::Known { Columns::Everything } else { Columns::Samples },
                    batch_series_max: grid.batch_series_max(),
                };
                let (source, budget) = (Arc::clone(&self.source), Arc::clone(&self.budget));
                let scan = SeriesScan::new(source, request, self.partitions, budget, self.series_max);
                OperatorExec::plan(scan, Vec::new())
            }
            Series::Subquery(plan) => OperatorExec::plan(Subquery { grid: plan.grid }, vec![self.lower(plan)]),
        }
    }
}

/// All batches in one partition and in their order.
pub(crate) fn gathered(input: Exec) -> Exec {
    if input.output_partitioning().partition_count() == 1 {
        return input;
    }
    let schema = input.schema();
    OperatorExec::plan(OrderedGather { schema }, vec![input])
}
