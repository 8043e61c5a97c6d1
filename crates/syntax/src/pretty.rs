//! A tree as text over several lines, in upstream's form.

use crate::ast::Expr;
use crate::deep::deep;
use crate::print::{AggregateHead, BinaryHead, SubquerySuffix, is_infinite_base};

/// An expression that is longer on one line is split, in bytes.
const LINE_BYTES_MAX: usize = 100;

const INDENT: &str = "  ";

/// The expression laid out over several lines where it is long. It reads back as the same expression.
pub fn prettify(expr: &Expr) -> String {
    laid_out(expr, 0, LINE_BYTES_MAX)
}

fn indent(level: usize) -> String {
    INDENT.repeat(level)
}

/// The expression at this depth of indentation, first line included. It is split when it is longer than `line_bytes_max`
/// without indentation.
fn laid_out(expr: &Expr, level: usize, line_bytes_max: usize) -> String {
    deep(|| laid_out_here(expr, level, line_bytes_max))
}

fn laid_out_here(expr: &Expr, level: usize, line_bytes_max: usize) -> String {
    let on_one_line = expr.to_string();
    let splits = on_one_line.len() > line_bytes_max;
    let margin = indent(level);
    match expr {
        Expr::Unary { op, expr, .. } => {
            let operand = laid_out(expr, level, line_bytes_max);
            format!("{margin}{}{}", op.as_str(), operand.trim())
        }
        // Upstream forgets the margin of a subquery that fits.
        Expr::Subquery { .. } if !splits => on_one_line,
        Expr::Subquery { expr: inner, .. } => {
            format!("{}{}", laid_out(inner, level, line_bytes_max), SubquerySuffix(expr))
        }
        Expr::Aggregate { op, grouping, param, expr, .. } if splits => {
            let head = AggregateHead { op: *op, grouping: grouping.as_ref() };
            let param = param
                .as_ref()
                .map(|param| format!("{},\n", laid_out(param, level + 1, line_bytes_max)))
                .unwrap_or_default();
            format!("{margin}{head}(\n{param}{}\n{margin})", laid_out(expr, level + 1, line_bytes_max))
        }
        Expr::Binary { op, lhs, rhs, return_bool, matching, .. } if splits => {
            let head = BinaryHead { op: *op, return_bool: *return_bool, matching: matching.as_ref() };
            let left = if is_infinite_base(*op, lhs) {
                indent(level + 1) + "Inf"
            } else {
                laid_out(lhs, level + 1, line_bytes_max)
            };
            format!("{left}\n{margin}{head}\n{}", laid_out(rhs, level + 1, line_bytes_max))
        }
        Expr::Call { func, args, .. } if splits => {
            let args: Vec<String> = args.iter().map(|arg| laid_out(arg, level + 1, line_bytes_max)).collect();
            format!("{margin}{}(\n{}\n{margin})", func.name, args.join(",\n"))
        }
        Expr::Paren { expr, .. } if splits => {
            format!("{margin}(\n{}\n{margin})", laid_out(expr, level + 1, line_bytes_max))
        }
        _ => format!("{margin}{on_one_line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, lines: &[&str]) {
        let expr = crate::parse(text).expect("valid");
        let pretty = laid_out(&expr, 0, 10);
        assert_eq!(pretty.split('\n').collect::<Vec<_>>(), lines, "{text}");
        assert_eq!(crate::parse(&pretty).expect("valid").to_string(), expr.to_string());
    }

    #[test]
    fn short_expressions_stay_on_one_line() {
        check("sum( up )", &["sum(up)"]);
        check("foo + 1", &["foo + 1"]);
    }

    #[test]
    fn aggregations_and_calls_put_each_argument_on_a_line() {
        check("topk by (a)(5, foobar)", &["topk by (a) (", "  5,", "  foobar", ")"]);
        check("round(rate(foobar[5m]), 2)", &["round(", "  rate(", "    foobar[5m]", "  ),", "  2", ")"]);
    }

    #[test]
    fn operators_stand_on_a_line_of_their_own() {
        check("foobar + on(x) group_left(y) baz", &["  foobar", "+ on (x) group_left (y)", "  baz"]);
        check("a == bool b or foobar", &["    a", "  == bool", "    b", "or", "  foobar"]);
        check("Inf ^ 1000000", &["  Inf", "^", "  1000000"]);
        check("-(foobar + foobar)", &["-(", "    foobar", "  +", "    foobar", ")"]);
    }

    #[test]
    fn a_subquery_ends_where_its_expression_does() {
        check("(foo + barbaz)[1h:5m] offset 1m", &["(", "    foo", "  +", "    barbaz", ")[1h:5m] offset 1m"]);
    }
}
