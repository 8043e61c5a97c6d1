//! The syntax tree of a query, before planning.
//!
//! A tree that [`parse`](crate::parse) returned is well typed, at most
//! [`TREE_HEIGHT_MAX`](crate::TREE_HEIGHT_MAX) nodes high, and every node knows its position in the
//! text. Plain recursion over a tree may overflow the stack. So recursion must go through
//! [`on_growing_stack`], or use a list of nodes, as `walk`, `clone` and `drop` do here. Comparing
//! and debug printing recurse plainly; they are for tests.

mod operator;
pub(crate) mod value_type;

pub use operator::{AggregateOp, BinaryOp, DurationOp, MatchOp, UnaryOp};
pub use value_type::ValueType;

use crate::functions::FunctionSig;
use crate::growing_stack::on_growing_stack;
use crate::position::PosRange;

/// An expression.
#[derive(Debug, PartialEq)]
pub enum Expr {
    /// A number, or a duration used as a number (then in seconds).
    Number {
        value: f64,
        /// Whether it was written as a duration (`5m`). Then it is printed as one.
        is_duration: bool,
        pos: PosRange,
    },
    /// A string.
    String {
        /// The text. Bytes that are not UTF-8 are replaced by U+FFFD. Only escapes such as `\xff`
        /// can write such bytes.
        value: String,
        /// The bytes as written, if they are not UTF-8.
        bytes: Option<Vec<u8>>,
        pos: PosRange,
    },
    /// An instant vector: `up{job="a"} offset 5m`.
    VectorSelector(VectorSelector),
    /// A range vector: `up[5m]`. `selector` has `offset`, `@`, `anchored` and `smoothed`.
    MatrixSelector {
        /// Its `pos` ends before the bracket.
        selector: Box<VectorSelector>,
        range: DurationExpr,
        pos: PosRange,
    },
    /// An instant vector evaluated over a range: `expr[1h:5m]`.
    Subquery {
        expr: Box<Self>,
        range: DurationExpr,
        /// `None` means the default evaluation interval.
        step: Option<DurationExpr>,
        offset: OffsetSpec,
        at: Option<At>,
        pos: PosRange,
    },
    /// A function call. Number and types of the arguments have been checked against `func`.
    Call {
        func: &'static FunctionSig,
        args: Vec<Self>,
        pos: PosRange,
    },
    /// An aggregation: `sum by (job) (up)`.
    Aggregate {
        op: AggregateOp,
        /// `None` means one group for everything.
        grouping: Option<Grouping>,
        /// The parameter; `Some` exactly when [`AggregateOp::takes_param`].
        param: Option<Box<Self>>,
        expr: Box<Self>,
        pos: PosRange,
    },
    /// A binary operation.
    Binary {
        op: BinaryOp,
        lhs: Box<Self>,
        rhs: Box<Self>,
        /// `bool`: the comparison returns 0 or 1 instead of filtering.
        return_bool: bool,
        /// Scalar when both sides are scalars, otherwise vector.
        value_type: ValueType,
        /// `Some` exactly when both sides are vectors.
        matching: Option<VectorMatching>,
        pos: PosRange,
    },
    /// A sign before an operand that is not a number. The sign of a number is folded into the
    /// number.
    Unary {
        op: UnaryOp,
        expr: Box<Self>,
        pos: PosRange,
    },
    /// `(expr)`.
    Paren { expr: Box<Self>, pos: PosRange },
}

impl Expr {
    pub fn pos(&self) -> PosRange {
        match self {
            Self::VectorSelector(selector) => selector.pos,
            Self::Number { pos, .. }
            | Self::String { pos, .. }
            | Self::MatrixSelector { pos, .. }
            | Self::Subquery { pos, .. }
            | Self::Call { pos, .. }
            | Self::Aggregate { pos, .. }
            | Self::Binary { pos, .. }
            | Self::Unary { pos, .. }
            | Self::Paren { pos, .. } => *pos,
        }
    }

    /// The type of the value that the expression evaluates to.
    pub fn value_type(&self) -> ValueType {
        let mut signed = self;
        while let Self::Unary { expr, .. } | Self::Paren { expr, .. } = signed {
            signed = expr;
        }

        match signed {
            Self::Number { .. } => ValueType::Scalar,
            Self::String { .. } => ValueType::String,
            Self::MatrixSelector { .. } | Self::Subquery { .. } => ValueType::Matrix,
            Self::Call { func, .. } => func.returns,
            Self::Binary { value_type, .. } => *value_type,
            _ => ValueType::Vector,
        }
    }

    /// The expressions directly below this one, in the order of the text. The parameter of an
    /// aggregation is an exception: it follows the aggregated expression.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        let (first, second, rest): (Option<&Self>, Option<&Self>, &[Self]) = match self {
            Self::Number { .. }
            | Self::String { .. }
            | Self::VectorSelector(_)
            | Self::MatrixSelector { .. } => (None, None, &[]),
            Self::Subquery { expr, .. } | Self::Unary { expr, .. } | Self::Paren { expr, .. } => {
                (Some(expr), None, &[])
            }
            Self::Aggregate { expr, param, .. } => (Some(expr), param.as_deref(), &[]),
            Self::Binary { lhs, rhs, .. } => (Some(lhs), Some(rhs), &[]),
            Self::Call { args, .. } => (None, None, args),
        };

        first.into_iter().chain(second).chain(rest)
    }

    /// Calls `visit` for this expression and everything below it, parents first.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        let mut waiting = vec![self];
        while let Some(next) = waiting.pop() {
            visit(next);

            let before = waiting.len();
            waiting.extend(next.children());
            waiting[before..].reverse();
        }
    }

    /// The number of nodes on the longest path to a leaf, including this one.
    pub fn height(&self) -> usize {
        on_growing_stack(|| 1 + self.children().map(Self::height).max().unwrap_or(0))
    }

    /// A cheap expression without children, to fill a place.
    fn leaf() -> Self {
        Self::Number {
            value: 0.0,
            is_duration: false,
            pos: PosRange::default(),
        }
    }

    /// Moves the children to `taken`, except those without children of their own.
    fn take_children(&mut self, taken: &mut Vec<Self>) {
        let mut take = |child: &mut Self| {
            if child.children().next().is_some() {
                taken.push(std::mem::replace(child, Self::leaf()));
            }
        };

        match self {
            Self::Number { .. }
            | Self::String { .. }
            | Self::VectorSelector(_)
            | Self::MatrixSelector { .. } => {}
            Self::Subquery { expr, .. } | Self::Unary { expr, .. } | Self::Paren { expr, .. } => {
                take(expr)
            }
            Self::Aggregate { expr, param, .. } => {
                take(expr);
                if let Some(param) = param {
                    take(param);
                }
            }
            Self::Binary { lhs, rhs, .. } => {
                take(lhs);
                take(rhs);
            }
            Self::Call { args, .. } => args.iter_mut().for_each(take),
        }
    }
}

/// Drops a tree without recursion.
impl Drop for Expr {
    fn drop(&mut self) {
        let mut waiting = Vec::new();
        self.take_children(&mut waiting);

        while let Some(mut next) = waiting.pop() {
            next.take_children(&mut waiting);
        }
    }
}

impl Clone for Expr {
    fn clone(&self) -> Self {
        on_growing_stack(|| self.copy())
    }
}

impl Expr {
    fn copy(&self) -> Self {
        match self {
            Self::Number {
                value,
                is_duration,
                pos,
            } => Self::Number {
                value: *value,
                is_duration: *is_duration,
                pos: *pos,
            },
            Self::String { value, bytes, pos } => Self::String {
                value: value.clone(),
                bytes: bytes.clone(),
                pos: *pos,
            },
            Self::VectorSelector(selector) => Self::VectorSelector(selector.clone()),
            Self::MatrixSelector {
                selector,
                range,
                pos,
            } => Self::MatrixSelector {
                selector: selector.clone(),
                range: range.clone(),
                pos: *pos,
            },
            Self::Subquery {
                expr,
                range,
                step,
                offset,
                at,
                pos,
            } => Self::Subquery {
                expr: expr.clone(),
                range: range.clone(),
                step: step.clone(),
                offset: offset.clone(),
                at: *at,
                pos: *pos,
            },
            Self::Call { func, args, pos } => Self::Call {
                func,
                args: args.clone(),
                pos: *pos,
            },
            Self::Aggregate {
                op,
                grouping,
                param,
                expr,
                pos,
            } => Self::Aggregate {
                op: *op,
                grouping: grouping.clone(),
                param: param.clone(),
                expr: expr.clone(),
                pos: *pos,
            },
            Self::Binary {
                op,
                lhs,
                rhs,
                return_bool,
                value_type,
                matching,
                pos,
            } => Self::Binary {
                op: *op,
                lhs: lhs.clone(),
                rhs: rhs.clone(),
                return_bool: *return_bool,
                value_type: *value_type,
                matching: matching.clone(),
                pos: *pos,
            },
            Self::Unary { op, expr, pos } => Self::Unary {
                op: *op,
                expr: expr.clone(),
                pos: *pos,
            },
            Self::Paren { expr, pos } => Self::Paren {
                expr: expr.clone(),
                pos: *pos,
            },
        }
    }
}

/// A selection of series, and how their samples are looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The metric name, if it is written before the braces. A name inside the braces is only a
    /// matcher.
    pub name: Option<String>,
    /// All matchers. If there is a `name`, the last one is its matcher on `__name__`.
    pub matchers: Vec<LabelMatcher>,
    pub offset: OffsetSpec,
    pub at: Option<At>,
    /// `anchored`: range functions use the samples at the ends of the range as they are.
    pub anchored: bool,
    /// `smoothed`: range functions interpolate at the ends of the range.
    pub smoothed: bool,
    pub pos: PosRange,
}

/// One condition on a label, as text. The pattern of a regex was checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LabelMatcher {
    pub name: String,
    pub op: MatchOp,
    pub value: String,
}

/// How far back in time a selector looks from the evaluation time.
#[derive(Clone, Debug, PartialEq)]
pub enum OffsetSpec {
    /// Milliseconds. A negative offset looks ahead, and 0 is no offset.
    Ms(i64),
    /// A duration that depends on the step and the range of the query.
    Expr(DurationExpr),
}

impl OffsetSpec {
    pub const NONE: Self = Self::Ms(0);
}

/// The `@` modifier: a fixed evaluation time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// Milliseconds since the epoch.
    TimestampMs(i64),
    /// The start of the query.
    Start,
    /// The end of the query.
    End,
}

/// A duration: a literal, or arithmetic over literals, the step and the range of the query.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    pub kind: DurationKind,
    /// Whether it was written in parentheses.
    pub wrapped: bool,
    pub pos: PosRange,
}

#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    Literal {
        seconds: f64,
        /// Whether it was written as a duration (`5m`) and not as a number (`300`).
        is_duration: bool,
    },
    /// `step()`: the step of the query.
    Step,
    /// `range()`: end - start of the query.
    Range,
    Unary {
        op: UnaryOp,
        expr: Box<DurationExpr>,
    },
    Binary {
        op: DurationOp,
        lhs: Box<DurationExpr>,
        rhs: Box<DurationExpr>,
    },
}

/// The labels that define the groups of an aggregation. Names are in the order of the text and may
/// repeat.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

/// How the series of both sides of a binary operation are matched.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorMatching {
    pub card: Cardinality,
    /// `true` for `on`: match only by `labels`. `false` for `ignoring`: match by all labels except
    /// these.
    pub on: bool,
    pub labels: Vec<String>,
    /// The labels in `group_left(..)` or `group_right(..)`.
    pub include: Vec<String>,
    /// The value of series that are missing on the left.
    pub fill_left: Option<f64>,
    /// The value of series that are missing on the right.
    pub fill_right: Option<f64>,
    /// Whether both fill values were written as one `fill(..)`. It is for printing only.
    pub fill_joint: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cardinality {
    OneToOne,
    /// `group_left`.
    ManyToOne,
    /// `group_right`.
    OneToMany,
    /// Set operators.
    ManyToMany,
}
