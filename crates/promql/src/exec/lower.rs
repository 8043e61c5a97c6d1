//! From the logical plan to operators.

use std::cell::Cell;
use std::sync::Arc;

use datafusion_physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use duramen_source::Columns;
use duramen_syntax::on_growing_stack;

use crate::exec::operators::absent::Absent;
use crate::exec::operators::aggregate::{FinalAggregate, PartialAggregate};
use crate::exec::operators::gather::OrderedGather;
use crate::exec::operators::grouped::GroupedAggregate;
use crate::exec::operators::histogram::Histogram;
use crate::exec::operators::info::Info;
use crate::exec::operators::map_cells::MapCells;
use crate::exec::operators::merge::MergeSeries;
use crate::exec::operators::presence::Presence;
use crate::exec::operators::relabel::Relabel;
use crate::exec::operators::remove_names::RemoveNames;
use crate::exec::operators::repeat::RepeatStep;
use crate::exec::operators::rollup_eval::RollupEval;
use crate::exec::operators::scalar::Scalar;
use crate::exec::operators::scan::SeriesScan;
use crate::exec::operators::sort::Sort;
use crate::exec::operators::step_eval::{Origin, StepEval};
use crate::exec::operators::subquery::{Subquery, SubqueryReader};
use crate::exec::operators::vector_binary::VectorBinary;
use crate::exec::support::operator::{Operator, OperatorExec};
use crate::exec::support::run::NodeId;
use crate::exec::support::step_counts::PlanPlace;
use crate::grid::Grid;
use crate::name_removal::NameRemoval;
use crate::plan::lookup::Starts;
use crate::plan::node::{Node, Plan, Series};

type Exec = Arc<dyn ExecutionPlan>;

/// What the lowering of one query depends on, besides its plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lowering {
    pub(crate) partitions: usize,
    pub(crate) starts: Starts,
    pub(crate) names: NameRemoval,
}

impl Lowering {
    /// Returns the operators of a plan, with all batches in one partition. The same plan gives the
    /// same operators with the same numbers.
    pub(crate) fn vector(self, plan: &Plan) -> Exec {
        Lower::new(self, PlanPlace::Steps, &Cell::new(0)).vector(plan)
    }

    /// Returns the operators for a query that is a range vector, whose answer is its samples. They
    /// have one partition and are evaluated once.
    pub(crate) fn series(self, series: &Series, grid: Grid) -> Exec {
        let alone = Self {
            partitions: 1,
            ..self
        };

        Lower::new(alone, PlanPlace::EveryStep, &Cell::new(0)).series(
            series,
            SubqueryReader::Client,
            grid,
        )
    }
}

/// The lowering at one place in the plan.
#[derive(Clone, Debug)]
struct Lower<'a> {
    by: Lowering,
    /// The place of the current node.
    place: PlanPlace,
    /// The node that finds more matchers for the scan below.
    late: Option<NodeId>,
    /// The number of the next node.
    next: &'a Cell<u32>,
}

impl<'a> Lower<'a> {
    const fn new(by: Lowering, place: PlanPlace, next: &'a Cell<u32>) -> Self {
        Self {
            by,
            place,
            late: None,
            next,
        }
    }

    fn vector(&self, plan: &Plan) -> Exec {
        self.gathered(self.parts(plan))
    }

    /// Returns the operators of a plan, with as many partitions as they have.
    fn parts(&self, plan: &Plan) -> Exec {
        on_growing_stack(|| self.lower_node(&plan.node, plan.grid))
    }

    fn vectors(&self, plans: &[Plan]) -> Vec<Exec> {
        plans.iter().map(|plan| self.vector(plan)).collect()
    }

    fn lower_node(&self, node: &Node, grid: Grid) -> Exec {
        let names = self.by.names;

        match node {
            Node::Scalar { function, inputs } => self.node(
                Scalar {
                    function: *function,
                    grid,
                },
                self.vectors(inputs),
            ),
            Node::Steps {
                series,
                lookup,
                function,
                arguments,
                parts,
                pos,
                rollup,
            } => {
                let inside = self.at(PlanPlace::Subquery {
                    grid,
                    lookup: *lookup,
                    of: Arc::new(self.place.clone()),
                });

                let origin = match series {
                    Series::Scan { .. } => Origin::Source,
                    Series::Subquery(_) => Origin::Subquery,
                };

                let samples = StepEval {
                    grid,
                    lookup: *lookup,
                    function: *function,
                    pos: *pos,
                    starts: self.by.starts,
                    parts: *parts,
                    names,
                    place: self.place.clone(),
                    origin,
                };

                if let (Some(rollup), Series::Scan { matchers, range }) = (rollup, series) {
                    let operator = RollupEval {
                        matchers: Arc::clone(matchers),
                        range: *range,
                        rollup: *rollup,
                        samples,
                    };
                    return self.node(operator, Vec::new());
                }

                let mut inputs = vec![inside.series(series, SubqueryReader::Function, grid)];
                inputs.extend(self.vectors(arguments));
                self.node(samples, inputs)
            }
            Node::Presence { selector, names } => self.presence(selector, names.as_deref()),
            Node::Repeat { input } => self.node(
                RepeatStep { grid },
                vec![self.at(self.place.once()).vector(input)],
            ),
            Node::Merge { input } => self.node(MergeSeries { grid }, vec![self.vector(input)]),
            Node::RemoveNames { names, input } => self.node(
                RemoveNames {
                    grid,
                    names: *names,
                },
                vec![self.vector(input)],
            ),
            Node::Aggregate {
                aggregation,
                projection,
                input,
                pos,
            } => {
                let partial = PartialAggregate {
                    aggregation: *aggregation,
                    projection: projection.clone(),
                    grid,
                    pos: *pos,
                };

                let states = self.node(partial, vec![self.parts(input)]);
                let total = FinalAggregate {
                    aggregation: *aggregation,
                    projection: projection.clone(),
                    grid,
                    pos: *pos,
                };

                self.node(total, vec![self.gathered(states)])
            }
            Node::Grouped {
                aggregation,
                projection,
                inputs,
                pos,
                input_pos,
            } => self.node(
                GroupedAggregate {
                    aggregation: aggregation.clone(),
                    projection: projection.clone(),
                    grid,
                    pos: *pos,
                    input_pos: *input_pos,
                },
                self.vectors(inputs),
            ),
            Node::Map {
                change,
                inputs,
                pos,
            } => {
                let (vector, scalars) = inputs.split_first().expect("a vector to map");
                let inputs = std::iter::once(self.parts(vector))
                    .chain(self.vectors(scalars))
                    .collect();

                self.node(
                    MapCells {
                        change: *change,
                        grid,
                        pos: *pos,
                        names,
                    },
                    inputs,
                )
            }
            Node::Binary {
                op,
                return_bool,
                matching,
                inputs,
                pos,
            } => self.node(
                VectorBinary {
                    op: *op,
                    return_bool: *return_bool,
                    matching: matching.clone(),
                    grid,
                    pos: *pos,
                    names,
                },
                self.vectors(inputs),
            ),
            Node::Histogram {
                function,
                inputs,
                pos,
            } => self.node(
                Histogram {
                    function: function.clone(),
                    grid,
                    pos: pos.clone(),
                    names,
                },
                self.vectors(inputs),
            ),
            Node::Info { inputs, selection } => {
                let [series, infos] = &inputs[..] else {
                    unreachable!("the series and the info series")
                };

                let id = self.id();
                let waiting = Self {
                    late: Some(id),
                    ..self.clone()
                };

                let operator = Info {
                    grid,
                    selection: selection.clone(),
                };

                OperatorExec::plan(
                    id,
                    operator,
                    vec![self.vector(series), waiting.vector(infos)],
                )
            }
            Node::Absent { labels, input } => self.node(
                Absent {
                    grid,
                    labels: labels.clone(),
                },
                vec![self.vector(input)],
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
                    pos: *pos,
                },
                vec![self.vector(input)],
            ),
            Node::Relabel {
                target,
                value,
                input,
            } => self.node(
                Relabel {
                    grid,
                    target: target.clone(),
                    value: value.clone(),
                },
                vec![self.vector(input)],
            ),
        }
    }

    /// Returns the operators that tell when the series of a selector are present. Of their labels
    /// only those with one of `names` are needed.
    fn presence(&self, selector: &Plan, names: Option<&[String]>) -> Exec {
        let Node::Steps {
            series: Series::Scan { matchers, range },
            lookup,
            ..
        } = &selector.node
        else {
            unreachable!("a selector of series")
        };

        let operator = Presence {
            matchers: Arc::clone(matchers),
            range: *range,
            lookup: *lookup,
            grid: selector.grid,
            names: names.map(<[String]>::to_vec),
            place: self.place.clone(),
        };

        let id = self.id();
        let waiting = Self {
            late: Some(id),
            ..self.at(PlanPlace::Counted(Arc::new(self.place.clone())))
        };

        OperatorExec::plan(id, operator, vec![waiting.vector(selector)])
    }

    /// Returns the operators that read the samples for the steps of `grid`.
    fn series(&self, series: &Series, reader: SubqueryReader, grid: Grid) -> Exec {
        match series {
            Series::Scan { matchers, range } => self.node(
                SeriesScan {
                    matchers: Arc::clone(matchers),
                    range: *range,
                    columns: match self.by.starts {
                        Starts::Known => Columns::Everything,
                        Starts::Ignored => Columns::Samples,
                    },
                    batch_series_max: grid.batch_series_max(),
                    partitions: self.by.partitions,
                    late: self.late,
                },
                Vec::new(),
            ),
            Series::Subquery(plan) => self.node(
                Subquery {
                    grid: plan.grid,
                    reader,
                },
                vec![self.vector(plan)],
            ),
        }
    }

    /// Returns a lowering for a part of the plan at another place.
    fn at(&self, place: PlanPlace) -> Self {
        Self {
            place,
            ..self.clone()
        }
    }

    /// Returns an operator with all batches in one partition and in order.
    fn gathered(&self, input: Exec) -> Exec {
        if input.output_partitioning().partition_count() == 1 {
            return input;
        }

        let schema = input.schema();
        self.node(OrderedGather { schema }, vec![input])
    }

    fn node(&self, operator: impl Operator, inputs: Vec<Exec>) -> Exec {
        OperatorExec::plan(self.id(), operator, inputs)
    }

    fn id(&self) -> NodeId {
        let id = self.next.get();
        self.next.set(id + 1);
        NodeId(id)
    }
}
