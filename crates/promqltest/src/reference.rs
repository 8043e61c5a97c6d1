//! A naive evaluator of PromQL: evaluates one expression at one time, by recursion, over samples in
//! a list.
//!
//! The tests compare the engine with it. It shares the syntax tree with the engine, but no
//! arithmetic. It is written to be read, not to be fast. It does not know start times of counters,
//! nor types and units as parts of names: these are [`Fault::Beyond`].
//!
//! - `selectors` finds the samples: instant vectors, and a `window` for each series of a range
//!   vector.
//! - `functions` calls `over_time` (with `ranges` and `rates`), `buckets`, `info`, `dates`,
//!   `choice`.
//! - `aggregate`, `binary` and `durations` evaluate the other expressions.
//! - `histogram`, `labels` and `value` are what they compute with.

mod aggregate;
mod binary;
mod buckets;
mod choice;
mod dates;
mod durations;
mod functions;
mod histogram;
mod info;
mod labels;
mod over_time;
mod ranges;
mod rates;
mod selectors;
mod value;
mod window;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use duramen_syntax::Expr;
use duramen_syntax::ast::UnaryOp;

pub use histogram::Histogram;
pub use labels::LabelSet;
pub use value::{Element, Fault, Sample, Value, Vector};

/// The data and the settings: the samples of every series, the look-back of instant vectors, and
/// when metric names are removed.
#[derive(Clone, Debug)]
pub struct Reference {
    pub series: Vec<ReferenceSeries>,
    pub lookback_ms: i64,
    pub names: NameRemoval,
}

/// When the metric name is removed from a result that no longer describes the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRemoval {
    AtOnce,
    /// When the query is finished.
    AtTheEnd,
}

/// A series with its samples, ascending by time. A sample may be a stale marker.
#[derive(Clone, Debug)]
pub struct ReferenceSeries {
    pub labels: LabelSet,
    pub samples: Vec<(i64, Sample)>,
}

/// The times of a query, from start to end (inclusive) by the step. An instant query has one time
/// and step 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub start_ms: i64,
    pub end_ms: i64,
    pub step_ms: i64,
}

impl Times {
    pub fn at(time_ms: i64) -> Self {
        Self {
            start_ms: time_ms,
            end_ms: time_ms,
            step_ms: 0,
        }
    }

    fn grid(self) -> Grid {
        Grid {
            first_ms: self.start_ms,
            end_ms: self.end_ms,
            step_ms: self.step_ms.max(1),
        }
    }
}

/// The times at which an expression is evaluated: those of the query, or of the subquery around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Grid {
    first_ms: i64,
    /// No time is later than this. It need not be one of the times.
    end_ms: i64,
    step_ms: i64,
}

impl Grid {
    fn times(self) -> impl Iterator<Item = i64> {
        let next = move |time_ms: &i64| Some(time_ms + self.step_ms);
        std::iter::successors(Some(self.first_ms), next)
            .take_while(move |time_ms| *time_ms <= self.end_ms)
    }

    fn last_ms(self) -> i64 {
        self.first_ms + (self.end_ms - self.first_ms).div_euclid(self.step_ms) * self.step_ms
    }
}

/// One time of a grid.
#[derive(Clone, Copy, Debug)]
struct Moment {
    time_ms: i64,
    grid: Grid,
}

/// The value of an expression at each time of a grid.
type Steps = Rc<Vec<(i64, Vector)>>;

/// The evaluation of one query. The results of subqueries are cached by expression and grid,
/// because several moments need the same ones.
struct Evaluation<'r> {
    known: &'r Reference,
    query: Times,
    subqueries: RefCell<BTreeMap<(*const Expr, Grid), Steps>>,
}

impl Reference {
    /// Evaluates a scalar or an instant vector at each time of the query.
    ///
    /// # Errors
    /// If the evaluation fails at any time of the query or of a subquery, the whole query fails.
    pub fn query(&self, expr: &Expr, times: Times) -> Result<Vec<(i64, Value)>, Fault> {
        let evaluation = Evaluation {
            known: self,
            query: times,
            subqueries: RefCell::default(),
        };

        let grid = times.grid();
        let answer = |time_ms| {
            Ok((
                time_ms,
                evaluation
                    .evaluate(expr, Moment { time_ms, grid })?
                    .finished()?,
            ))
        };

        grid.times().map(answer).collect()
    }
}

impl Evaluation<'_> {
    fn evaluate(&self, expr: &Expr, at: Moment) -> Result<Value, Fault> {
        match expr {
            Expr::Number { value, .. } => Ok(Value::Scalar(*value)),
            Expr::Paren { expr, .. } => self.evaluate(expr, at),
            Expr::VectorSelector(selector) => Ok(Value::Vector(self.instant(selector, at)?)),
            Expr::Unary {
                op: UnaryOp::Plus,
                expr,
                ..
            } => self.evaluate(expr, at),
            Expr::Unary { expr, .. } => match self.evaluate(expr, at)? {
                Value::Scalar(value) => Ok(Value::Scalar(-value)),
                Value::Vector(vector) => self.map_unnamed(vector, |sample| {
                    Some(match sample {
                        Sample::Float(value) => Sample::Float(-value),
                        Sample::Histogram(histogram) => Sample::from(histogram.scaled(-1.0)),
                    })
                }),
            },
            Expr::Call { func, args, .. } => self.call(func.name, args, at),
            Expr::Aggregate {
                op,
                grouping,
                param,
                expr,
                ..
            } => self.aggregate(*op, grouping.as_ref(), param.as_deref(), expr, at),
            Expr::Binary {
                op,
                lhs,
                rhs,
                return_bool,
                matching,
                ..
            } => {
                let lhs = self.evaluate(lhs, at)?;
                let rhs = self.evaluate(rhs, at)?;
                self.binary(*op, lhs, rhs, *return_bool, matching.as_ref())
            }
            Expr::String { .. } | Expr::MatrixSelector { .. } | Expr::Subquery { .. } => Err(
                Fault::Beyond(format!("a {}", expr.value_type().documented())),
            ),
        }
    }

    fn vector(&self, expr: &Expr, at: Moment) -> Result<Vector, Fault> {
        match self.evaluate(expr, at)? {
            Value::Vector(vector) => Ok(vector),
            Value::Scalar(_) => Err(Fault::Beyond("a scalar where a vector is".to_owned())),
        }
    }

    fn scalar(&self, expr: &Expr, at: Moment) -> Result<f64, Fault> {
        match self.evaluate(expr, at)? {
            Value::Scalar(value) => Ok(value),
            Value::Vector(_) => Err(Fault::Beyond("a vector where a scalar is".to_owned())),
        }
    }

    /// Removes the metric name: at once, or marks it for removal at the end.
    fn unnamed(&self, element: Element) -> Element {
        match self.known.names {
            NameRemoval::AtOnce => Element {
                labels: labels::unnamed(element.labels),
                ..element
            },
            NameRemoval::AtTheEnd => Element {
                nameless: true,
                ..element
            },
        }
    }

    /// Applies `function` to each sample and removes the metric name. An element for which
    /// `function` returns `None` is left out.
    fn map_unnamed(
        &self,
        vector: Vector,
        function: impl Fn(Sample) -> Option<Sample>,
    ) -> Result<Value, Fault> {
        let mut mapped = Vec::new();

        for element in vector {
            let Element {
                labels,
                nameless,
                sample,
            } = element;

            mapped.extend(function(sample).map(|sample| {
                self.unnamed(Element {
                    labels,
                    nameless,
                    sample,
                })
            }));
        }

        Ok(Value::Vector(value::distinct(mapped)?))
    }

    /// Does the same as [`Self::map_unnamed`], for floats only. Histograms are left out.
    fn map_floats(&self, vector: Vector, function: impl Fn(f64) -> f64) -> Result<Value, Fault> {
        self.map_unnamed(vector, |sample| {
            sample.float().map(|value| Sample::Float(function(value)))
        })
    }
}
