//! Compares an answer of the engine with one of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use duramen_model::{FloatHistogram, Labels, ResetHint, is_stale};
use duramen_promql::{Answer, Error, SampleValue, Value};
use serde_json::Value as Json;

/// The largest allowed relative difference of floats. Both use compensated sums but in a different
/// order, and powers, logarithms and trigonometry come from two libraries.
const EPSILON: f64 = 1e-9;

/// Whether series must be in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Any,
    Same,
}

/// Returns `None` if nothing differs.
pub(super) fn difference(
    ours: &Result<Answer, Error>,
    theirs: &Json,
    order: Order,
) -> Option<String> {
    let failed = theirs["error"].as_str();
    let ours = match (ours, failed) {
        (Err(ours), Some(theirs)) if settled(&ours.to_string()) == settled(theirs) => return None,
        (Err(ours), Some(theirs)) => {
            return Some(format!("other error\n  wanted {theirs}\n  got    {ours}"));
        }
        (Err(ours), None) => return Some(format!("failed: {ours}\n  wanted {}", shown(theirs))),
        (Ok(ours), Some(theirs)) => {
            return Some(format!(
                "wanted failure {theirs}\n  got    {:?}",
                ours.value
            ));
        }
        (Ok(ours), None) => ours,
    };

    let annotations = |kind: &str, wanted: &Json, got: &[String]| {
        // The position of annotations about NaN observations has changed since this release of
        // Prometheus.
        let placeless =
            |text: &str| match (text.contains("NaN observations"), text.rsplit_once(" (")) {
                (true, Some((text, _))) => text.to_owned(),
                _ => text.to_owned(),
            };

        let wanted: Vec<String> = wanted
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .map(placeless)
            .collect();

        let got: Vec<String> = got.iter().map(|text| placeless(text)).collect();

        // In groups with floats and incompatible histograms, the annotation depends on the order of
        // the series.
        let unsettled = |text: &String| {
            ![
                "mix of histograms and floats for ag",
                "exponential and custom buckets schemas",
                "during aggregation",
            ]
            .iter()
            .any(|part| text.contains(part))
        };

        let (wanted, got): (Vec<String>, Vec<String>) = match wanted.iter().all(unsettled) {
            true => (wanted, got),
            false => (
                wanted.into_iter().filter(unsettled).collect(),
                got.into_iter().filter(unsettled).collect(),
            ),
        };

        (wanted != got).then(|| format!("other {kind}\n  wanted {wanted:?}\n  got    {got:?}"))
    };

    values(&ours.value, theirs, order)
        .or_else(|| annotations("warnings", &theirs["warnings"], &ours.warnings))
        .or_else(|| annotations("infos", &theirs["infos"], &ours.infos))
}

/// Returns an error without the part that depends on the order of series: which of several
/// duplicates is found first.
fn settled(error: &str) -> &str {
    if error.starts_with("found duplicate series for the match group")
        || error.starts_with("multiple matches for labels")
    {
        return "series are double";
    }
    error
}

fn shown(theirs: &Json) -> String {
    format!("{:.2000}", theirs.to_string())
}

fn values(ours: &Value, theirs: &Json, order: Order) -> Option<String> {
    let kind = theirs["kind"].as_str().unwrap_or("");
    let (ours, ordered) = match (ours, kind) {
        (Value::Scalar { value, .. }, "scalar") => {
            let wanted = float(&theirs["scalar"]);
            return (!near(*value, wanted)).then(|| format!("wanted {wanted}\n  got    {value}"));
        }
        (Value::String { value, .. }, "string") => {
            let wanted = theirs["string"].as_str().unwrap_or("");
            return (value != wanted).then(|| format!("wanted {wanted:?}\n  got    {value:?}"));
        }
        (Value::Vector(series), "vector") => {
            let series = series
                .iter()
                .map(|s| (labels(&s.labels), vec![point(s.ts_ms, &s.value)]));
            (series.collect::<Vec<_>>(), order)
        }
        (Value::Matrix(series), "matrix") => {
            let row = |row: &duramen_promql::RangeSeries| {
                let floats = row
                    .points
                    .iter()
                    .map(|(ms, value)| (*ms, Point::Float(*value)));

                let histograms = row
                    .histograms
                    .iter()
                    .map(|(ms, held)| (*ms, Point::of(held)));

                let mut points: Vec<_> = floats.chain(histograms).collect();
                points.sort_by_key(|(ms, _)| *ms);
                (labels(&row.labels), points)
            };

            (series.iter().map(row).collect(), Order::Same)
        }
        _ => return Some(format!("wanted a {kind}\n  got    {ours:?}")),
    };

    series(&ours, &rows(theirs), ordered)
}

type Row = (String, Vec<(i64, Point)>);

#[derive(Clone, Debug, PartialEq)]
enum Point {
    Float(f64),
    Histogram(Native),
}

/// A histogram as the answers of `tests/prometheus` have it.
#[derive(Clone, Debug, PartialEq)]
struct Native {
    hint: String,
    schema: i64,
    custom: Vec<f64>,
    zero_threshold: f64,
    positive: Vec<(i64, f64)>,
    negative: Vec<(i64, f64)>,
    /// The counts of the zero bucket and of all buckets, and the sum.
    totals: [f64; 3],
}

impl Point {
    fn of(histogram: &FloatHistogram) -> Self {
        let buckets = |side: &[duramen_model::histogram::BucketCount]| {
            let counting = side.iter().filter(|bucket| bucket.count != 0.0);
            counting
                .map(|bucket| (i64::from(bucket.index), bucket.count))
                .collect()
        };

        let hint = match histogram.hint {
            ResetHint::Unknown => "unknown",
            ResetHint::Reset => "reset",
            ResetHint::NotReset => "not_reset",
            ResetHint::Gauge => "gauge",
        };

        Self::Histogram(Native {
            hint: hint.to_owned(),
            schema: i64::from(histogram.schema),
            custom: histogram.custom_values.clone(),
            zero_threshold: histogram.zero_threshold,
            positive: buckets(&histogram.positive),
            negative: buckets(&histogram.negative),
            totals: [histogram.zero_count, histogram.count, histogram.sum],
        })
    }

    fn told(point: &Json) -> Self {
        let held = &point["histogram"];
        if held.is_null() {
            return Self::Float(float(&point["float"]));
        }

        let list = |list: &Json| list.as_array().cloned().unwrap_or_default();
        let buckets = |side: &str| {
            let bucket =
                |bucket: &Json| (bucket["index"].as_i64().unwrap(), float(&bucket["count"]));
            list(&held[side]).iter().map(bucket).collect()
        };

        Self::Histogram(Native {
            hint: held["hint"].as_str().unwrap().to_owned(),
            schema: held["schema"].as_i64().unwrap(),
            custom: list(&held["custom"]).iter().map(float).collect(),
            zero_threshold: float(&held["zero_threshold"]),
            positive: buckets("positive"),
            negative: buckets("negative"),
            totals: ["zero_count", "count", "sum"].map(|name| float(&held[name])),
        })
    }

    fn near(&self, other: &Self) -> bool {
        let (ours, theirs) = match (self, other) {
            (Self::Float(ours), Self::Float(theirs)) => return near(*ours, *theirs),
            (Self::Histogram(ours), Self::Histogram(theirs)) => (ours, theirs),
            _ => return false,
        };

        let sides = [
            (&ours.positive, &theirs.positive),
            (&ours.negative, &theirs.negative),
        ];

        ours.hint == theirs.hint
            && ours.schema == theirs.schema
            && ours.custom == theirs.custom
            && ours.zero_threshold == theirs.zero_threshold
            && ours
                .totals
                .iter()
                .zip(theirs.totals)
                .all(|(a, b)| near(*a, b))
            && sides.iter().all(|(a, b)| {
                a.len() == b.len()
                    && a.iter()
                        .zip(b.iter())
                        .all(|(a, b)| a.0 == b.0 && near(a.1, b.1))
            })
    }
}

fn near(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan() && is_stale(a) == is_stale(b);
    }

    a == b || (a - b).abs() / (a.abs() + b.abs()).min(f64::MAX) < EPSILON
}

fn float(bits: &Json) -> f64 {
    f64::from_bits(u64::from_str_radix(bits.as_str().unwrap(), 16).unwrap())
}

fn labels(labels: &Labels) -> String {
    labels
        .iter()
        .map(|(name, value)| format!("{name}={value:?},"))
        .collect()
}

fn point(ms: i64, value: &SampleValue) -> (i64, Point) {
    match value {
        SampleValue::Float(value) => (ms, Point::Float(*value)),
        SampleValue::Histogram(histogram) => (ms, Point::of(histogram)),
    }
}

fn rows(theirs: &Json) -> Vec<Row> {
    let list = |list: &Json| list.as_array().cloned().unwrap_or_default();
    let pair = |pair: &Json| {
        format!(
            "{}={:?},",
            pair[0].as_str().unwrap(),
            pair[1].as_str().unwrap()
        )
    };

    let points = |series: &Json| {
        let point = |point: &Json| (point["ms"].as_i64().unwrap(), Point::told(point));
        list(&series["points"]).iter().map(point).collect()
    };

    let row = |series: &Json| {
        (
            list(&series["labels"]).iter().map(pair).collect(),
            points(series),
        )
    };

    list(&theirs["series"]).iter().map(row).collect()
}

/// Returns the series that are missing, that are extra or that have other points, then those at a
/// different place.
fn series(ours: &[Row], theirs: &[Row], order: Order) -> Option<String> {
    let mut held: BTreeMap<&str, &[(i64, Point)]> = BTreeMap::new();
    let mut text = String::new();

    for (labels, points) in ours {
        if held.insert(labels, points).is_some() {
            let _ = writeln!(text, "  twice {{{labels}}}");
        }
    }

    for (labels, wanted) in theirs {
        match held.remove(labels.as_str()) {
            None => _ = writeln!(text, "  missing {{{labels}}} {wanted:?}"),
            Some(got) => {
                let same = got.len() == wanted.len()
                    && got
                        .iter()
                        .zip(wanted)
                        .all(|(a, b)| a.0 == b.0 && a.1.near(&b.1));

                if !same {
                    let _ = writeln!(
                        text,
                        "  {{{labels}}}\n    wanted {wanted:?}\n    got    {got:?}"
                    );
                }
            }
        }
    }

    for (labels, points) in held {
        let _ = writeln!(text, "  extra {{{labels}}} {points:?}");
    }

    if !text.is_empty() {
        return Some(format!("other values\n{text}"));
    }

    let listed = |rows: &[Row]| rows.iter().map(|row| row.0.clone()).collect::<Vec<_>>();
    let ours = listed(ours);
    let theirs = listed(theirs);

    (order == Order::Same && ours != theirs)
        .then(|| format!("other order\n  wanted {theirs:?}\n  got    {ours:?}"))
}
