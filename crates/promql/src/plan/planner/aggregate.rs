//! Aggregations.

use duramen_model::METRIC_NAME;
use duramen_syntax::ast::{AggregateOp, Grouping};
use duramen_syntax::{Expr, PosRange};

use crate::error::Error;
use crate::grid::Grid;
use crate::label_set::Projection;
use crate::plan::function::{Aggregation, GroupedAggregation};
use crate::plan::lookup::StepFunction;
use crate::plan::node::{Names, Node, Plan, Series};
use crate::plan::planner::Planner;
use crate::plan::planner::bare;
use crate::plan::planner::call::label_argument;

/// An aggregation by how it is computed.
enum Kind {
    /// Partial states are merged.
    Mergeable(Aggregation),
    /// All values of a group are needed.
    Grouped(GroupedAggregation),
}

impl Planner {
    pub(crate) fn aggregate(
        &self,
        op: AggregateOp,
        grouping: Option<&Grouping>,
        param: Option<&Expr>,
        (expr, whole): (&Expr, PosRange),
        grid: Grid,
    ) -> Result<Plan, Error> {
        let kind = kind(op, param)?;
        let expr = bare(expr);
        let param = param.map(bare);
        let projection = Projection::of_grouping(grouping);
        let input = self.plan(expr, grid)?;

        let names = if projection.keeps_name() {
            input.names.clone()
        } else {
            Names::None
        };

        let aggregation = match kind {
            Kind::Mergeable(aggregation) => {
                return Ok(Plan {
                    node: Node::Aggregate {
                        aggregation,
                        input: Box::new(aggregation.input(input, &projection)),
                        projection,
                        pos: expr.pos(),
                    },
                    grid,
                    names,
                });
            }
            Kind::Grouped(aggregation) => aggregation,
        };

        let names = match &aggregation {
            GroupedAggregation::Top
            | GroupedAggregation::Bottom
            | GroupedAggregation::Limit
            | GroupedAggregation::LimitRatio => input.names.clone(),
            GroupedAggregation::CountValues(label) if label == METRIC_NAME => Names::Any,
            _ => names,
        };

        let mut inputs = vec![input];
        let pos = param.map_or_else(|| expr.pos(), Expr::pos);

        if let (Some(param), false) = (
            param,
            matches!(aggregation, GroupedAggregation::CountValues(_)),
        ) {
            inputs.push(self.plan(param, grid)?);
        }

        let input_pos = if aggregation == GroupedAggregation::Quantile {
            expr.pos()
        } else {
            whole
        };

        Ok(Plan {
            node: Node::Grouped {
                aggregation,
                projection,
                inputs,
                pos,
                input_pos,
            },
            grid,
            names,
        })
    }
}

impl Aggregation {
    /// Returns the input of the aggregation. If it does not use values, a selector needs to tell
    /// only when its series are present.
    fn input(self, input: Plan, projection: &Projection) -> Plan {
        let is_selector = matches!(
            &input.node,
            Node::Steps {
                series: Series::Scan { .. },
                function: StepFunction::Latest,
                rollup: None,
                ..
            }
        );

        if !is_selector || !matches!(self, Self::Count | Self::Group) {
            return input;
        }

        Plan {
            grid: input.grid,
            names: input.names.clone(),
            node: Node::Presence {
                selector: Box::new(input),
                names: projection.kept().map(<[String]>::to_vec),
            },
        }
    }
}

fn kind(op: AggregateOp, param: Option<&Expr>) -> Result<Kind, Error> {
    Ok(match op {
        AggregateOp::Avg => Kind::Mergeable(Aggregation::Average),
        AggregateOp::Count => Kind::Mergeable(Aggregation::Count),
        AggregateOp::Group => Kind::Mergeable(Aggregation::Group),
        AggregateOp::Max => Kind::Mergeable(Aggregation::Maximum),
        AggregateOp::Min => Kind::Mergeable(Aggregation::Minimum),
        AggregateOp::Stddev => Kind::Mergeable(Aggregation::Deviation),
        AggregateOp::Stdvar => Kind::Mergeable(Aggregation::Variance),
        AggregateOp::Sum => Kind::Mergeable(Aggregation::Sum),
        AggregateOp::Topk => Kind::Grouped(GroupedAggregation::Top),
        AggregateOp::Bottomk => Kind::Grouped(GroupedAggregation::Bottom),
        AggregateOp::Limitk => Kind::Grouped(GroupedAggregation::Limit),
        AggregateOp::Quantile => Kind::Grouped(GroupedAggregation::Quantile),
        AggregateOp::CountValues => {
            let label = param.map_or(Ok(""), label_argument)?;
            Kind::Grouped(GroupedAggregation::CountValues(label.to_owned()))
        }
        AggregateOp::LimitRatio => Kind::Grouped(GroupedAggregation::LimitRatio),
    })
}
