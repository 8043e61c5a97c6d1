//! PromQL over floats, evaluated as the language is told: one expression at one time, by recursion, over samples in a list.
//!
//! What the engine is held against. It shares the syntax tree with it and no arithmetic, is written to be read, and knows no speed. What it
//! does not know is [`Fault::Beyond`]: native histograms, choices among equals (`topk`, `limitk`), sorting, and what is experimental. The name of a
//! metric goes at once.

mod aggregate;
mod binary;
mod functions;
mod labels;
mod ranges;
mod selectors;

use duramen_syntax::Expr;
use duramen_syntax::ast::UnaryOp;

pub use labels::LabelSet;

/// All that is known: the samples of every series, and how far back an instant vector looks.
#[derive(Clone, Debug)]
pub struct Reference {
    pub series: Vec<ReferenceSeries>,
    pub lookback_ms: i64,
}

/// Samples as (time in ms, value), times ascending. A value may be the stale marker.
#[derive(Clone, Debug)]
pub struct ReferenceSeries {
    pub labels: LabelSet,
    pub samples: Vec<(i64, f64)>,
}

/// When an expression is evaluated, and the first and the last time of the whole query.
#[derive(Clone, Copy, Debug)]
pub struct When {
    pub time_ms: i64,
    pub start_ms: i64,
    pub end_ms: i64,
}

#[derive(Clone, Debug)]
pub enum Value {
    Scalar(f64),
    /// In no order; no label set twice.
    Vector(Vector),
}

pub type Vector = Vec<(LabelSet, f64)>;

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The query fails: two series are alike, or cannot be told apart by a matching.
    #[error("{0}")]
    Fails(&'static str),
    /// This evaluator does not know it.
    #[error("not known here: {0}")]
    Beyond(String),
}

impl Reference {
    /// Evaluates a scalar or an instant vector.
    pub fn evaluate(&self, expr: &Expr, when: When) -> Result<Value, Fault> {
        match expr {
            Expr::Number { value, .. } => Ok(Value::Scalar(*value)),
            Expr::Paren { expr, .. } => self.evaluate(expr, when),
            Expr::VectorSelector(selector) => Ok(Value::Vector(self.instant(selector, when)?)),
            Expr::Unary { op: UnaryOp::Plus, expr, .. } => self.evaluate(expr, when),
            Expr::Unary { expr, .. } => match self.evaluate(expr, when)? {
                Value::Scalar(value) => Ok(Value::Scalar(-value)),
                Value::Vector(vector) => functions::map_unnamed(vector, |value| -value),
            },
            Expr::Call { func, args, .. } => self.call(func.name, args, when),
            Expr::Aggregate { op, grouping, param, expr, .. } => {
                self.aggregate(*op, grouping.as_ref(), param.as_deref(), expr, when)
            }
            Expr::Binary { op, lhs, rhs, return_bool, matching, .. } => {
                let (lhs, rhs) = (self.evaluate(lhs, when)?, self.evaluate(rhs, when)?);
                binary::evaluate(*op, lhs, rhs, *return_bool, matching.as_ref())
            }
            Expr::String { .. } | Expr::MatrixSelector { .. } | Expr::Subquery { .. } => {
                Err(Fault::Beyond(format!("a {}", expr.value_type().documented())))
            }
        }
    }

    fn vector(&self, expr: &Expr, when: When) -> Result<Vector, Fault> {
        match self.evaluate(expr, when)? {
            Value::Vector(vector) => Ok(vector),
            Value::Scalar(_) => Err(Fault::Beyond("a scalar where a vector is".to_owned())),
        }
    }

    fn scalar(&self, expr: &Expr, when: When) -> Result<f64, Fault> {
        match self.evaluate(expr, when)? {
            Value::Scalar(value) => Ok(value),
            Value::Vector(_) => Err(Fault::Beyond("a vector where a scalar is".to_owned())),
        }
    }
}
