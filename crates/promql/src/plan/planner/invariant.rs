//! Which parts of a query are the same at every step.

use std::collections::HashSet;

use duramen_syntax::Expr;

use duramen_syntax::on_growing_stack;

/// Expressions of a tree that read series and have the same value at every step: all of their
/// selectors have `@`, and nothing in them depends on the time of the step. They are found once for
/// the whole tree, which must not move in memory meanwhile.
#[derive(Debug, Default)]
pub(crate) struct Invariants {
    /// The addresses of these expressions.
    known: HashSet<usize>,
}

impl Invariants {
    pub(crate) fn of(expr: &Expr) -> Self {
        let mut invariants = Self::default();
        invariants.fixed(expr);
        invariants
    }

    pub(crate) fn has(&self, expr: &Expr) -> bool {
        self.known.contains(&address(expr))
    }

    /// Returns `None` if the expression depends on the step, else whether it reads series. The
    /// children of an expression that depends on the step are visited too, because they may be
    /// invariant.
    fn fixed(&mut self, expr: &Expr) -> Option<bool> {
        on_growing_stack(|| {
            let mut below = Some(false);
            for child in expr.children() {
                let child = self.fixed(child);
                below = below.zip(child).map(|(reads, more)| reads | more);
            }

            let reads = match expr {
                Expr::Number { .. } | Expr::String { .. } => Some(false),
                Expr::VectorSelector(selector) => selector.at.map(|_| true),
                Expr::MatrixSelector { selector, .. } => selector.at.map(|_| true),
                Expr::Subquery { at, .. } => at.map(|_| true),
                Expr::Call { func, args, .. } if asks_for_time(func.name, args) => None,
                _ => below,
            };

            if reads == Some(true) {
                self.known.insert(address(expr));
            }

            reads
        })
    }
}

fn address(expr: &Expr) -> usize {
    std::ptr::from_ref(expr).addr()
}

fn asks_for_time(function: &str, args: &[Expr]) -> bool {
    match function {
        // Without arguments, the date functions use the time of the step.
        "day_of_month" | "day_of_week" | "day_of_year" | "days_in_month" | "hour" | "minute"
        | "month" | "year" => args.is_empty(),
        "predict_linear" | "time" | "timestamp" => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, wanted: bool) {
        let expr = duramen_syntax::parse(query).unwrap();
        assert_eq!(Invariants::of(&expr).has(&expr), wanted, "{query}");
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

        // An expression that reads nothing is cheap, so it is not listed.
        check("1 + 2", false);
    }
}
