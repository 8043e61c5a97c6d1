//! Calls.

use std::collections::BTreeSet;

use duramen_model::{GoRegex, METRIC_NAME};
use duramen_syntax::Expr;
use duramen_syntax::ast::{LabelMatcher, MatchOp};

use super::labels::{LabelSet, distinct, set, unnamed};
use super::{Fault, Reference, Value, Vector, When, ranges};

impl Reference {
    pub(super) fn call(&self, name: &str, args: &[Expr], when: When) -> Result<Value, Fault> {
        let beyond = || Fault::Beyond(format!("function {name}"));
        match name {
            "time" => Ok(Value::Scalar(when.time_ms as f64 / 1000.0)),
            "pi" => Ok(Value::Scalar(std::f64::consts::PI)),
            "scalar" => match self.vector(&args[0], when)?[..] {
                [(_, value)] => Ok(Value::Scalar(value)),
                _ => Ok(Value::Scalar(f64::NAN)),
            },
            "vector" => Ok(Value::Vector(vec![(LabelSet::new(), self.scalar(&args[0], when)?)])),
            "timestamp" => self.timestamp(&args[0], when),
            "absent" => {
                let absent = self.vector(&args[0], when)?.is_empty();
                Ok(Value::Vector(if absent { vec![(labels_of(&args[0]), 1.0)] } else { Vec::new() }))
            }
            "absent_over_time" => {
                let absent = self.windows(&args[0], when)?.is_empty();
                Ok(Value::Vector(if absent { vec![(labels_of(&args[0]), 1.0)] } else { Vec::new() }))
            }
            "label_replace" => self.label_replace(args, when),
            "label_join" => self.label_join(args, when),
            "clamp" | "clamp_min" | "clamp_max" | "round" => {
                let vector = self.vector(&args[0], when)?;
                let parameters: Result<Vec<f64>, Fault> = args[1..].iter().map(|arg| self.scalar(arg, when)).collect();
                let parameters = parameters?;
                match (name, &parameters[..]) {
                    ("clamp", [low, high]) if low > high => Ok(Value::Vector(Vec::new())),
                    ("clamp", [low, high]) => map_unnamed(vector, |value| at_most(at_least(value, *low), *high)),
                    ("clamp_min", [low]) => map_unnamed(vector, |value| at_least(value, *low)),
                    ("clamp_max", [high]) => map_unnamed(vector, |value| at_most(value, *high)),
                    ("round", []) => map_unnamed(vector, |value| (value + 0.5).floor()),
                    ("round", [to]) => map_unnamed(vector, |value| (value * (1.0 / to) + 0.5).floor() / (1.0 / to)),
                    _ => Err(beyond()),
                }
            }
            _ => match (of_value(name), args) {
                (Some(function), [vector]) => map_unnamed(self.vector(vector, when)?, function),
                _ => self.over_range(name, args, when),
            },
        }
    }

    fn over_range(&self, name: &str, args: &[Expr], when: When) -> Result<Value, Fault> {
        let beyond = || Fault::Beyond(format!("function {name}"));
        let (range, parameter) = match (name, args) {
            ("quantile_over_time", [q, range]) => (range, self.scalar(q, when)?),
            ("predict_linear", [range, ahead]) => (range, self.scalar(ahead, when)?),
            (_, [range]) => (range, f64::NAN),
            _ => return Err(beyond()),
        };
        let mut vector = Vec::new();
        for window in self.windows(range, when)? {
            let value = ranges::evaluate(name, &window, parameter, when.time_ms).ok_or_else(beyond)?;
            let keeps_name = matches!(name, "last_over_time" | "first_over_time");
            let labels = if keeps_name { window.labels } else { unnamed(window.labels) };
            vector.extend(value.map(|value| (labels, value)));
        }
        Ok(Value::Vector(distinct(vector)?))
    }

    /// Of a selector when its samples are from, of anything else when it is evaluated.
    fn timestamp(&self, expr: &Expr, when: When) -> Result<Value, Fault> {
        match expr {
            Expr::Paren { expr, .. } => self.timestamp(expr, when),
            Expr::VectorSelector(selector) => {
                let samples = self.instant_samples(selector, when)?.into_iter();
                let times = samples.map(|(labels, (ts, _))| (unnamed(labels), ts as f64 / 1000.0)).collect();
                Ok(Value::Vector(distinct(times)?))
            }
            _ => map_unnamed(self.vector(expr, when)?, |_| when.time_ms as f64 / 1000.0),
        }
    }

    fn label_replace(&self, args: &[Expr], when: When) -> Result<Value, Fault> {
        let [vector, to, replacement, from, pattern] = args else { return Err(Fault::Beyond("label_replace".into())) };
        let vector = self.vector(vector, when)?;
        let (to, replacement, from) = (text(to)?, text(replacement)?, text(from)?);
        let regex = GoRegex::parse(text(pattern)?).map_err(|error| Fault::Beyond(error.to_string()))?;
        let replaced = vector.into_iter().map(|(mut labels, value)| {
            let source = labels.get(from).cloned().unwrap_or_default();
            if let Some(result) = regex.replace_all_expand(&source, replacement) {
                set(&mut labels, to, &result);
            }
            (labels, value)
        });
        Ok(Value::Vector(distinct(replaced.collect())?))
    }

    fn label_join(&self, args: &[Expr], when: When) -> Result<Value, Fault> {
        let [vector, to, separator, from @ ..] = args else { return Err(Fault::Beyond("label_join".into())) };
        let vector = self.vector(vector, when)?;
        let from: Vec<&str> = from.iter().map(text).collect::<Result<_, _>>()?;
        let (to, separator) = (text(to)?, text(separator)?);
        let joined = vector.into_iter().map(|(mut labels, value)| {
            let values: Vec<&str> = from.iter().map(|name| labels.get(*name).map_or("", String::as_str)).collect();
            let result = values.join(separator);
            set(&mut labels, to, &result);
            (labels, value)
        });
        Ok(Value::Vector(distinct(joined.collect())?))
    }
}

pub(super) fn map_unnamed(vector: Vector, function: impl Fn(f64) -> f64) -> Result<Value, Fault> {
    let mapped = vector.into_iter().map(|(labels, value)| (unnamed(labels), function(value)));
    Ok(Value::Vector(distinct(mapped.collect())?))
}

fn of_value(name: &str) -> Option<fn(f64) -> f64> {
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
        "deg" => |value| value * 180.0 / std::f64::consts::PI,
        "rad" => |value| value * std::f64::consts::PI / 180.0,
        "sgn" => |value| match value {
            _ if value < 0.0 => -1.0,
            _ if value > 0.0 => 1.0,
            _ => value,
        },
        // A date is of whole seconds, nearer to the epoch.
        "minute" => |value| (value.trunc() / 60.0).floor().rem_euclid(60.0),
        "hour" => |value| (value.trunc() / 3600.0).floor().rem_euclid(24.0),
        // The epoch was a Thursday.
        "day_of_week" => |value| ((value.trunc() / 86400.0).floor() + 4.0).rem_euclid(7.0),
        _ => return None,
    })
}

/// The larger one. NaN is neither, but nothing is larger than the infinite.
fn at_least(value: f64, low: f64) -> f64 {
    if value == f64::INFINITY || low == f64::INFINITY {
        return f64::INFINITY;
    }
    if value.is_nan() || low.is_nan() { f64::NAN } else { value.max(low) }
}

/// The smaller one, likewise.
fn at_most(value: f64, high: f64) -> f64 {
    if value == f64::NEG_INFINITY || high == f64::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    if value.is_nan() || high.is_nan() { f64::NAN } else { value.min(high) }
}

fn text(expr: &Expr) -> Result<&str, Fault> {
    match expr {
        Expr::String { value, .. } => Ok(value),
        Expr::Paren { expr, .. } => text(expr),
        _ => Err(Fault::Beyond("no string".to_owned())),
    }
}

/// The labels that a selector says by `=`, each in one matcher only; of anything else none.
fn labels_of(expr: &Expr) -> LabelSet {
    let matchers: &[LabelMatcher] = match expr {
        Expr::VectorSelector(selector) => &selector.matchers,
        Expr::MatrixSelector { selector, .. } => &selector.matchers,
        _ => &[],
    };
    let mut labels = LabelSet::new();
    let mut seen = BTreeSet::new();
    for LabelMatcher { name, op, value } in matchers.iter().filter(|matcher| matcher.name != METRIC_NAME) {
        let first = seen.insert(name);
        set(&mut labels, name, if *op == MatchOp::Equal && first { value } else { "" });
    }
    labels
}
