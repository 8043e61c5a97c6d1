//! Which parts of a query are the same at every step.

use duramen_syntax::Expr;

use crate::plan::deep;

/// Whether an expression reads series and has the same value at every step: all of its selectors say when with `@`, and
/// nothing in it asks for the time of the step.
pub(crate) fn is_step_invariant(expr: &Expr) -> bool {
    fixed(expr).is_some_and(|reads| reads)
}

/// `None`: depends on the step. Otherwise whether any series are read.
fn fixed(expr: &Expr) -> Option<bool> {
    deep(|| match expr {
        Expr::Number { .. } | Expr::String { .. } => Some(false),
        Expr::VectorSelector(selector) => selector.at.map(|_| true),
        Expr::MatrixSelector { selector, .. } => selector.at.map(|_| true),
        Expr::Subquery { at, .. } => at.map(|_| true),
        Expr::Call { func, args, .. } if asks_for_time(func.name, args) => None,
        _ => expr.children().try_fold(false, |reads, child| Some(fixed(child)? | reads)),
    })
}

fn asks_for_time(function: &str, args: &[Expr]) -> bool {
    match function {
        // Of no argument, the date functions are about the time of the step.
        "day_of_month" | "day_of_week" | "day_of_year" | "days_in_month" | "hour" | "minute" | "month" | "year" => {
            args.is_empty()
        }
        "predict_linear" | "time" | "timestamp" => true,
        _ => false,
    }
}
