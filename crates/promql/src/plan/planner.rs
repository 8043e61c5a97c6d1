//! Turns the syntax tree into a plan.

mod aggregate;
mod binary;
mod call;
mod duration;
mod info;
pub(crate) mod invariant;
mod selector;

use std::sync::Arc;

use duramen_model::Regexes;
use duramen_syntax::ast::{UnaryOp, ValueType};
use duramen_syntax::{Expr, PosRange};

use crate::error::Error;
use crate::grid::Grid;
use crate::name_removal::{NameRemoval, RemovalTime};
use crate::plan::function::{CellChange, ScalarFunction};
use crate::plan::lookup::{HistogramParts, Starts};
use crate::plan::node::{Node, Plan};
use crate::plan::planner::duration::check_durations;
use crate::plan::planner::invariant::Invariants;
use crate::plan::rollup::Rollups;
use crate::times::QueryTimes;
use duramen_syntax::on_growing_stack;

/// Makes plans of expressions.
#[derive(Clone, Debug)]
pub(crate) struct Planner {
    pub(crate) times: QueryTimes,
    pub(crate) lookback_ms: i64,
    /// The longest life span of a sample that the source may hold; 0 if samples do not expire.
    pub(crate) ttl_max_ms: i64,
    /// The maximum number of steps of a subquery.
    pub(crate) steps_max: usize,
    pub(crate) starts: Starts,
    pub(crate) rollups: Rollups,
    /// Which parts of histograms the selectors below read, if a function above them has decided it.
    pub(crate) parts: Option<HistogramParts>,
    pub(crate) names: NameRemoval,
    /// The parts of the whole query that are the same at every step.
    pub(crate) invariants: Arc<Invariants>,
    /// Compiles and keeps the regexes of the request.
    pub(crate) regexes: Arc<Regexes>,
}

impl Planner {
    /// Plans a whole query.
    ///
    /// # Errors
    /// The errors of [`Planner::plan`].
    pub(crate) fn query(&self, expr: &Expr, grid: Grid) -> Result<Plan, Error> {
        check_durations(expr, &self.times)?;

        let plan = self.knowing(expr).plan(expr, grid)?;
        if self.names.time == RemovalTime::AtOnce || expr.value_type() == ValueType::Scalar {
            return Ok(plan);
        }

        let names = plan.names.clone();
        Ok(Plan {
            node: Node::RemoveNames {
                names: self.names.labels,
                input: Box::new(plan),
            },
            grid,
            names,
        })
    }

    /// Plans a scalar or an instant vector.
    ///
    /// # Errors
    /// `Invalid` or `Unsupported`: unsupported expressions are refused here. Every plan that is
    /// returned is exact.
    pub(crate) fn plan(&self, expr: &Expr, grid: Grid) -> Result<Plan, Error> {
        on_growing_stack(|| {
            if grid.steps > 1 && self.invariants.has(expr) {
                let once = self.plan_here(expr, Grid::instant(grid.start_ms))?;
                let names = once.names.clone();

                return Ok(Plan {
                    node: Node::Repeat {
                        input: Box::new(once),
                    },
                    grid,
                    names,
                });
            }

            self.plan_here(expr, grid)
        })
    }

    fn plan_here(&self, expr: &Expr, grid: Grid) -> Result<Plan, Error> {
        match expr {
            Expr::Number { value, .. } => Ok(Plan::scalar(
                ScalarFunction::Number(*value),
                Vec::new(),
                grid,
            )),
            Expr::VectorSelector(selector) => self.vector_selector(selector, grid),
            Expr::Paren { expr, .. }
            | Expr::Unary {
                op: UnaryOp::Plus,
                expr,
                ..
            } => self.plan(expr, grid),
            Expr::Unary {
                op: UnaryOp::Minus,
                expr,
                ..
            } => {
                let input = self.plan(expr, grid)?;
                if expr.value_type() == ValueType::Scalar {
                    return Ok(Plan::scalar(ScalarFunction::Negate, vec![input], grid));
                }

                Ok(self.map(CellChange::Negate, vec![input], grid, expr.pos()))
            }
            Expr::Call { func, args, .. } => self.call(func.name, args, expr, grid),
            Expr::Aggregate {
                op,
                grouping,
                param,
                expr,
                pos,
            } => self.aggregate(*op, grouping.as_ref(), param.as_deref(), (expr, *pos), grid),
            Expr::Binary {
                op,
                lhs,
                rhs,
                return_bool,
                matching,
                pos,
                ..
            } => self.binary(
                (*op, *pos),
                *return_bool,
                matching.as_ref(),
                [lhs, rhs],
                grid,
            ),
            Expr::String { .. } | Expr::MatrixSelector { .. } | Expr::Subquery { .. } => {
                Err(Error::invalid(format!(
                    "unexpected {} in an expression",
                    expr.value_type().documented()
                )))
            }
        }
    }

    /// Returns a planner that knows the invariant parts of this whole query.
    pub(crate) fn knowing(&self, expr: &Expr) -> Self {
        Self {
            invariants: Arc::new(Invariants::of(expr)),
            ..self.clone()
        }
    }

    /// Returns a planner whose selectors read `parts` of histograms. If a function above needs all
    /// parts, all are read.
    pub(crate) fn reading(&self, parts: HistogramParts) -> Self {
        let parts = if self.parts == Some(HistogramParts::All) {
            HistogramParts::All
        } else {
            parts
        };

        Self {
            parts: Some(parts),
            ..self.clone()
        }
    }

    /// Returns a node that maps the cells of its first input.
    pub(crate) fn map(
        &self,
        change: CellChange,
        inputs: Vec<Plan>,
        grid: Grid,
        pos: PosRange,
    ) -> Plan {
        let names = inputs[0].names.clone();
        let plan = Plan {
            node: Node::Map {
                change,
                inputs,
                pos,
            },
            grid,
            names,
        };

        if change.drops_name() {
            plan.without_names(self.names)
        } else {
            plan
        }
    }
}

/// Returns the expression inside of parentheses.
pub(crate) fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren { expr, .. } => bare(expr),
        expr => expr,
    }
}
