//! Converts the answers of both sides to one form, and compares them.

use duramen_model::{ErrorKind, Labels};
use duramen_promql::{Answer, Error, SampleValue, Value};
use duramen_promqltest::reference::{self, Element, Fault, Histogram, LabelSet, Sample, Vector};

fn element(labels: &Labels, sample: Sample) -> Element {
    let labels = labels
        .iter()
        .map(|(n, v)| (n.to_owned(), v.to_owned()))
        .collect();

    Element {
        labels,
        nameless: false,
        sample,
    }
}

/// Returns the values of an answer at one time. A scalar becomes one element without labels.
pub(crate) fn values(answer: &Answer, time_ms: i64) -> Vector {
    match &answer.value {
        Value::Scalar { value, .. } => vec![scalar(*value)],
        Value::Vector(series) => {
            let sample = |value: &SampleValue| match value {
                SampleValue::Float(value) => Sample::Float(*value),
                SampleValue::Histogram(histogram) => histogram_sample(histogram),
            };

            series
                .iter()
                .map(|series| element(&series.labels, sample(&series.value)))
                .collect()
        }
        Value::Matrix(series) => {
            let mut found = Vec::new();

            for series in series {
                let float = series
                    .points
                    .iter()
                    .find(|(ts, _)| *ts == time_ms)
                    .map(|(_, value)| Sample::Float(*value));

                let histogram = series.histograms.iter().find(|(ts, _)| *ts == time_ms);
                let sample =
                    float.or_else(|| histogram.map(|(_, histogram)| histogram_sample(histogram)));
                found.extend(sample.map(|sample| element(&series.labels, sample)));
            }

            found
        }
        Value::String { .. } => Vec::new(),
    }
}

fn histogram_sample(histogram: &duramen_model::FloatHistogram) -> Sample {
    Sample::Histogram(Box::new(Histogram::from(histogram)))
}

fn scalar(value: f64) -> Element {
    Element {
        labels: LabelSet::new(),
        nameless: false,
        sample: Sample::Float(value),
    }
}

pub(crate) fn elements(value: &reference::Value) -> Vector {
    match value {
        reference::Value::Scalar(value) => vec![scalar(*value)],
        reference::Value::Vector(vector) => vector.clone(),
    }
}

/// Compares an answer that failed with the answer of the reference.
pub(crate) fn wrong_failure(got: Option<&Error>, wanted: Option<&Fault>) -> Option<String> {
    match (got, wanted) {
        (None, None) => None,
        (Some(got), None) => Some(format!("got {got:?}, wanted an answer")),
        (_, Some(Fault::Beyond(what))) => Some(format!("the reference does not know {what}")),
        (got, Some(fault)) => {
            let fails = got.is_some_and(|error| {
                matches!(error.kind(), ErrorKind::Execution | ErrorKind::Invalid)
            });
            (!fails).then(|| format!("wanted to fail: {fault}, got {got:?}"))
        }
    }
}

/// The order that an answer must have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Any,
    /// Equal values may come in any order.
    ByValue,
    Whole,
}

/// Describes the difference of two vectors.
pub(crate) fn difference(got: &Vector, wanted: &Vector, order: Order) -> Option<String> {
    let sorted = |vector: &Vector| {
        let mut vector = vector.clone();
        vector.sort_by(|a, b| a.labels.cmp(&b.labels));
        vector
    };

    let alike =
        |a: &Vector, b: &Vector| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b));
    let ordered = match order {
        Order::Any => true,
        Order::ByValue => got
            .iter()
            .zip(wanted)
            .all(|(a, b)| near_samples(&a.sample, &b.sample)),
        Order::Whole => alike(got, wanted),
    };

    let right = ordered && alike(&sorted(got), &sorted(wanted));
    (!right).then(|| format!("\ngot    {}\nwanted {}", shown(got), shown(wanted)))
}

fn shown(vector: &Vector) -> String {
    vector
        .iter()
        .map(|element| format!("\n    {:?} {:?}", element.labels, element.sample))
        .collect()
}

pub(crate) fn same(a: &Element, b: &Element) -> bool {
    a.labels == b.labels && near_samples(&a.sample, &b.sample)
}

fn near_samples(a: &Sample, b: &Sample) -> bool {
    match (a, b) {
        (Sample::Float(a), Sample::Float(b)) => near(*a, *b),
        (Sample::Histogram(a), Sample::Histogram(b)) => near_histograms(a, b),
        _ => false,
    }
}

/// Sums in another order differ in their last digits; differences of large values differ in more.
pub(crate) fn near(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-7 * a.abs().max(b.abs()).max(1.0)
}

fn near_histograms(a: &Histogram, b: &Histogram) -> bool {
    let numbers = |h: &Histogram| [h.count, h.sum, h.zero_threshold, h.zero_count];
    let sides = [(&a.positive, &b.positive), (&a.negative, &b.negative)]
        .iter()
        .all(|(a, b)| {
            let at = |side: &std::collections::BTreeMap<i32, f64>, index| {
                side.get(index).copied().unwrap_or(0.0)
            };
            a.keys()
                .chain(b.keys())
                .all(|index| near(at(a, index), at(b, index)))
        });

    a.layout == b.layout
        && a.hint == b.hint
        && numbers(a).iter().zip(numbers(b)).all(|(a, b)| near(*a, b))
        && sides
}
