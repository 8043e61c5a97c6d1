//! The functions of single values.

use duramen_model::FloatHistogram;

use crate::kernels::date::DatePart;
use crate::kernels::{native, seconds};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CellFunction {
    Plain(PlainFunction),
    Date(DatePart),
    /// `round(v, to)`: the nearest multiple of `to`. Halves are rounded up.
    Round,
    /// `clamp(v, min, max)`: no value if `min` is above `max`.
    Clamp,
    ClampMin,
    ClampMax,
    /// `timestamp(v)` of an expression that is not a selector: the time of the step, in seconds.
    Time,
    Native(NativeFunction),
    /// Drops every series.
    Nothing,
}

/// A function of one value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlainFunction {
    pub(crate) name: &'static str,
    apply: fn(f64) -> f64,
}

impl PartialEq for PlainFunction {
    /// Functions are equal if their names are.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for PlainFunction {}

/// The functions of native histograms. For floats they have no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NativeFunction {
    Avg,
    Count,
    Stddev,
    Stdvar,
    Sum,
}

impl CellFunction {
    pub(crate) fn named(name: &'static str) -> Option<Self> {
        if let Some(part) = DatePart::named(name) {
            return Some(Self::Date(part));
        }

        Some(match name {
            "clamp" => Self::Clamp,
            "histogram_avg" => Self::Native(NativeFunction::Avg),
            "histogram_count" => Self::Native(NativeFunction::Count),
            "histogram_stddev" => Self::Native(NativeFunction::Stddev),
            "histogram_stdvar" => Self::Native(NativeFunction::Stdvar),
            "histogram_sum" => Self::Native(NativeFunction::Sum),
            "clamp_max" => Self::ClampMax,
            "clamp_min" => Self::ClampMin,
            "round" => Self::Round,
            "timestamp" => Self::Time,
            _ => {
                let apply = plain(name)?;
                Self::Plain(PlainFunction { name, apply })
            }
        })
    }

    /// Returns the value at a step of time `time_ms` with these scalar arguments. `None` drops the
    /// value.
    #[inline]
    pub(crate) fn evaluate(self, value: f64, arguments: [f64; 2], time_ms: i64) -> Option<f64> {
        let [first, second] = arguments;
        Some(match self {
            Self::Plain(function) => (function.apply)(value),
            Self::Date(part) => part.of(value),
            Self::Round => {
                // Multiplies by the inverse as Prometheus does. Fewer values end in ...00001 then.
                let inverse = 1.0 / first;
                (value * inverse + 0.5).floor() / inverse
            }
            Self::Clamp if second < first => return None,
            Self::Clamp => max(first, min(second, value)),
            Self::ClampMin => max(first, value),
            Self::ClampMax => min(first, value),
            Self::Time => seconds(time_ms),
            Self::Native(_) | Self::Nothing => return None,
        })
    }

    /// Returns the value for a histogram. Most functions have none.
    pub(crate) fn evaluate_histogram(
        self,
        histogram: &FloatHistogram,
        time_ms: i64,
    ) -> Option<f64> {
        let Self::Native(function) = self else {
            return matches!(self, Self::Time).then_some(seconds(time_ms));
        };
        Some(match function {
            NativeFunction::Avg => histogram.sum / histogram.count,
            NativeFunction::Count => histogram.count,
            NativeFunction::Stddev => native::variance(histogram).sqrt(),
            NativeFunction::Stdvar => native::variance(histogram),
            NativeFunction::Sum => histogram.sum,
        })
    }
}

fn plain(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => f64::acosh,
        "asin" => f64::asin,
        "asinh" => f64::asinh,
        "atan" => f64::atan,
        "atanh" => f64::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => f64::cosh,
        "deg" => |value| value * (180.0 / std::f64::consts::PI),
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => |value| value * (std::f64::consts::PI / 180.0),
        "sgn" => |value| {
            if value < 0.0 {
                -1.0
            } else if value > 0.0 {
                1.0
            } else {
                value
            }
        },
        "sin" => f64::sin,
        "sinh" => f64::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

/// Returns the larger value. If one is NaN, the result is NaN, unless the other is +Inf.
fn max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

/// Returns the smaller value. If one is NaN, the result is NaN, unless the other is -Inf.
fn min(a: f64, b: f64) -> f64 {
    -max(-a, -b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &'static str, value: f64, arguments: [f64; 2], wanted: Option<f64>) {
        let got = CellFunction::named(name)
            .unwrap()
            .evaluate(value, arguments, 1500);
        let same = match (got, wanted) {
            (Some(got), Some(wanted)) => got == wanted || got.is_nan() && wanted.is_nan(),
            (got, wanted) => got == wanted,
        };

        assert!(
            same,
            "{name}({value}, {arguments:?}) is {got:?} and not {wanted:?}"
        );
    }

    #[test]
    fn halves_are_rounded_up() {
        check("round", 2.5, [1.0, 0.0], Some(3.0));
        check("round", -2.5, [1.0, 0.0], Some(-2.0));
        check("round", 5.3, [5.0, 0.0], Some(5.0));
    }

    #[test]
    fn a_clamp_that_holds_nothing_takes_the_series_away() {
        check("clamp", 1.0, [5.0, -5.0], None);
        check("clamp", 1.0, [0.0, f64::NAN], Some(f64::NAN));
        check("clamp", 9.0, [0.0, 5.0], Some(5.0));
        check("clamp_min", f64::NAN, [1.0, 0.0], Some(f64::NAN));
        check("clamp_max", 9.0, [1.0, 0.0], Some(1.0));
    }

    #[test]
    fn the_sign_of_nan_is_nan_and_the_time_is_in_seconds() {
        check("sgn", f64::NAN, [0.0; 2], Some(f64::NAN));
        check("sgn", -0.5, [0.0; 2], Some(-1.0));
        check("timestamp", 7.0, [0.0; 2], Some(1.5));
    }
}
