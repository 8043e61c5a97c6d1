//! From the logical plan to operators.

use std::sync::Arc;

use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use duramen_model::TenantId;
use duramen_runtime::Clock;
use duramen_source::{Columns, SeriesRequest, SeriesSource};

use crate::annotation::collector::Annotations;
use crate::exec::operators::absent::Absent;
use crate::exec::operators::aggregate::{FinalAggregate, PartialAggregate};
use crate::exec::operators::gather::OrderedGather;
use crate::exec::operators::grouped::GroupedAggregate;
use crate::exec::operators::histogram::Histogram;
use crate::exec::operators::info::Info;
use crate::exec::operators::map_cells::MapCells;
use crate::exec::operators::merge::MergeSeries;
use crate::exec::operators::relabel::Relabel;
use crate::exec::operators::remove_names::RemoveNames;
use crate::exec::operators::repeat::RepeatStep;
use crate::exec::operators::scalar::Scalar;
use crate::exec::operators::scan::SeriesScan;
use crate::exec::operators::sort::Sort;
use crate::exec::operators::step_eval::{Origin, StepEval};
use crate::exec::operators::subquery::{Subquery, SubqueryReader};
use crate::exec::operators::vector_binary::VectorBinary;
use crate::exec::support::late_matchers::LateMatchers;
use crate::exec::support::meter::Meter;
use crate::exec::support::operator::{Operator, OperatorExec};
use crate::exec::support::sample_budget::SampleBudget;
use crate::grid::Grid;
use crate::name_removal::NameRemoval;
use crate::plan::lookup::Starts;
use crate::plan::node::{Node, Plan, Series};
use crate::stats::{Place, StepCounts};
use duramen_syntax::deep;

type Exec = Arc<dyn ExecutionPlan>;

/// What the operators of one query share.
#[derive(Clone, Debug)]
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
    pub(crate) counts: Arc<StepCounts>,
    /// What the scans of what is lowered now wait for.
    pub(crate) late: LateMatchers,
    /// Of what is lowered now.
    pub(crate) place: Place,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Lowering {
    /// The operators of a plan, with all batches in one partition.
    pub(crate) fn lower(&self, plan: &Plan) -> Exec {
        self.gathered(self.lower_parts(plan))
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
            Node::Scalar { function, inputs } => self.node(
                Scalar {
                    function: *function,
                    grid,
                },
                self.lower_all(inputs),
            ),
            Node::Steps {
                series,
                lookup,
                function,
                arguments,
                parts,
                pos,
            } => {
                let of = Arc::new(self.place.clone());
                let inside = self.at(Place::Subquery {
                    grid,
                    lookup: *lookup,
                    of,
                });

                let mut inputs = vec![inside.series(series, SubqueryReader::Function, grid)];
                inputs.extend(self.lower_all(arguments));

                let origin = match series {
                    Series::Scan { .. } => Origin::Source,
                    Series::Subquery(_) => Origin::Subquery,
                };

                let read_as = (self.starts, *parts);
                let operator = StepEval::new(
                    grid,
                    *lookup,
                    *function,
                    annotations,
                    *pos,
                    read_as,
                    self.names,
                );

                self.node(
                    operator.counting(Arc::clone(&self.counts), self.place.clone(), origin),
                    inputs,
                )
            }
            Node::Repeat { input } => self.node(
                RepeatStep { grid },
                vec![self.at(self.place.once()).lower(input)],
            ),
            Node::Merge { input } => self.node(MergeSeries { grid }, vec![self.lower(input)]),
            Node::RemoveNames { names, input } => self.node(
                RemoveNames {
                    grid,
                    names: *names,
                },
                vec![self.lower(input)],
            ),
            Node::Aggregate {
                aggregation,
                projection,
                input,
                pos,
            } => {
                let aggregation = *aggregation;
                let pos = *pos;

                let partial = PartialAggregate {
                    aggregation,
                    projection: projection.clone(),
                    grid,
                    annotations: annotations.clone(),
                    pos,
                };

                let partial = self.node(partial, vec![self.lower_parts(input)]);
                let projection = projection.clone();

                let whole = FinalAggregate {
                    aggregation,
                    projection,
                    grid,
                    annotations,
                    pos,
                };

                self.node(whole, vec![self.gathered(partial)])
            }
            Node::Grouped {
                aggregation,
                projection,
                inputs,
                pos,
                input_pos,
            } => {
                let aggregation = aggregation.clone();
                let projection = projection.clone();
                let pos = *pos;
                let input_pos = *input_pos;

                let operator = GroupedAggregate {
                    aggregation,
                    projection,
                    grid,
                    annotations,
                    pos,
                    input_pos,
                };

                self.node(operator, self.lower_all(inputs))
            }
            Node::Map {
                change,
                inputs,
                pos,
            } => {
                let (vector, scalars) = inputs.split_first().expect("a vector to map");
                let inputs = std::iter::once(self.lower_parts(vector))
                    .chain(self.lower_all(scalars))
                    .collect();
                self.node(
                    MapCells::new(*change, grid, annotations, *pos, self.names),
                    inputs,
                )
            }
            Node::Binary {
                op,
                return_bool,
                matching,
                inputs,
                pos,
            } => {
                let op = *op;
                let return_bool = *return_bool;
                let matching = matching.clone();
                let names = self.names;

                let operator = VectorBinary {
                    op,
                    return_bool,
                    matching,
                    grid,
                    annotations,
                    pos: *pos,
                    names,
                };

                self.node(operator, self.lower_all(inputs))
            }
            Node::Histogram {
                function,
                inputs,
                pos,
            } => {
                let function = function.clone();
                let pos = pos.clone();
                let names = self.names;

                let operator = Histogram {
                    function,
                    grid,
                    annotations,
                    pos,
                    names,
                };

                self.node(operator, self.lower_all(inputs))
            }
            Node::Info { inputs, selection } => {
                let [series, infos] = &inputs[..] else {
                    unreachable!("the series and the info series")
                };

                let targets = LateMatchers::default();
                let operator = Info {
                    grid,
                    selection: selection.clone(),
                    targets: targets.clone(),
                };

                let waiting = Self {
                    late: targets,
                    ..self.clone()
                };

                self.node(operator, vec![self.lower(series), waiting.lower(infos)])
            }
            Node::Absent { labels, input } => self.node(
                Absent {
                    grid,
                    labels: labels.clone(),
                },
                vec![self.lower(input)],
            ),
            Node::Sort {
                key,
                direction,
                input,
                pos,
            } => self.node(
                Sort {
                    grid,
                    direction: *direction,
                    key: key.clone(),
                    annotations,
                    pos: *pos,
                },
                vec![self.lower(input)],
            ),
            Node::Relabel {
                target,
                value,
                input,
            } => {
                let operator = Relabel {
                    grid,
                    target: target.clone(),
                    value: value.clone(),
                };

                self.node(operator, vec![self.lower(input)])
            }
        }
    }

    /// The samples for the steps of `grid`.
    pub(crate) fn series(&self, series: &Series, reader: SubqueryReader, grid: Grid) -> Exec {
        match series {
            Series::Scan { matchers, range } => {
                let request = SeriesRequest {
                    tenants: Arc::clone(&self.tenants),
                    matchers: Arc::clone(matchers),
                    range: *range,
                    columns: if self.starts == Starts::Known {
                        Columns::Everything
                    } else {
                        Columns::Samples
                    },
                    batch_series_max: grid.batch_series_max(),
                    reads: Arc::default(),
                };

                let source = Arc::clone(&self.source);
                let budget = Arc::clone(&self.budget);
                let meter = self.meter();
                let late = self.late.clone();
                let partitions = self.partitions;
                let series_max = self.series_max;

                let scan = SeriesScan::new(
                    source,
                    request,
                    partitions,
                    budget,
                    series_max,
                    Arc::clone(&meter),
                    late,
                );

                OperatorExec::plan(scan, Vec::new(), meter)
            }
            Series::Subquery(plan) => self.node(
                Subquery {
                    grid: plan.grid,
                    reader,
                },
                vec![self.lower(plan)],
            ),
        }
    }

    /// For a part of the plan at another place.
    fn at(&self, place: Place) -> Self {
        Self {
            place,
            ..self.clone()
        }
    }

    /// All batches in one partition and in their order.
    fn gathered(&self, input: Exec) -> Exec {
        if input.output_partitioning().partition_count() == 1 {
            return input;
        }

        let schema = input.schema();
        self.node(OrderedGather { schema }, vec![input])
    }

    fn node(&self, operator: impl Operator, inputs: Vec<Exec>) -> Exec {
        OperatorExec::plan(operator, inputs, self.meter())
    }

    fn meter(&self) -> Arc<Meter> {
        Arc::new(Meter::new(Arc::clone(&self.clock)))
    }
}
