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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, wanted: bool) {
        assert_eq!(is_step_invariant(&duramen_syntax::parse(query).unwrap()), wanted, "{query}");
    }

    #[test]
    fn only_what_says_when_everywhere_is_the_same_at_every_step() {
        check("a @ 10", true);
        check("sum(rate(a[5m] @ end())) * 2 + scalar(b @ start())", true);
        check("max_over_time(a[5m:1m] @ 10)", true);
        check("year(a @ 10)", true);
        check("a @ 10 + b", false);
        check("max_over_time((a @ 10)[5m:1m])", false);
        check("a @ 10 + time()", false);
        check("predict_linear(a[5m] @ 10, 60)", false);
        check("timestamp(a @ 10)", false);
        // Nothing is read, so there is nothing to save.
        check("1 + 2", false);
    }
}
