//! The length of time that a query reads.

use duramen_promql::QueryTimes;
use duramen_syntax::ast::DurationExpr;
use duramen_syntax::{Expr, on_growing_stack};

/// Returns the length of time from the start of the query's longest range to the end of the query.
/// The ranges of nested subqueries are added up. Offsets and the look-back do not count: they move
/// the time and do not make it longer.
pub(crate) fn reach_ms(expr: &Expr, times: QueryTimes) -> i64 {
    times
        .end_ms
        .saturating_sub(times.start_ms)
        .saturating_add(longest_ms(expr, times))
}

fn longest_ms(expr: &Expr, times: QueryTimes) -> i64 {
    on_growing_stack(|| {
        let below = expr
            .children()
            .map(|child| longest_ms(child, times))
            .max()
            .unwrap_or(0);

        match expr {
            Expr::MatrixSelector { range, .. } => range_ms(range, times),
            Expr::Subquery { range, .. } => range_ms(range, times).saturating_add(below),
            _ => below,
        }
    })
}

/// Returns a range in milliseconds. A range without a value counts as 0; the evaluation refuses it.
fn range_ms(range: &DurationExpr, times: QueryTimes) -> i64 {
    let span_ms = times.end_ms.saturating_sub(times.start_ms);
    range.evaluate_ms(times.step_ms, span_ms).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_range_counts_and_nested_ones_add_up() {
        const MINUTE: i64 = 60_000;

        let times = QueryTimes::range(0, 10 * MINUTE, MINUTE).unwrap();

        for (query, minutes) in [
            ("up", 10),
            ("1 + 2", 10),
            ("up offset 1h", 10),
            ("rate(up[5m]) + rate(up[7m] offset 1d)", 17),
            ("max_over_time(rate(up[5m])[1h:1m])", 75),
            ("sum(topk(3, max_over_time(rate(up[5m])[1h:1m]))) / 2", 75),
            ("rate(up[range()])", 20),
            ("rate(up[step() * 3])", 13),
        ] {
            let expr = duramen_syntax::parse(query).unwrap();
            assert_eq!(reach_ms(&expr, times), minutes * MINUTE, "{query}");
        }
    }
}
