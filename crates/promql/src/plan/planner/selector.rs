//! Selectors and subqueries.

use std::sync::Arc;

use duramen_model::{METRIC_NAME, Matcher, Regexes, TimeRange};
use duramen_syntax::Expr;
use duramen_syntax::ast::{At, LabelMatcher, VectorSelector};

use crate::error::Error;
use crate::grid::Grid;
use crate::kernels::extended::Ends;
use crate::plan::lookup::{HistogramParts, Lookup, Starts, StepFunction, StepPos};
use crate::plan::node::{Names, Node, Plan, Series};
use crate::plan::planner::Planner;
use crate::plan::planner::bare;
use crate::plan::planner::duration::{offset_ms, positive_ms};
use crate::plan::rollup::Asked;

/// The step of a subquery that does not specify one.
const SUBQUERY_STEP_MS: i64 = 60_000;

/// Series, and the window in which a step looks at them.
pub(crate) struct RangeVector {
    pub(crate) series: Series,
    pub(crate) lookup: Lookup,
    pub(crate) names: Names,
}

impl Planner {
    pub(crate) fn vector_selector(
        &self,
        selector: &VectorSelector,
        grid: Grid,
    ) -> Result<Plan, Error> {
        self.selector_steps(selector, StepFunction::Latest, grid)
    }

    /// Plans the newest samples of a selector, read as `function` says.
    pub(crate) fn selector_steps(
        &self,
        selector: &VectorSelector,
        function: StepFunction,
        grid: Grid,
    ) -> Result<Plan, Error> {
        if selector.smoothed && function == StepFunction::Latest {
            // The samples around a single time: the look-back around it is the only window.
            let vector = self.scan(selector, 0, grid)?;
            let function = StepFunction::Smoothed;
            return self.steps(vector, function, Vec::new(), grid, selector.pos.into());
        }

        let mut plain = selector.clone();

        // Without a window, its ends have no values to find.
        (plain.anchored, plain.smoothed) = (false, false);

        let vector = self.scan_back(&plain, self.lookback_ms, self.ttl_max_ms, grid)?;
        self.steps(vector, function, Vec::new(), grid, selector.pos.into())
    }

    /// Plans a range vector: the argument of a range function, or a whole query.
    pub(crate) fn range_vector(&self, expr: &Expr, grid: Grid) -> Result<RangeVector, Error> {
        match bare(expr) {
            Expr::MatrixSelector {
                selector, range, ..
            } => self.scan(selector, positive_ms(range, &self.times)?, grid),
            Expr::Subquery {
                expr,
                range,
                step,
                offset,
                at,
                ..
            } => {
                let offset_ms = offset_ms(offset, &self.times)?;
                let step_ms = step
                    .as_ref()
                    .map_or(Ok(SUBQUERY_STEP_MS), |step| positive_ms(step, &self.times))?;
                let range_ms = positive_ms(range, &self.times)?;

                let lookup = Lookup {
                    range_ms,
                    offset_ms,
                    at_ms: self.at_ms(*at),
                    ends: None,
                    ttl_max_ms: 0,
                };

                self.subquery(expr, lookup, step_ms, grid)
            }
            other => Err(Error::invalid(format!(
                "expected a range vector, got {}",
                other.value_type().documented()
            ))),
        }
    }

    fn scan(
        &self,
        selector: &VectorSelector,
        range_ms: i64,
        grid: Grid,
    ) -> Result<RangeVector, Error> {
        self.scan_back(selector, range_ms, 0, grid)
    }

    fn scan_back(
        &self,
        selector: &VectorSelector,
        range_ms: i64,
        ttl_max_ms: i64,
        grid: Grid,
    ) -> Result<RangeVector, Error> {
        let ends = match (selector.anchored, selector.smoothed) {
            (true, _) => Some((Ends::Anchored, self.lookback_ms)),
            (_, true) => Some((Ends::Smoothed, self.lookback_ms)),
            _ => None,
        };

        let offset_ms = offset_ms(&selector.offset, &self.times)?;
        let lookup = Lookup {
            range_ms,
            offset_ms,
            at_ms: self.at_ms(selector.at),
            ends,
            ttl_max_ms,
        };

        let start_ms = lookup.read_start_ms(grid.start_ms).saturating_add(1);
        let range = TimeRange::closed(start_ms, lookup.read_end_ms(grid.last_ms()))
            .ok_or_else(|| Error::invalid("time range out of bounds"))?;
        let matchers = matchers(&selector.matchers, &self.regexes)?;
        let names = names(&matchers);

        Ok(RangeVector {
            series: Series::Scan { matchers, range },
            lookup,
            names,
        })
    }

    /// Plans a subquery. The inner grid has the multiples of the step in all windows of the outer
    /// grid, regardless of the outer times.
    fn subquery(
        &self,
        expr: &Expr,
        lookup: Lookup,
        step_ms: i64,
        grid: Grid,
    ) -> Result<RangeVector, Error> {
        let before_ms = lookup.start_ms(grid.start_ms);
        let start_ms = before_ms
            .div_euclid(step_ms)
            .saturating_add(1)
            .saturating_mul(step_ms);

        let inner = Grid::range(start_ms, lookup.end_ms(grid.last_ms()), step_ms);
        if inner.steps > self.steps_max {
            return Err(Error::Samples {
                held: inner.steps,
                limit: self.steps_max,
            });
        }

        let plan = self.reading(HistogramParts::All).plan(expr, inner)?;
        let names = plan.names.clone();

        Ok(RangeVector {
            series: Series::Subquery(Box::new(plan)),
            lookup,
            names,
        })
    }

    fn at_ms(&self, at: Option<At>) -> Option<i64> {
        at.map(|at| match at {
            At::TimestampMs(ms) => ms,
            At::Start => self.times.start_ms,
            At::End => self.times.end_ms,
        })
    }

    /// Plans a selector with its function. The names are dropped if the function drops them.
    ///
    /// # Errors
    /// Samples of the time are gone, and rollups cannot take their place.
    pub(crate) fn steps(
        &self,
        vector: RangeVector,
        function: StepFunction,
        arguments: Vec<Plan>,
        grid: Grid,
        pos: StepPos,
    ) -> Result<Plan, Error> {
        let RangeVector {
            series,
            lookup,
            names,
        } = vector;

        let rollup = match &series {
            Series::Scan { range, .. } => self.rollups.choose(&Asked {
                function,
                lookup: &lookup,
                grid: &grid,
                range: *range,
                uses_starts: self.starts == Starts::Known,
            })?,
            Series::Subquery(_) => None,
        };

        let node = Node::Steps {
            series,
            lookup,
            function,
            arguments,
            parts: self.parts.unwrap_or_default(),
            pos,
            rollup,
        };

        let plan = Plan { node, grid, names };

        Ok(if function.keeps_name() {
            plan
        } else {
            plan.without_names(self.names)
        })
    }
}

pub(crate) fn matchers(of: &[LabelMatcher], regexes: &Regexes) -> Result<Arc<[Matcher]>, Error> {
    let matchers = of
        .iter()
        .map(|matcher| matcher.compile(regexes))
        .collect::<Result<_, _>>();
    matchers.map_err(|error| Error::invalid(error.to_string()))
}

fn names(matchers: &[Matcher]) -> Names {
    let equal = |m: &Matcher| match &m.op {
        duramen_model::MatchOp::Equal(value) if m.name == METRIC_NAME => Some(value.clone()),
        _ => None,
    };

    match matchers.iter().find_map(equal) {
        Some(name) if name.is_empty() => Names::None,
        Some(name) => Names::One(name),
        None => Names::Any,
    }
}
