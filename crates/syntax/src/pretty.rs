//! Prints a tree on several lines, in upstream's form.

use std::collections::HashSet;
use std::fmt::{self, Write};

use crate::ast::Expr;
use crate::growing_stack::on_growing_stack;
use crate::print::{AggregateHead, BinaryHead, SubquerySuffix, is_infinite_base};

/// An expression that would be longer than this on one line is split, in bytes.
const LINE_BYTES_MAX: usize = 100;

/// The longest text that is printed, in bytes. Each level is indented further, so the text of a
/// chain grows with the square of its length.
const LAID_OUT_BYTES_MAX: usize = 64 << 20;

/// The indentation of each level.
const INDENT_BYTES: usize = 2;

const SPACES: &str = "                                                                ";

/// The printed expression would be too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the expression is too long to be laid out. laid_out_bytes_max=`{LAID_OUT_BYTES_MAX}`"
        )
    }
}

impl std::error::Error for TooLong {}

/// Prints the expression, on several lines where it is long. The text parses back to the same
/// expression.
///
/// # Errors
///
/// When the text would be longer than 64 MiB.
pub fn prettify(expr: &Expr) -> Result<String, TooLong> {
    laid_out(expr, LINE_BYTES_MAX).map_err(|_| TooLong)
}

/// Prints the expression. Parts that are longer than `line_bytes_max` without indentation are
/// split.
fn laid_out(expr: &Expr, line_bytes_max: usize) -> Result<String, fmt::Error> {
    let mut layout = Layout {
        out: String::new(),
        split: long(expr, line_bytes_max),
        follows_sign: false,
    };

    layout.expr(expr, 0)?;
    Ok(layout.out)
}

/// The addresses of all expressions in a tree that are longer than `line_bytes_max` on one line.
///
/// An expression with a long part is long itself. So only expressions with short parts are printed
/// to measure them.
fn long(expr: &Expr, line_bytes_max: usize) -> HashSet<usize> {
    let mut found = HashSet::new();
    find_long(expr, line_bytes_max, &mut found);
    found
}

fn find_long(expr: &Expr, line_bytes_max: usize, found: &mut HashSet<usize>) -> bool {
    on_growing_stack(|| {
        let mut is_long = false;
        for child in expr.children() {
            is_long |= find_long(child, line_bytes_max, found);
        }

        is_long = is_long
            || write!(
                Measure {
                    left: line_bytes_max
                },
                "{expr}"
            )
            .is_err();

        if is_long {
            found.insert(address(expr));
        }

        is_long
    })
}

fn address(expr: &Expr) -> usize {
    std::ptr::from_ref(expr).addr()
}

/// A writer that counts bytes up to a limit and keeps none.
struct Measure {
    left: usize,
}

impl Write for Measure {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.left = self.left.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

/// The text while it is printed.
struct Layout {
    out: String,
    /// The addresses of the expressions that are split.
    split: HashSet<usize>,
    /// Whether a sign was just written. The next expression then follows it directly, without
    /// indentation.
    follows_sign: bool,
}

impl Write for Layout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.follows_sign = false;
        if self.out.len() + text.len() > LAID_OUT_BYTES_MAX {
            return Err(fmt::Error);
        }

        self.out.push_str(text);
        Ok(())
    }
}

impl Layout {
    fn margin(&mut self, level: usize) -> fmt::Result {
        if self.follows_sign {
            return Ok(());
        }

        let mut left = level * INDENT_BYTES;
        while left > 0 {
            let spaces = &SPACES[..left.min(SPACES.len())];
            self.write_str(spaces)?;
            left -= spaces.len();
        }

        Ok(())
    }

    /// Prints the expression at this level of indentation, including its first line.
    fn expr(&mut self, expr: &Expr, level: usize) -> fmt::Result {
        on_growing_stack(|| self.expr_here(expr, level))
    }

    fn expr_here(&mut self, expr: &Expr, level: usize) -> fmt::Result {
        let splits = self.split.contains(&address(expr));

        match expr {
            Expr::Unary { op, expr, .. } => {
                self.margin(level)?;
                self.write_str(op.as_str())?;
                self.follows_sign = true;

                self.expr(expr, level)
            }
            // Upstream does not indent a subquery that fits on one line.
            Expr::Subquery { .. } if !splits => write!(self, "{expr}"),
            Expr::Subquery { expr: inner, .. } => {
                self.expr(inner, level)?;
                write!(self, "{}", SubquerySuffix(expr))
            }
            Expr::Aggregate {
                op,
                grouping,
                param,
                expr,
                ..
            } if splits => {
                let head = AggregateHead {
                    op: *op,
                    grouping: grouping.as_ref(),
                };

                self.aggregate(&head, param.as_deref(), expr, level)
            }
            Expr::Binary {
                op,
                lhs,
                rhs,
                return_bool,
                matching,
                ..
            } if splits => {
                let head = BinaryHead {
                    op: *op,
                    return_bool: *return_bool,
                    matching: matching.as_ref(),
                };

                self.binary(&head, lhs, rhs, level)
            }
            Expr::Call { func, args, .. } if splits => self.call(func.name, args, level),
            Expr::Paren { expr, .. } if splits => {
                self.margin(level)?;
                self.write_str("(\n")?;
                self.expr(expr, level + 1)?;

                self.closing(level)
            }
            _ => {
                self.margin(level)?;
                write!(self, "{expr}")
            }
        }
    }

    fn aggregate(
        &mut self,
        head: &AggregateHead<'_>,
        param: Option<&Expr>,
        expr: &Expr,
        level: usize,
    ) -> fmt::Result {
        self.margin(level)?;
        writeln!(self, "{head}(")?;

        if let Some(param) = param {
            self.expr(param, level + 1)?;
            self.write_str(",\n")?;
        }

        self.expr(expr, level + 1)?;
        self.closing(level)
    }

    fn binary(
        &mut self,
        head: &BinaryHead<'_>,
        lhs: &Expr,
        rhs: &Expr,
        level: usize,
    ) -> fmt::Result {
        if is_infinite_base(head.op, lhs) {
            self.margin(level + 1)?;
            self.write_str("Inf")?;
        } else {
            self.expr(lhs, level + 1)?;
        }

        self.write_str("\n")?;
        self.margin(level)?;
        writeln!(self, "{head}")?;

        self.expr(rhs, level + 1)
    }

    fn call(&mut self, name: &str, args: &[Expr], level: usize) -> fmt::Result {
        self.margin(level)?;
        writeln!(self, "{name}(")?;

        for (at, arg) in args.iter().enumerate() {
            if at > 0 {
                self.write_str(",\n")?;
            }

            self.expr(arg, level + 1)?;
        }

        self.closing(level)
    }

    fn closing(&mut self, level: usize) -> fmt::Result {
        self.write_str("\n")?;
        self.margin(level)?;
        self.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, lines: &[&str]) {
        let expr = crate::parse(text).expect("valid");
        let pretty = laid_out(&expr, 10).expect("short");

        assert_eq!(pretty.split('\n').collect::<Vec<_>>(), lines, "{text}");
        assert_eq!(
            crate::parse(&pretty).expect("valid").to_string(),
            expr.to_string()
        );
    }

    #[test]
    fn short_expressions_stay_on_one_line() {
        check("sum( up )", &["sum(up)"]);
        check("foo + 1", &["foo + 1"]);
    }

    #[test]
    fn aggregations_and_calls_put_each_argument_on_a_line() {
        check(
            "topk by (a)(5, foobar)",
            &["topk by (a) (", "  5,", "  foobar", ")"],
        );

        check(
            "round(rate(foobar[5m]), 2)",
            &["round(", "  rate(", "    foobar[5m]", "  ),", "  2", ")"],
        );
    }

    #[test]
    fn operators_stand_on_a_line_of_their_own() {
        check(
            "foobar + on(x) group_left(y) baz",
            &["  foobar", "+ on (x) group_left (y)", "  baz"],
        );

        check(
            "a == bool b or foobar",
            &["    a", "  == bool", "    b", "or", "  foobar"],
        );

        check("Inf ^ 1000000", &["  Inf", "^", "  1000000"]);
        check(
            "-(foobar + foobar)",
            &["-(", "    foobar", "  +", "    foobar", ")"],
        );
    }

    #[test]
    fn a_subquery_ends_where_its_expression_does() {
        check(
            "(foo + barbaz)[1h:5m] offset 1m",
            &["(", "    foo", "  +", "    barbaz", ")[1h:5m] offset 1m"],
        );
    }
}
