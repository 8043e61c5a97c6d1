//! Decides whether an answer is the expected one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use duramen_model::Labels;
use duramen_promql::{Answer, Error, RangeSeries, SampleValue, Value};

use crate::compare::{near, near_floats};
use crate::eval::{Annotations, Eval, Expected, Steps};
use crate::item::Item;
use crate::reruns::How;

/// The values of a series by step. The answer at an instant has one step.
type Values = Vec<Option<Item>>;

/// Says what is wrong with an answer. Returns `None` if it is the expected one.
pub(crate) fn fault(eval: &Eval, how: How, answer: &Result<Answer, Error>) -> Option<String> {
    let answer = match (answer, &eval.fail) {
        (Err(error), Some(wanted)) if wanted.matches(&error.to_string()) => return None,
        (Err(error), Some(wanted)) => {
            return Some(format!(
                "expected to fail with {wanted:?}\ngot                   {error}"
            ));
        }
        (Err(error), None) => return Some(format!("it failed: {error}")),
        (Ok(_), Some(wanted)) => {
            return Some(format!("expected to fail with {wanted:?}\ngot an answer"));
        }
        (Ok(answer), None) => answer,
    };

    // A range around the instant has other steps too, and the script says nothing about
    // their annotations.
    if !matches!(how, How::Middle(_)) {
        let annotations = annotations("warn", &eval.warnings, &answer.warnings);
        if let Some(fault) =
            annotations.or_else(|| self::annotations("info", &eval.infos, &answer.infos))
        {
            return Some(fault);
        }
    }

    value_fault(eval, how, &answer.value)
}

/// Compares the value of an answer with the expected one.
fn value_fault(eval: &Eval, how: How, value: &Value) -> Option<String> {
    match (value, &eval.expected) {
        (Value::Scalar { value, .. }, Expected::Scalar(wanted)) => unequal(*value, *wanted),
        (Value::String { value, .. }, Expected::String(wanted)) => {
            (value != wanted).then(|| format!("expected {wanted:?}\ngot      {value:?}"))
        }
        (Value::Matrix(series), Expected::Scalar(wanted)) => match (how, &series[..]) {
            (How::Middle(time_ms), [series]) if series.labels.is_empty() => {
                match at(series, time_ms) {
                    Some(Item::Float(value)) => unequal(value, *wanted),
                    _ => Some(format!("expected {wanted}\ngot no value")),
                }
            }
            _ => Some(format!("expected {wanted}\ngot series: {}", series.len())),
        },
        (Value::Vector(series), Expected::Vector(wanted)) => {
            let got = series
                .iter()
                .map(|series| (series.labels.clone(), vec![Some(item(&series.value))]));
            let got: Vec<_> = got.collect();

            differences(&got, &single(wanted)).or_else(|| {
                if eval.ordered {
                    misplaced(&got, wanted)
                } else {
                    None
                }
            })
        }
        (Value::Matrix(series), Expected::Vector(wanted)) => match how {
            How::Middle(time_ms) => unsorted(series).or_else(|| {
                let got = series
                    .iter()
                    .filter_map(|s| Some((s.labels.clone(), vec![Some(at(s, time_ms)?)])));
                differences(&got.collect::<Vec<_>>(), &single(wanted))
            }),
            _ if series.is_empty() && wanted.is_empty() => None,
            _ => Some(format!(
                "expected an instant vector\ngot a range vector, series: {}",
                series.len()
            )),
        },
        (Value::Matrix(series), Expected::Matrix(steps, wanted)) => {
            unsorted(series).or_else(|| {
                let mut got = Vec::new();
                for series in series {
                    match on_steps(series, *steps) {
                        Ok(values) => got.push((series.labels.clone(), values)),
                        Err(fault) => return Some(fault),
                    }
                }

                differences(&got, wanted)
            })
        }
        (value, expected) => Some(format!(
            "expected {}\ngot {}",
            kind(expected),
            kind_of(value)
        )),
    }
}

fn annotations(kind: &str, wanted: &Annotations, got: &[String]) -> Option<String> {
    if wanted.none && !got.is_empty() {
        return Some(format!("expected no_{kind}\ngot      {kind} {got:?}"));
    }

    if let Some(text) = wanted
        .wanted
        .iter()
        .find(|text| !got.iter().any(|got| text.matches(got)))
    {
        return Some(format!("expected {kind} {text:?}\ngot      {kind} {got:?}"));
    }

    let unexpected = |got: &&String| !wanted.wanted.iter().any(|text| text.matches(got));
    let extra = got
        .iter()
        .find(unexpected)
        .filter(|_| !wanted.wanted.is_empty())?;

    Some(format!(
        "expected {kind} {:?}\ngot also {kind} {extra:?}",
        wanted.wanted
    ))
}

fn unequal(got: f64, wanted: f64) -> Option<String> {
    (!near_floats(got, wanted)).then(|| format!("expected {wanted}\ngot      {got}"))
}

/// Lists missing series, extra series, and series with other values, one a line.
fn differences(got: &[(Labels, Values)], wanted: &[(Labels, Values)]) -> Option<String> {
    let mut remaining = BTreeMap::new();
    let mut text = String::new();

    for (labels, values) in got {
        if remaining
            .insert(labels.encoded(), (labels, values))
            .is_some()
        {
            let _ = writeln!(text, "twice    {labels}");
        }
    }

    for (labels, values) in wanted {
        match remaining.remove(labels.encoded()) {
            None if values.iter().all(Option::is_none) => {}
            None => _ = writeln!(text, "missing  {labels} {}", shown(values)),
            Some((_, got)) if near_all(got, values) => {}
            Some((_, got)) => {
                _ = writeln!(
                    text,
                    "expected {labels} {}\ngot      {labels} {}",
                    shown(values),
                    shown(got)
                );
            }
        }
    }

    for (labels, values) in remaining.into_values() {
        let _ = writeln!(text, "extra    {labels} {}", shown(values));
    }

    (!text.is_empty()).then(|| text.trim_end().to_owned())
}

fn misplaced(got: &[(Labels, Values)], wanted: &[(Labels, Item)]) -> Option<String> {
    let same = got
        .iter()
        .map(|(labels, _)| labels)
        .eq(wanted.iter().map(|(labels, _)| labels));

    let listed = |all: Vec<&Labels>| {
        all.iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };

    (!same).then(|| {
        let wanted = wanted.iter().map(|w| &w.0).collect();
        let got = got.iter().map(|g| &g.0).collect();

        format!(
            "expected the order {}\ngot      the order {}",
            listed(wanted),
            listed(got)
        )
    })
}

fn unsorted(series: &[RangeSeries]) -> Option<String> {
    let two = series
        .windows(2)
        .find(|two| two[0].labels > two[1].labels)?;
    Some(format!(
        "not sorted: {} comes before {}",
        two[0].labels, two[1].labels
    ))
}

fn near_all(got: &[Option<Item>], wanted: &[Option<Item>]) -> bool {
    (0..got.len().max(wanted.len())).all(|place| {
        match (
            got.get(place).and_then(Option::as_ref),
            wanted.get(place).and_then(Option::as_ref),
        ) {
            (Some(got), Some(wanted)) => near(got, wanted),
            (got, wanted) => got.is_none() && wanted.is_none(),
        }
    })
}

fn shown(values: &[Option<Item>]) -> String {
    let shown = values.iter().map(|item| {
        item.as_ref()
            .map_or_else(|| "_".to_owned(), ToString::to_string)
    });

    shown.collect::<Vec<_>>().join(" ")
}

fn item(value: &SampleValue) -> Item {
    match value {
        SampleValue::Float(value) => Item::Float(*value),
        SampleValue::Histogram(histogram) => Item::Histogram {
            histogram: histogram.clone(),
            hint_set: false,
        },
    }
}

/// Returns all points of a series by time.
fn points(series: &RangeSeries) -> BTreeMap<i64, Item> {
    let floats = series
        .points
        .iter()
        .map(|(ts, value)| (*ts, Item::Float(*value)));

    let histogram = |histogram| Item::Histogram {
        histogram: Box::new(histogram),
        hint_set: false,
    };

    floats
        .chain(
            series
                .histograms
                .iter()
                .map(|(ts, value)| (*ts, histogram(value.clone()))),
        )
        .collect()
}

fn at(series: &RangeSeries, time_ms: i64) -> Option<Item> {
    points(series).remove(&time_ms)
}

fn on_steps(series: &RangeSeries, steps: Steps) -> Result<Values, String> {
    let mut points = points(series);
    let step = |at: usize| steps.start_ms + i64::try_from(at).unwrap_or(i64::MAX) * steps.step_ms;
    let values = (0..steps.count())
        .map(|at| points.remove(&step(at)))
        .collect();

    match points.first_key_value() {
        Some((ts_ms, item)) => Err(format!(
            "beside the steps: {} {item}. ts_ms=`{ts_ms}`",
            series.labels
        )),
        None => Ok(values),
    }
}

fn single(wanted: &[(Labels, Item)]) -> Vec<(Labels, Values)> {
    wanted
        .iter()
        .map(|(labels, item)| (labels.clone(), vec![Some(item.clone())]))
        .collect()
}

const fn kind(expected: &Expected) -> &'static str {
    match expected {
        Expected::Scalar(_) => "a scalar",
        Expected::String(_) => "a string",
        Expected::Vector(_) => "an instant vector",
        Expected::Matrix(..) => "a range vector",
    }
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Scalar { .. } => "a scalar",
        Value::String { .. } => "a string",
        Value::Vector(_) => "an instant vector",
        Value::Matrix(_) => "a range vector",
    }
}
