//! Functions of a range vector: they turn the samples of one series into one value.

use super::dates::seconds;
use super::histogram::Histogram;
use super::ranges;
use super::rates::{self, Kind};
use super::value::{Fault, Sample};
use super::window::{Edges, Window};

/// Evaluates function `name`. Returns `None` if the series has no value. `time_ms` is the time at
/// which the query is evaluated.
pub(super) fn evaluate(
    name: &str,
    window: &Window,
    parameters: &[f64],
    time_ms: i64,
) -> Result<Option<Sample>, Fault> {
    let may_extend = match window.edges {
        Edges::Plain => true,
        Edges::Anchored => matches!(name, "rate" | "increase" | "delta" | "resets" | "changes"),
        Edges::Smoothed => matches!(name, "rate" | "increase" | "delta"),
    };

    if !may_extend {
        return Err(Fault::Fails("anchored and smoothed are for few functions"));
    }

    let samples = &window.samples;
    Ok(match name {
        "rate" => rates::rise(
            window,
            Kind::Counter,
            seconds(window.end_ms - window.start_ms),
        ),
        "increase" => rates::rise(window, Kind::Counter, 1.0),
        "delta" => rates::rise(window, Kind::Gauge, 1.0),
        "irate" => rates::last_rise(window, Kind::Counter),
        "idelta" => rates::last_rise(window, Kind::Gauge),
        "count_over_time" => Some(Sample::Float(samples.len() as f64)),
        "present_over_time" => Some(Sample::Float(1.0)),
        "last_over_time" => samples.last().map(|(_, sample)| sample.clone()),
        "first_over_time" => samples.first().map(|(_, sample)| sample.clone()),
        "ts_of_last_over_time" => samples.last().map(|(ts, _)| Sample::Float(seconds(*ts))),
        "ts_of_first_over_time" => samples.first().map(|(ts, _)| Sample::Float(seconds(*ts))),
        "changes" => pairs(window).map(|pairs| count(&pairs, differ)),
        "resets" => pairs(window).map(|pairs| count(&pairs, began_anew)),
        "sum_over_time" => added(samples.iter().map(|(_, sample)| sample)),
        "avg_over_time" => averaged(samples.iter().map(|(_, sample)| sample)),
        _ => of_floats(name, window, parameters, time_ms)?.map(Sample::Float),
    })
}

/// Evaluates a function of floats. Histograms in the range are ignored.
fn of_floats(
    name: &str,
    window: &Window,
    parameters: &[f64],
    time_ms: i64,
) -> Result<Option<f64>, Fault> {
    let floats = window
        .samples
        .iter()
        .filter_map(|(ts, sample)| Some((*ts, sample.float()?)));

    let floats: Vec<(i64, f64)> = floats.collect();
    let values: Vec<f64> = floats.iter().map(|(_, value)| *value).collect();

    let line_at = |zero_ms: i64| {
        let points: Vec<_> = floats
            .iter()
            .map(|(ts, value)| (seconds(ts - zero_ms), *value))
            .collect();

        ranges::line(&points)
    };

    let outside = |factor: &f64| !(*factor > 0.0 && *factor < 1.0);
    if name == "double_exponential_smoothing" && parameters.iter().any(outside) {
        return Err(Fault::Fails("invalid smoothing factor"));
    }

    let Some((first_ms, _)) = floats.first() else {
        return Ok(None);
    };
    Ok(match (name, parameters) {
        ("min_over_time", []) => Some(ranges::least(&values)),
        ("max_over_time", []) => Some(ranges::most(&values)),
        ("ts_of_min_over_time", []) => last_time_of(&floats, ranges::least(&values)),
        ("ts_of_max_over_time", []) => last_time_of(&floats, ranges::most(&values)),
        ("stdvar_over_time", []) => Some(ranges::variance(&values)),
        ("stddev_over_time", []) => Some(ranges::variance(&values).sqrt()),
        ("integral", strategy) => Some(ranges::area(
            &floats,
            strategy.first().copied().unwrap_or(2.0),
        )),
        ("mad_over_time", []) => Some(ranges::median_deviation(&values)),
        ("quantile_over_time", [q]) => Some(ranges::quantile(*q, &values)),
        ("deriv", []) => line_at(*first_ms).map(|(slope, _)| slope),
        ("predict_linear", [ahead]) => line_at(time_ms).map(|(slope, now)| slope * ahead + now),
        ("double_exponential_smoothing", [factor, trend]) => {
            ranges::smoothed(&values, *factor, *trend)
        }
        _ => return Err(Fault::Beyond(format!("function {name}"))),
    })
}

/// Returns the time of the last sample with value `wanted`. NaN equals NaN here.
fn last_time_of(floats: &[(i64, f64)], wanted: f64) -> Option<f64> {
    let is = |value: f64| value == wanted || value.is_nan() && wanted.is_nan();
    floats
        .iter()
        .rfind(|(_, value)| is(*value))
        .map(|(ts, _)| seconds(*ts))
}

/// Returns the pairs of neighbouring samples. The first is the last sample at or before the start,
/// if there is one. Returns `None` if no sample is after the start.
fn pairs(window: &Window) -> Option<Vec<(&Sample, &Sample)>> {
    let inside = window
        .samples
        .iter()
        .position(|(ts, _)| *ts > window.start_ms)?;

    let samples = &window.samples[inside.saturating_sub(1)..];
    Some(
        samples
            .windows(2)
            .map(|two| (&two[0].1, &two[1].1))
            .collect(),
    )
}

fn count(pairs: &[(&Sample, &Sample)], holds: fn(&Sample, &Sample) -> bool) -> Sample {
    Sample::Float(
        pairs
            .iter()
            .filter(|(before, after)| holds(before, after))
            .count() as f64,
    )
}

fn differ(before: &Sample, after: &Sample) -> bool {
    match (before, after) {
        (Sample::Float(a), Sample::Float(b)) => a != b && !(a.is_nan() && b.is_nan()),
        (Sample::Histogram(a), Sample::Histogram(b)) => !a.same(b),
        _ => true,
    }
}

fn began_anew(before: &Sample, after: &Sample) -> bool {
    match (before, after) {
        (Sample::Float(a), Sample::Float(b)) => b < a,
        (Sample::Histogram(a), Sample::Histogram(b)) => b.began_anew_after(a),
        _ => true,
    }
}

/// Adds all samples. Returns `None` if they are both floats and histograms, or if two of the
/// histograms cannot be added.
pub(super) fn added<'s>(samples: impl Iterator<Item = &'s Sample>) -> Option<Sample> {
    let mut sum: Option<Sample> = None;

    for sample in samples {
        sum = Some(match (sum, sample) {
            (None, sample) => sample.clone(),
            (Some(Sample::Float(a)), Sample::Float(b)) => Sample::Float(a + b),
            (Some(Sample::Histogram(a)), Sample::Histogram(b)) => Sample::from(a.plus(b)?),
            _ => return None,
        });
    }

    sum
}

pub(super) fn averaged<'s>(samples: impl Iterator<Item = &'s Sample> + Clone) -> Option<Sample> {
    let count = samples.clone().count() as f64;
    Some(match added(samples)? {
        Sample::Float(sum) => Sample::Float(sum / count),
        Sample::Histogram(sum) => Sample::from(Histogram::scaled(&sum, 1.0 / count)),
    })
}
