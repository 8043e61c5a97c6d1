//! Checks what the grammar cannot express: types, numbers of arguments, selectors that select
//! everything.
//!
//! If a query has several faults, the order of the checks decides which one is reported. So the
//! order is upstream's: left before right, and children before parents, except where noted.

use std::collections::HashSet;

use duramen_model::{METRIC_NAME, Regexes};

use crate::ast::{
    AggregateOp, BinaryOp, Cardinality, Expr, ValueType, VectorMatching, VectorSelector,
};
use crate::error::ParseError;
use crate::functions::{FunctionSig, Variadic};
use crate::growing_stack::on_growing_stack;
use crate::matcher;
use crate::position::PosRange;
use crate::quoted::quote;

/// Whether a selector without any restriction is an error. It is allowed where it only narrows
/// another selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EmptySelector {
    Refused,
    Allowed,
}

/// Checks a tree and completes the parts that depend on types: [`VectorMatching`] is removed if a
/// side is a scalar, and set operators become many-to-many.
pub(crate) fn check(text: &str, expr: &mut Expr, regexes: &Regexes) -> Result<(), ParseError> {
    Checker { text, regexes }.expr(expr)
}

struct Checker<'a> {
    text: &'a str,
    regexes: &'a Regexes,
}

type Checked = Result<(), ParseError>;

impl Checker<'_> {
    fn fail(&self, position: PosRange, message: impl Into<String>) -> Checked {
        Err(ParseError::new(self.text, position, message))
    }

    fn expr(&self, expr: &mut Expr) -> Checked {
        on_growing_stack(|| self.node(expr))
    }

    fn node(&self, expr: &mut Expr) -> Checked {
        let pos = expr.pos();

        match expr {
            Expr::Number { .. } | Expr::String { .. } => Ok(()),
            Expr::VectorSelector(selector) => self.selector(selector, EmptySelector::Refused),
            Expr::MatrixSelector { selector, .. } => {
                self.selector(selector, EmptySelector::Refused)
            }
            Expr::Paren { expr, .. } => self.expr(expr),
            Expr::Unary { expr, .. } => self.unary(pos, expr),
            Expr::Subquery { expr, .. } => self.subquery(pos, expr),
            Expr::Call { func, args, .. } => self.call(pos, func, args),
            Expr::Aggregate {
                op, param, expr, ..
            } => self.aggregate(*op, param.as_deref_mut(), expr),
            Expr::Binary {
                op,
                lhs,
                rhs,
                return_bool,
                matching,
                ..
            } => {
                self.expr(lhs)?;
                self.expr(rhs)?;

                let operation = Operation {
                    op: *op,
                    lhs,
                    rhs,
                    return_bool: *return_bool,
                    pos,
                };

                self.binary(&operation, matching)
            }
        }
    }

    fn expect_type(&self, expr: &mut Expr, wanted: ValueType, context: &str) -> Checked {
        self.expr(expr)?;

        let found = expr.value_type();
        if found == wanted {
            return Ok(());
        }

        let message = format!(
            "expected type {} in {context}, got {}",
            wanted.documented(),
            found.documented()
        );

        self.fail(expr.pos(), message)
    }

    fn unary(&self, pos: PosRange, expr: &mut Expr) -> Checked {
        self.expr(expr)?;

        match expr.value_type() {
            ValueType::Scalar | ValueType::Vector => Ok(()),
            other => self.fail(
                pos,
                format!(
                    "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                    quote(other.documented())
                ),
            ),
        }
    }

    fn subquery(&self, pos: PosRange, expr: &mut Expr) -> Checked {
        self.expr(expr)?;

        match expr.value_type() {
            ValueType::Vector => Ok(()),
            other => self.fail(
                pos,
                format!(
                    "subquery is only allowed on instant vector, got {} instead",
                    other.as_str()
                ),
            ),
        }
    }

    fn aggregate(&self, op: AggregateOp, param: Option<&mut Expr>, expr: &mut Expr) -> Checked {
        self.expect_type(expr, ValueType::Vector, "aggregation expression")?;
        match (param, op.param_type()) {
            (Some(param), Some(wanted)) => self.expect_type(param, wanted, "aggregation parameter"),
            _ => Ok(()),
        }
    }

    fn selector(&self, selector: &VectorSelector, empty: EmptySelector) -> Checked {
        if let Some(name) = &selector.name {
            // The last matcher is the one of the name itself.
            let others = selector
                .matchers
                .split_last()
                .map_or(&[][..], |(_, others)| others);

            if let Some(second) = others.iter().find(|matcher| matcher.name == METRIC_NAME) {
                let message = format!(
                    "metric name must not be set twice: {} or {}",
                    quote(name),
                    quote(&second.value)
                );

                return self.fail(selector.pos, message);
            }

            return Ok(());
        }

        if empty == EmptySelector::Allowed
            || !selector
                .matchers
                .iter()
                .all(|of| matcher::matches_empty(of, self.regexes))
        {
            return Ok(());
        }

        self.fail(
            selector.pos,
            "vector selector must contain at least one non-empty matcher",
        )
    }

    fn call(&self, pos: PosRange, func: &FunctionSig, args: &mut [Expr]) -> Checked {
        self.argument_count(pos, func, args.len())?;

        let selects_labels_only = func.name == "info";
        if selects_labels_only && let Some(labels) = args.get(1) {
            self.label_selectors(pos, func, labels)?;
        }

        for (index, arg) in args.iter_mut().enumerate() {
            let Some(wanted) = func.arg_type(index) else {
                break;
            };

            match arg {
                Expr::VectorSelector(selector) if selects_labels_only && index == 1 => {
                    self.selector(selector, EmptySelector::Allowed)?;
                }
                _ => self.expect_type(
                    arg,
                    wanted,
                    &format!("call to function {}", quote(func.name)),
                )?,
            }
        }

        Ok(())
    }

    fn argument_count(&self, pos: PosRange, func: &FunctionSig, count: usize) -> Checked {
        let min = func.args_min();
        let max = func.args_max();

        let expected = match (func.variadic, max) {
            (Variadic::Fixed, _) if count != min => format!("{min}"),
            (Variadic::Fixed, _) => return Ok(()),
            _ if count < min => format!("at least {min}"),
            (_, Some(max)) if count > max => format!("at most {max}"),
            _ => return Ok(()),
        };

        self.fail(
            pos,
            format!(
                "expected {expected} argument(s) in call to {}, got {count}",
                quote(func.name)
            ),
        )
    }

    /// The second argument of `info` is a selector without a name.
    fn label_selectors(&self, pos: PosRange, func: &FunctionSig, labels: &Expr) -> Checked {
        let found = labels.value_type();

        if found != ValueType::Vector {
            let message = format!(
                "expected type {} in call to function {}, got {}",
                ValueType::Vector.documented(),
                quote(func.name),
                found.documented()
            );

            return self.fail(pos, message);
        }

        match labels {
            Expr::VectorSelector(selector) if selector.name.is_none() => Ok(()),
            Expr::VectorSelector(selector) => self.fail(
                selector.pos,
                "expected label selectors only, got vector selector instead",
            ),
            other => self.fail(other.pos(), "expected label selectors only"),
        }
    }

    fn binary(&self, operation: &Operation<'_>, matching: &mut Option<VectorMatching>) -> Checked {
        let Operation {
            op,
            lhs,
            rhs,
            return_bool,
            pos,
        } = *operation;

        let left = lhs.value_type();
        let right = rhs.value_type();
        let op_pos = self.operator_position(lhs.pos(), rhs.pos());

        if return_bool && !op.is_comparison() {
            return self.fail(
                op_pos,
                "bool modifier can only be used on comparison operators",
            );
        }

        let scalars_only = (left, right) == (ValueType::Scalar, ValueType::Scalar);
        if op.is_comparison() && !return_bool && scalars_only {
            return self.fail(op_pos, "comparisons between scalars must use BOOL modifier");
        }

        self.matching_labels(op_pos, matching.as_ref())?;

        for side in [lhs, rhs] {
            if !matches!(side.value_type(), ValueType::Scalar | ValueType::Vector) {
                return self.fail(
                    side.pos(),
                    "binary expression must contain only scalar and instant vector types",
                );
            }
        }

        if left == ValueType::Vector && right == ValueType::Vector {
            return match matching {
                Some(matching) if op.is_set_operator() => self.set_operation(pos, op, matching),
                _ => Ok(()),
            };
        }

        if let Some(matching) = matching.take() {
            self.no_matching(pos, &matching)?;
        }

        if op.is_set_operator() {
            let message = format!(
                "set operator {} not allowed in binary scalar expression",
                quote(op.as_str())
            );

            return self.fail(pos, message);
        }

        Ok(())
    }

    fn matching_labels(&self, op_pos: PosRange, matching: Option<&VectorMatching>) -> Checked {
        let Some(matching) = matching.filter(|matching| matching.on) else {
            return Ok(());
        };

        let include: HashSet<&String> = matching.include.iter().collect();

        match matching.labels.iter().find(|label| include.contains(label)) {
            Some(label) => self.fail(
                op_pos,
                format!(
                    "label {} must not occur in ON and GROUP clause at once",
                    quote(label)
                ),
            ),
            None => Ok(()),
        }
    }

    /// Refuses modifiers that make no sense beside a scalar. Empty lists are allowed.
    fn no_matching(&self, pos: PosRange, matching: &VectorMatching) -> Checked {
        if !matching.labels.is_empty() {
            return self.fail(pos, "vector matching only allowed between instant vectors");
        }

        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            return self.fail(
                pos,
                "filling in missing series only allowed between instant vectors",
            );
        }

        Ok(())
    }

    fn set_operation(&self, pos: PosRange, op: BinaryOp, matching: &mut VectorMatching) -> Checked {
        if matching.card != Cardinality::OneToOne {
            return self.fail(
                pos,
                format!("no grouping allowed for {} operation", quote(op.as_str())),
            );
        }

        matching.card = Cardinality::ManyToMany;
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            return self.fail(
                pos,
                "filling in missing series not allowed for set operators",
            );
        }

        Ok(())
    }

    /// The position of the text between the operands, without white space. Its end is that of
    /// upstream: on the last byte, not after it.
    fn operator_position(&self, lhs: PosRange, rhs: PosRange) -> PosRange {
        let between = self.text.get(lhs.end..rhs.start).unwrap_or_default();
        let trimmed = between.trim_matches([' ', '\t', '\n', '\r']);
        let start =
            lhs.end + (between.len() - between.trim_start_matches([' ', '\t', '\n', '\r']).len());

        PosRange::new(start, start + trimmed.len().saturating_sub(1))
    }
}

/// A binary operation whose operands have been checked.
struct Operation<'a> {
    op: BinaryOp,
    lhs: &'a Expr,
    rhs: &'a Expr,
    return_bool: bool,
    pos: PosRange,
}
