//! The operators of a query, and what their output becomes.

use std::sync::Arc;

use datafusion_execution::memory_pool::MemoryReservation;
use datafusion_physical_plan::ExecutionPlan;
use duramen_source::Coverage;
use duramen_syntax::Expr;
use duramen_syntax::ast::{AggregateOp, ValueType};

use crate::error::Error;
use crate::exec::lower::Lowering;
use crate::grid::Grid;
use crate::name_removal::NameRemoval;
use crate::plan::lookup::Lookup;
use crate::plan::node::Series;
use crate::plan::planner::{Planner, bare};
use crate::times::QueryTimes;

/// Roughly what an operator takes, with its task and its node in the logical plan.
const OPERATOR_BYTES: usize = 4 << 10;

/// A planned query. It is plain data: it does not say whose series it reads, and it can run any
/// number of times.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) times: QueryTimes,
    /// The steps of the query itself.
    pub(super) grid: Grid,
    pub(super) names: NameRemoval,
    /// The longest life span of a sample that the plan allows for.
    pub(super) ttl_max_ms: i64,
    /// The rollups that the plan was made for.
    pub(super) coverage: Arc<[Coverage]>,
    /// The resolutions of the rollups that it reads, ascending.
    pub(super) resolutions_ms: Vec<i64>,
    pub(super) outcome: Outcome,
    /// `None` for a string.
    pub(super) plan: Option<Arc<dyn ExecutionPlan>>,
    /// Roughly what the operators take.
    pub(super) bytes: usize,
}

/// What a query returns, and how it is made from the output of its operators.
#[derive(Debug)]
pub(super) enum Outcome {
    String(String),
    Scalar,
    Vector(RowOrder),
    /// The values at every step of the query.
    Range,
    /// The samples of a range vector inside the window of the look-up.
    Samples(Lookup),
    /// The points of a subquery inside the window of the look-up.
    Points(Lookup),
}

/// How the series of an instant vector are ordered.
#[derive(Debug)]
pub(super) enum RowOrder {
    Labels,
    /// The order that the query itself asks for.
    Query,
}

impl Planned {
    /// Plans `expr` and makes its operators. No sample is read. Their memory is reserved first.
    pub(super) fn new(
        planner: &Planner,
        lowering: Lowering,
        expr: &Expr,
        account: &MemoryReservation,
    ) -> Result<Self, Error> {
        let times = planner.times;
        let grid = if times.is_instant() {
            Grid::instant(times.start_ms)
        } else {
            range_grid(expr, times, planner.steps_max)?
        };

        let bytes = operator_bytes(expr);
        let vector = |expr: &Expr| {
            account.try_grow(bytes).map_err(Error::from_datafusion)?;

            let plan = planner.query(expr, grid)?;
            Ok::<_, Error>(Some(lowering.vector(&plan)))
        };

        let (outcome, plan) = match (expr.value_type(), bare(expr)) {
            _ if !times.is_instant() => (Outcome::Range, vector(expr)?),
            (_, Expr::String { value, .. }) => (Outcome::String(value.clone()), None),
            (ValueType::Matrix, expr) => {
                let range = planner.knowing(expr).range_vector(expr, grid)?;
                let outcome = match range.series {
                    Series::Scan { range: times, .. } => {
                        planner.rollups.check_samples(times)?;
                        Outcome::Samples(range.lookup)
                    }
                    Series::Subquery(_) => Outcome::Points(range.lookup),
                };

                (outcome, Some(lowering.series(&range.series, grid)))
            }
            (ValueType::Scalar, expr) => (Outcome::Scalar, vector(expr)?),
            (_, expr) => (Outcome::Vector(row_order(expr)), vector(expr)?),
        };

        Ok(Self {
            times,
            grid,
            names: planner.names,
            ttl_max_ms: planner.ttl_max_ms,
            coverage: Arc::clone(&planner.rollups.coverage),
            resolutions_ms: planner.rollups.chosen(),
            outcome,
            plan,
            bytes,
        })
    }
}

/// Returns roughly what the operators of an expression take.
fn operator_bytes(expr: &Expr) -> usize {
    let mut nodes = 0;
    expr.walk(&mut |_| nodes += 1);
    nodes * OPERATOR_BYTES
}

fn range_grid(expr: &Expr, times: QueryTimes, steps_max: usize) -> Result<Grid, Error> {
    if !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
        let got = expr.value_type().documented();
        return Err(Error::invalid(format!(
            "invalid expression type {got:?} for range query, must be Scalar or instant Vector"
        )));
    }

    let grid = Grid::range(times.start_ms, times.end_ms, times.step_ms);
    if grid.steps > steps_max {
        return Err(Error::Samples {
            held: grid.steps,
            limit: steps_max,
        });
    }

    Ok(grid)
}

fn row_order(expr: &Expr) -> RowOrder {
    match expr {
        Expr::Call { func, .. } if func.name.starts_with("sort") => RowOrder::Query,
        Expr::Aggregate {
            op: AggregateOp::Topk | AggregateOp::Bottomk,
            ..
        } => RowOrder::Query,
        _ => RowOrder::Labels,
    }
}
