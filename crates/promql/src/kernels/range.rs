//! The functions of a range vector.

use crate::kernels::extended::{self, Ends};
use crate::kernels::rate::{self, Nature};
use crate::kernels::seconds;
use crate::kernels::{Window, integral, mean, over_time, regression};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeFunction {
    Avg,
    Changes,
    Count,
    Delta,
    Deriv,
    DoubleSmoothing,
    First,
    Idelta,
    Increase,
    Integral,
    Irate,
    Last,
    Mad,
    Max,
    Min,
    PredictLinear,
    Present,
    Quantile,
    Rate,
    Resets,
    Stddev,
    Stdvar,
    Sum,
    TimeOfFirst,
    TimeOfLast,
    TimeOfMax,
    TimeOfMin,
}

/// The functions by name.
const NAMES: [(&str, RangeFunction); 27] = [
    ("avg_over_time", RangeFunction::Avg),
    ("changes", RangeFunction::Changes),
    ("count_over_time", RangeFunction::Count),
    ("delta", RangeFunction::Delta),
    ("deriv", RangeFunction::Deriv),
    (
        "double_exponential_smoothing",
        RangeFunction::DoubleSmoothing,
    ),
    ("first_over_time", RangeFunction::First),
    ("idelta", RangeFunction::Idelta),
    ("increase", RangeFunction::Increase),
    ("integral", RangeFunction::Integral),
    ("irate", RangeFunction::Irate),
    ("last_over_time", RangeFunction::Last),
    ("mad_over_time", RangeFunction::Mad),
    ("max_over_time", RangeFunction::Max),
    ("min_over_time", RangeFunction::Min),
    ("predict_linear", RangeFunction::PredictLinear),
    ("present_over_time", RangeFunction::Present),
    ("quantile_over_time", RangeFunction::Quantile),
    ("rate", RangeFunction::Rate),
    ("resets", RangeFunction::Resets),
    ("stddev_over_time", RangeFunction::Stddev),
    ("stdvar_over_time", RangeFunction::Stdvar),
    ("sum_over_time", RangeFunction::Sum),
    ("ts_of_first_over_time", RangeFunction::TimeOfFirst),
    ("ts_of_last_over_time", RangeFunction::TimeOfLast),
    ("ts_of_max_over_time", RangeFunction::TimeOfMax),
    ("ts_of_min_over_time", RangeFunction::TimeOfMin),
];

impl RangeFunction {
    /// Returns the function of this name. `None` if it is not a range function, or not supported
    /// here.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, function)| *function)
    }

    /// Returns the name of the function in PromQL.
    pub(crate) fn name(self) -> &'static str {
        let found = NAMES.iter().find(|(_, known)| *known == self);
        found.map_or("", |(name, _)| name)
    }

    /// Returns whether the result is still a value of the metric.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }

    /// Returns whether the function expects a counter, which annotations check by name.
    pub(crate) fn wants_counter(self) -> bool {
        matches!(self, Self::Rate | Self::Increase)
    }

    /// Returns whether the function supports such ends of its window.
    pub(crate) fn takes_ends(self, ends: Ends) -> bool {
        match self {
            Self::Delta | Self::Increase | Self::Rate => true,
            Self::Changes | Self::Resets => ends == Ends::Anchored,
            _ => false,
        }
    }

    /// Returns the value over a window with `ends`. The window also has samples around it.
    ///
    /// # Panics
    /// For functions that do not support such ends.
    pub(crate) fn evaluate_with_ends(self, window: &Window<'_>, ends: Ends) -> Option<f64> {
        match self {
            Self::Changes => extended::anchored_values(window).map(rate::changes),
            Self::Delta => extended::growth(window, ends, Nature::Gauge),
            Self::Increase => extended::growth(window, ends, Nature::Counter),
            Self::Rate => {
                let seconds = seconds(window.range_ms);
                extended::growth(window, ends, Nature::Counter).map(|growth| growth / seconds)
            }
            Self::Resets => extended::anchored_values(window).map(rate::resets),
            other => unreachable!("{other:?} does not take {ends:?} ends"),
        }
    }

    /// Returns the value over a window. `None` if there are too few samples. `arguments` are the
    /// scalar arguments at this step, for functions that have some.
    pub(crate) fn evaluate(self, window: &Window<'_>, arguments: [f64; 2]) -> Option<f64> {
        let [argument, second] = arguments;
        let ts = window.ts;
        let values = window.values;
        let first = *values.first()?;
        let last = *values.last()?;

        Some(match self {
            Self::Avg => mean::mean(values),
            Self::Changes => rate::changes(values),
            Self::Count => values.len() as f64,
            Self::Delta => return rate::extrapolated_growth(window, Nature::Gauge),
            Self::Deriv => regression::line(ts, values, ts[0])?.0,
            Self::DoubleSmoothing => regression::double_smoothed(values, argument, second)?,
            Self::First => first,
            Self::Idelta => return rate::last_difference(window),
            Self::Increase => return rate::extrapolated_growth(window, Nature::Counter),
            Self::Integral => integral::integral(
                ts,
                values,
                integral::Strategy::of(argument).unwrap_or_default(),
            ),
            Self::Irate => return rate::last_rate(window),
            Self::Last => last,
            Self::Mad => over_time::median_absolute_deviation(values),
            Self::Max => over_time::max(values),
            Self::Min => over_time::min(values),
            Self::PredictLinear => {
                let (slope, intercept) = regression::line(ts, values, window.time_ms)?;
                slope * argument + intercept
            }
            Self::Present => 1.0,
            Self::Quantile => over_time::quantile(argument, &mut values.to_vec()),
            Self::Rate => return rate::rate(window),
            Self::Resets => rate::resets(values),
            Self::Stddev => over_time::variance(values).sqrt(),
            Self::Stdvar => over_time::variance(values),
            Self::Sum => over_time::sum(values),
            Self::TimeOfFirst => seconds(ts[0]),
            Self::TimeOfLast => seconds(ts[ts.len() - 1]),
            Self::TimeOfMax => time_of(window, |value, held| value >= held),
            Self::TimeOfMin => time_of(window, |value, held| value <= held),
        })
    }
}

/// Returns the time of the last value that beats all previous ones. Any value beats NaN.
fn time_of(window: &Window<'_>, beats: impl Fn(f64, f64) -> bool) -> f64 {
    let mut best = (window.ts[0], window.values[0]);
    for (&ts, &value) in window.ts.iter().zip(window.values) {
        if beats(value, best.1) || best.1.is_nan() {
            best = (ts, value);
        }
    }

    seconds(best.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the value over samples at 10, 20, .. in a window that ends at the last sample.
    fn check(name: &str, values: &[f64], argument: f64, wanted: Option<f64>) {
        let ts: Vec<i64> = (1..).map(|at| at * 10_000).take(values.len()).collect();
        let end_ms = ts.last().copied().unwrap_or(0);

        let window = Window {
            ts: &ts,
            values,
            start_ms: 0,
            end_ms,
            range_ms: end_ms,
            falls: true,
            time_ms: end_ms,
        };

        assert_eq!(
            RangeFunction::named(name)
                .unwrap()
                .evaluate(&window, [argument, f64::NAN]),
            wanted,
            "{name} {values:?}"
        );
    }

    #[test]
    fn functions_are_what_their_names_say() {
        let values = [4.0, 1.0, 4.0, 2.0];
        check("first_over_time", &values, f64::NAN, Some(4.0));
        check("last_over_time", &values, f64::NAN, Some(2.0));
        check("sum_over_time", &values, f64::NAN, Some(11.0));
        check("quantile_over_time", &values, 0.5, Some(3.0));
        check("present_over_time", &values, f64::NAN, Some(1.0));
        check("changes", &values, f64::NAN, Some(3.0));
        check("resets", &values, f64::NAN, Some(2.0));
        check("idelta", &values, f64::NAN, Some(-2.0));
        check("predict_linear", &[1.0, 2.0], 10.0, Some(3.0));
    }

    #[test]
    fn the_last_of_several_extremes_gives_its_time() {
        let values = [4.0, 1.0, 4.0, 1.0, 2.0];
        check("ts_of_first_over_time", &values, f64::NAN, Some(10.0));
        check("ts_of_last_over_time", &values, f64::NAN, Some(50.0));
        check("ts_of_max_over_time", &values, f64::NAN, Some(30.0));
        check("ts_of_min_over_time", &values, f64::NAN, Some(40.0));

        check(
            "ts_of_max_over_time",
            &[f64::NAN, 1.0],
            f64::NAN,
            Some(20.0),
        );
    }

    #[test]
    fn too_few_samples_have_no_value() {
        check("sum_over_time", &[], f64::NAN, None);

        for name in [
            "rate",
            "increase",
            "delta",
            "irate",
            "idelta",
            "deriv",
            "predict_linear",
        ] {
            check(name, &[1.0], 1.0, None);
        }
    }
}
