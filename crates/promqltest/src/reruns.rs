//! The ways in which the query of an `eval` is evaluated. All must give the same answer.

use duramen_syntax::Expr;
use duramen_syntax::ast::At;

use crate::eval::{Eval, Expected, Steps, Times};

/// One way to evaluate a query.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) expr: Expr,
    /// The text of the expression.
    pub(crate) text: String,
    pub(crate) how: How,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    Instant(i64),
    Range(Steps),
    /// A range query around this time. Only the point at this time is compared.
    Middle(i64),
}

/// How far the range query reaches to each side of the instant.
const AROUND_MS: i64 = 60_000;

/// Returns the ways to evaluate a query, in order.
///
/// # Errors
/// If the query cannot be parsed again after `@` has been added to its selectors.
pub(crate) fn runs(eval: &Eval) -> Result<Vec<Run>, String> {
    let time_ms = match eval.times {
        Times::Range(steps) => {
            return Ok(vec![Run {
                expr: eval.expr.clone(),
                text: eval.query.clone(),
                how: How::Range(steps),
            }]);
        }
        Times::Instant(time_ms) => time_ms,
    };

    let mut runs = vec![Run {
        expr: eval.expr.clone(),
        text: eval.query.clone(),
        how: How::Instant(time_ms),
    }];

    if !asks_for_time(&eval.expr) {
        let text = pinned(eval.expr.clone(), time_ms).to_string();
        let expr = duramen_syntax::parse(&text)
            .map_err(|error| format!("{text} is not read again: {error}"))?;

        let run = |time_ms| Run {
            expr: expr.clone(),
            text: text.clone(),
            how: How::Instant(time_ms),
        };

        runs.extend(other_times(time_ms).into_iter().map(run));
    }

    if has_a_middle(eval) {
        let middle = |run: &Run| match run.how {
            How::Instant(time_ms) => Some(Run {
                how: How::Middle(time_ms),
                ..run.clone()
            }),
            _ => None,
        };

        let middles: Vec<Run> = runs.iter().filter_map(middle).collect();
        runs.extend(middles);
    }

    Ok(runs)
}

/// Returns other evaluation times for an expression in which everything is fixed by `@`. The answer
/// must not change.
fn other_times(time_ms: i64) -> Vec<i64> {
    match time_ms {
        0 => vec![-1_000, 0, 1_000],
        t => vec![t.saturating_mul(-10), 0, t / 5, t, t.saturating_mul(10)],
    }
}

fn has_a_middle(eval: &Eval) -> bool {
    let timeless = ["start()", "end()", "range()", "step()"]
        .iter()
        .all(|word| !eval.query.contains(word));
    let vector = matches!(eval.expected, Expected::Vector(_) | Expected::Scalar(_));
    timeless && vector && !eval.ordered && eval.fail.is_none()
}

/// Whether the answer depends on the evaluation time even if everything has an `@`.
fn asks_for_time(expr: &Expr) -> bool {
    const WORDS: [&str; 15] = [
        "days_in_month",
        "day_of_month",
        "day_of_week",
        "day_of_year",
        "hour",
        "minute",
        "month",
        "year",
        "start",
        "end",
        "range",
        "step",
        "time",
        "predict_linear",
        "timestamp",
    ];

    let mut found = false;
    expr.walk(&mut |expr| {
        found |= matches!(expr, Expr::Call { func, .. } if WORDS.contains(&func.name))
    });
    found
}

/// Adds `@` to every selector and subquery that has none. Selectors inside of a subquery stay,
/// because the subquery fixes them.
fn pinned(mut expr: Expr, time_ms: i64) -> Expr {
    let pin = |at: &mut Option<At>| *at = at.or(Some(At::TimestampMs(time_ms)));
    let boxed = |expr: &mut Box<Expr>| **expr = pinned((**expr).clone(), time_ms);

    match &mut expr {
        Expr::VectorSelector(selector) => pin(&mut selector.at),
        Expr::MatrixSelector { selector, .. } => pin(&mut selector.at),
        Expr::Subquery { at, .. } => pin(at),
        Expr::Unary { expr, .. } | Expr::Paren { expr, .. } => boxed(expr),
        Expr::Aggregate { expr, param, .. } => {
            boxed(expr);
            param.iter_mut().for_each(boxed);
        }
        Expr::Binary { lhs, rhs, .. } => [lhs, rhs].into_iter().for_each(boxed),
        Expr::Call { args, .. } => args
            .iter_mut()
            .for_each(|arg| *arg = pinned(arg.clone(), time_ms)),
        Expr::Number { .. } | Expr::String { .. } => {}
    }

    expr
}

impl How {
    /// Returns the steps of the range query around an instant.
    pub(crate) const fn around(time_ms: i64) -> Steps {
        Steps {
            start_ms: time_ms.saturating_sub(AROUND_MS),
            end_ms: time_ms.saturating_add(AROUND_MS),
            step_ms: AROUND_MS,
        }
    }
}
