//! Function calls.

use std::collections::BTreeSet;

use duramen_model::{GoRegex, METRIC_NAME};
use duramen_syntax::Expr;
use duramen_syntax::ast::{LabelMatcher, MatchOp};

use super::dates::{self, seconds};
use super::labels::{LabelSet, set};
use super::value::{Element, Fault, Sample, Value, Vector, distinct};
use super::{Evaluation, Histogram, Moment, Times};

impl Evaluation<'_> {
    pub(super) fn call(&self, name: &str, args: &[Expr], at: Moment) -> Result<Value, Fault> {
        let beyond = || Fault::Beyond(format!("function {name}"));
        let Times {
            start_ms,
            end_ms,
            step_ms,
        } = self.query;

        let scalar = |value: f64| Ok(Value::Scalar(value));

        match (name, args) {
            ("time", _) => scalar(seconds(at.time_ms)),
            ("start", _) => scalar(seconds(start_ms)),
            ("end", _) => scalar(seconds(end_ms)),
            ("range", _) => scalar(seconds(end_ms - start_ms)),
            ("step", _) => scalar(if start_ms == end_ms {
                0.0
            } else {
                seconds(step_ms)
            }),
            ("pi", _) => scalar(std::f64::consts::PI),
            ("min_of", [a, b]) => scalar(at_most(self.scalar(a, at)?, self.scalar(b, at)?)),
            ("max_of", [a, b]) => scalar(at_least(self.scalar(a, at)?, self.scalar(b, at)?)),
            ("scalar", [vector]) => {
                let vector = self.vector(vector, at)?;
                match vector
                    .iter()
                    .filter_map(|element| element.sample.float())
                    .collect::<Vec<_>>()[..]
                {
                    [value] => scalar(value),
                    _ => scalar(f64::NAN),
                }
            }
            ("vector", [value]) => Ok(Value::Vector(vec![Element::new(
                LabelSet::new(),
                self.scalar(value, at)?,
            )])),
            ("timestamp", [vector]) => self.timestamp(vector, at),
            ("absent", [vector]) => Ok(absent(vector, self.vector(vector, at)?.is_empty())),
            ("absent_over_time", [range]) => Ok(absent(range, self.windows(range, at)?.is_empty())),
            ("label_replace", _) => self.label_replace(args, at),
            ("label_join", _) => self.label_join(args, at),
            ("info", _) => self.info(args, at),
            ("sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc", [vector, by @ ..]) => {
                let by: Vec<&str> = by.iter().map(text).collect::<Result<_, _>>()?;
                Ok(Value::Vector(super::choice::sorted(
                    name,
                    self.vector(vector, at)?,
                    &by,
                )))
            }
            ("histogram_quantile" | "histogram_quantiles" | "histogram_fraction", _) => {
                self.of_distribution(name, args, at)
            }
            ("clamp" | "clamp_min" | "clamp_max" | "round", [vector, parameters @ ..]) => {
                self.clamped(name, vector, parameters, at)
            }
            (_, []) => {
                let part = dates::part(name).ok_or_else(beyond)?;
                let value = part(seconds(at.time_ms).floor());
                Ok(Value::Vector(vec![Element::new(LabelSet::new(), value)]))
            }
            (_, [vector]) if float_function(name).or_else(|| dates::part(name)).is_some() => {
                let function = float_function(name)
                    .or_else(|| dates::part(name))
                    .ok_or_else(beyond)?;
                self.map_floats(self.vector(vector, at)?, function)
            }
            (_, [vector]) if histogram_function(name).is_some() => {
                let function = histogram_function(name).ok_or_else(beyond)?;
                self.map_unnamed(self.vector(vector, at)?, |sample| {
                    sample.histogram().map(|h| Sample::Float(function(h)))
                })
            }
            _ => self.over_range(name, args, at),
        }
    }

    fn clamped(
        &self,
        name: &str,
        vector: &Expr,
        parameters: &[Expr],
        at: Moment,
    ) -> Result<Value, Fault> {
        let vector = self.vector(vector, at)?;
        let parameters: Vec<f64> = parameters
            .iter()
            .map(|arg| self.scalar(arg, at))
            .collect::<Result<_, _>>()?;

        match (name, &parameters[..]) {
            ("clamp", [low, high]) if low > high => Ok(Value::Vector(Vec::new())),
            ("clamp", [low, high]) => {
                self.map_floats(vector, |value| at_least(at_most(value, *high), *low))
            }
            ("clamp_min", [low]) => self.map_floats(vector, |value| at_least(value, *low)),
            ("clamp_max", [high]) => self.map_floats(vector, |value| at_most(value, *high)),
            ("round", []) => self.map_floats(vector, |value| (value + 0.5).floor()),
            ("round", [to]) => self.map_floats(vector, |value| {
                (value * (1.0 / to) + 0.5).floor() / (1.0 / to)
            }),
            _ => Err(Fault::Beyond(format!("function {name}"))),
        }
    }

    fn over_range(&self, name: &str, args: &[Expr], at: Moment) -> Result<Value, Fault> {
        let is_range = |arg: &&Expr| arg.value_type() == duramen_syntax::ast::ValueType::Matrix;
        let range = args
            .iter()
            .find(is_range)
            .ok_or_else(|| Fault::Beyond(format!("function {name}")))?;

        let others = args.iter().filter(|arg| !is_range(arg));
        let parameters: Vec<f64> = others
            .map(|arg| self.scalar(arg, at))
            .collect::<Result<_, _>>()?;
        let keeps_name = matches!(name, "last_over_time" | "first_over_time");
        let mut vector = Vec::new();

        for window in self.windows(range, at)? {
            let Some(sample) = super::over_time::evaluate(name, &window, &parameters, at.time_ms)?
            else {
                continue;
            };

            let element = Element {
                labels: window.labels,
                nameless: window.nameless,
                sample,
            };

            vector.push(if keeps_name {
                element
            } else {
                self.unnamed(element)
            });
        }

        Ok(Value::Vector(distinct(vector)?))
    }

    /// For a selector, returns the times of its samples; for any other expression, the evaluation
    /// time.
    fn timestamp(&self, expr: &Expr, at: Moment) -> Result<Value, Fault> {
        match expr {
            Expr::Paren { expr, .. } => self.timestamp(expr, at),
            Expr::VectorSelector(selector) => {
                let samples = self.instant_samples(selector, at)?.into_iter();
                let times = samples
                    .map(|(labels, (ts, _))| self.unnamed(Element::new(labels, seconds(ts))))
                    .collect();
                Ok(Value::Vector(distinct(times)?))
            }
            _ => self.map_unnamed(self.vector(expr, at)?, |_| {
                Some(Sample::Float(seconds(at.time_ms)))
            }),
        }
    }

    fn label_replace(&self, args: &[Expr], at: Moment) -> Result<Value, Fault> {
        let [vector, to, replacement, from, pattern] = args else {
            return Err(Fault::Beyond("label_replace".into()));
        };
        let to = text(to)?;
        let replacement = text(replacement)?;
        let from = text(from)?;
        let regex =
            GoRegex::parse(text(pattern)?).map_err(|error| Fault::Beyond(error.to_string()))?;

        self.relabelled(vector, to, at, |labels| {
            let source = labels.get(from).cloned().unwrap_or_default();
            regex.replace_all_expand(&source, replacement)
        })
    }

    fn label_join(&self, args: &[Expr], at: Moment) -> Result<Value, Fault> {
        let [vector, to, separator, from @ ..] = args else {
            return Err(Fault::Beyond("label_join".into()));
        };
        let from: Vec<&str> = from.iter().map(text).collect::<Result<_, _>>()?;
        let to = text(to)?;
        let separator = text(separator)?;

        self.relabelled(vector, to, at, |labels| {
            let values: Vec<&str> = from
                .iter()
                .map(|name| labels.get(*name).map_or("", String::as_str))
                .collect();

            Some(values.join(separator))
        })
    }

    /// Sets label `to` where `value` returns one. A metric name that is set here is not removed at
    /// the end.
    fn relabelled(
        &self,
        vector: &Expr,
        to: &str,
        at: Moment,
        value: impl Fn(&LabelSet) -> Option<String>,
    ) -> Result<Value, Fault> {
        let mut vector = self.vector(vector, at)?;
        for element in &mut vector {
            if let Some(value) = value(&element.labels) {
                set(&mut element.labels, to, &value);
                element.nameless &= to != METRIC_NAME;
            }
        }

        Ok(Value::Vector(distinct(vector)?))
    }
}

fn float_function(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "deg" => |value| value * (180.0 / std::f64::consts::PI),
        "rad" => |value| value * (std::f64::consts::PI / 180.0),
        "sgn" => |value| match value {
            _ if value < 0.0 => -1.0,
            _ if value > 0.0 => 1.0,
            _ => value,
        },
        _ => return None,
    })
}

fn histogram_function(name: &str) -> Option<fn(&Histogram) -> f64> {
    Some(match name {
        "histogram_count" => |histogram| histogram.count,
        "histogram_sum" => |histogram| histogram.sum,
        "histogram_avg" => |histogram| histogram.sum / histogram.count,
        "histogram_stdvar" => Histogram::variance,
        "histogram_stddev" => |histogram| histogram.variance().sqrt(),
        _ => return None,
    })
}

/// Returns the larger value, or NaN if one is NaN. But infinity wins over NaN.
fn at_least(value: f64, low: f64) -> f64 {
    if value == f64::INFINITY || low == f64::INFINITY {
        return f64::INFINITY;
    }

    if value.is_nan() || low.is_nan() {
        f64::NAN
    } else {
        value.max(low)
    }
}

/// Returns the smaller value, or NaN if one is NaN. But -infinity wins over NaN.
fn at_most(value: f64, high: f64) -> f64 {
    if value == f64::NEG_INFINITY || high == f64::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }

    if value.is_nan() || high.is_nan() {
        f64::NAN
    } else {
        value.min(high)
    }
}

pub(super) fn text(expr: &Expr) -> Result<&str, Fault> {
    match expr {
        Expr::String { value, .. } => Ok(value),
        Expr::Paren { expr, .. } => text(expr),
        _ => Err(Fault::Beyond("no string".to_owned())),
    }
}

fn absent(expr: &Expr, is_absent: bool) -> Value {
    let vector: Vector = is_absent
        .then(|| Element::new(labels_of(expr), 1.0))
        .into_iter()
        .collect();

    Value::Vector(vector)
}

/// Returns the labels that a selector sets by `=`, if only one matcher is about the label. Other
/// expressions have none.
fn labels_of(expr: &Expr) -> LabelSet {
    let matchers: &[LabelMatcher] = match expr {
        Expr::Paren { expr, .. } => return labels_of(expr),
        Expr::VectorSelector(selector) => &selector.matchers,
        Expr::MatrixSelector { selector, .. } => &selector.matchers,
        _ => &[],
    };

    let mut labels = LabelSet::new();
    let mut seen = BTreeSet::new();

    for LabelMatcher { name, op, value } in matchers
        .iter()
        .filter(|matcher| matcher.name != METRIC_NAME)
    {
        let first = seen.insert(name);
        set(
            &mut labels,
            name,
            if *op == MatchOp::Equal && first {
                value
            } else {
                ""
            },
        );
    }

    labels
}
