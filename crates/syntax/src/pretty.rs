//! A tree as text over several lines, in upstream's form.

use crate::ast::Expr;
use crate::print::{AggregateHead, BinaryHead, SubquerySuffix};

/// An expression that is longer on one line is split, in bytes.
const LINE_BYTES_MAX: usize = 100;

const INDENT: &str = "  ";

/// The expression laid out over several lines where it is long. It reads back as the same expression.
pub fn prettify(expr: &Expr) -> String {
    laid_out(expr, 0)
}

fn indent(level: usize) -> String {
    INDENT.repeat(level)
}

/// The expression at this depth of indentation, first line included.
fn laid_out(expr: &Expr, level: usize) -> String {
    let on_one_line = expr.to_string();
    let splits = on_one_line.len() > LINE_BYTES_MAX;
    let margin = indent(level);
    match expr {
        Expr::Unary { op, expr, .. } => {
            let operand = laid_out(expr, level);
            format!("{margin}{}{}", op.as_str(), operand.trim())
        }
        // Upstream forgets the margin of a subquery that fits.
        Expr::Subquery { .. } if !splits => on_one_line,
        Expr::Subquery { expr: inner, .. } => format!("{}{}", laid_out(inner, level), SubquerySuffix(expr)),
        Expr::Aggregate { op, grouping, param, expr, .. } if splits => {
            let head = AggregateHead { op: *op, grouping: grouping.as_ref() };
            let param = param.as_ref().map(|param| format!("{},\n", laid_out(param, level + 1))).unwrap_or_default();
            format!("{margin}{head}(\n{param}{}\n{margin})", laid_out(expr, level + 1))
        }
        Expr::Binary { op, lhs, rhs, return_bool, matching, .. } if splits => {
            let head = BinaryHead { op: *op, return_bool: *return_bool, matching: matching.as_ref() };
            format!("{}\n{margin}{head}\n{}", laid_out(lhs, level + 1), laid_out(rhs, level + 1))
        }
        Expr::Call { func, args, .. } if splits => {
            let args: Vec<String> = args.iter().map(|arg| laid_out(arg, level + 1)).collect();
            format!("{margin}{}(\n{}\n{margin})", func.name, args.join(",\n"))
        }
        Expr::Paren { expr, .. } if splits => format!("{margin}(\n{}\n{margin})", laid_out(expr, level + 1)),
        _ => format!("{margin}{on_one_line}"),
    }
}
