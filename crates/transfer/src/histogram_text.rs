//! A native histogram as JSON, for the forms that have only floats. Every bit comes back.
//!
//! ```text
//! {"schema":2,"hint":"gauge","sum":"1.5","zero_threshold":0,
//!  "counts":"integer","count":4,"zero_count":1,"positive":[1,1],"negative":[],
//!  "positive_spans":[[-1,2]],"negative_spans":[],"custom_values":[]}
//! ```
//!
//! Integer counts are differences to the bucket before, as Prometheus sends them;
//! `"counts":"float"` are counts. A float that is not a whole number is a text (see `number`),
//! since readers of JSON do not agree in its last bit.

use duramen_model::{Counts, Histogram, ResetHint, Span};
use serde_json::{Map, Value as Json, json};

use crate::number;

const HINTS: [(ResetHint, &str); 4] = [
    (ResetHint::Unknown, "unknown"),
    (ResetHint::Reset, "reset"),
    (ResetHint::NotReset, "not reset"),
    (ResetHint::Gauge, "gauge"),
];

pub(crate) fn to_text(histogram: &Histogram) -> String {
    let hint = HINTS.iter().find(|(hint, _)| *hint == histogram.hint);
    let spans = |spans: &[Span]| -> Json {
        spans
            .iter()
            .map(|span| json!([span.offset, span.length]))
            .collect()
    };

    let (kind, count, zero_count, positive, negative) = match &histogram.counts {
        Counts::Integer {
            count,
            zero_count,
            positive,
            negative,
        } => (
            "integer",
            json!(count),
            json!(zero_count),
            json!(positive),
            json!(negative),
        ),
        Counts::Float {
            count,
            zero_count,
            positive,
            negative,
        } => (
            "float",
            float(*count),
            float(*zero_count),
            floats(positive),
            floats(negative),
        ),
    };

    let json = json!({
        "schema": histogram.schema,
        "hint": hint.map_or("unknown", |(_, name)| name),
        "sum": float(histogram.sum),
        "zero_threshold": float(histogram.zero_threshold),
        "counts": kind,
        "count": count,
        "zero_count": zero_count,
        "positive": positive,
        "negative": negative,
        "positive_spans": spans(&histogram.positive_spans),
        "negative_spans": spans(&histogram.negative_spans),
        "custom_values": floats(&histogram.custom_values),
    });

    json.to_string()
}

/// Reads a text of [`to_text`]. `None` if it is no such text.
pub(crate) fn from_text(text: &[u8]) -> Option<Histogram> {
    let json: Map<String, Json> = serde_json::from_slice(text).ok()?;
    let get = |name: &str| json.get(name);
    let hint = get("hint")?.as_str()?;
    let (hint, _) = HINTS.iter().find(|(_, name)| *name == hint)?;

    let counts = match get("counts")?.as_str()? {
        "integer" => Counts::Integer {
            count: get("count")?.as_u64()?,
            zero_count: get("zero_count")?.as_u64()?,
            positive: all(get("positive")?, Json::as_i64)?,
            negative: all(get("negative")?, Json::as_i64)?,
        },
        "float" => Counts::Float {
            count: as_float(get("count")?)?,
            zero_count: as_float(get("zero_count")?)?,
            positive: all(get("positive")?, as_float)?,
            negative: all(get("negative")?, as_float)?,
        },
        _ => return None,
    };

    Some(Histogram {
        schema: i32::try_from(get("schema")?.as_i64()?).ok()?,
        hint: *hint,
        sum: as_float(get("sum")?)?,
        zero_threshold: as_float(get("zero_threshold")?)?,
        counts,
        positive_spans: all(get("positive_spans")?, as_span)?,
        negative_spans: all(get("negative_spans")?, as_span)?,
        custom_values: all(get("custom_values")?, as_float)?,
    })
}

/// The whole numbers up to this one are all floats.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

fn float(value: f64) -> Json {
    let is_whole = value.trunc() == value && value.abs() <= WHOLE_MAX;
    let is_plain = is_whole && value.to_bits() != (-0.0_f64).to_bits();

    if is_plain {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is a whole number in the range of the type"
        )]
        return Json::from(value as i64);
    }

    let mut text = Vec::new();
    number::put_bits(value, &mut text);
    Json::String(String::from_utf8_lossy(&text).into_owned())
}

fn floats(values: &[f64]) -> Json {
    values.iter().map(|value| float(*value)).collect()
}

fn all<T>(json: &Json, one: impl Fn(&Json) -> Option<T>) -> Option<Vec<T>> {
    json.as_array()?.iter().map(one).collect()
}

fn as_float(json: &Json) -> Option<f64> {
    match json {
        Json::String(text) => number::float(text.as_bytes()),
        json => json.as_f64(),
    }
}

fn as_span(json: &Json) -> Option<Span> {
    let [offset, length] = json.as_array()?.as_slice() else {
        return None;
    };

    Some(Span {
        offset: i32::try_from(offset.as_i64()?).ok()?,
        length: u32::try_from(length.as_u64()?).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use duramen_model::STALE_NAN;

    use super::*;

    #[test]
    fn every_bit_of_a_histogram_comes_back() {
        let counts = [
            Counts::Integer {
                count: u64::MAX,
                zero_count: 1,
                positive: vec![i64::MAX, i64::MIN],
                negative: vec![-1],
            },
            Counts::Float {
                count: -0.0,
                zero_count: 5e-324,
                positive: vec![0.1, f64::NAN],
                negative: Vec::new(),
            },
        ];

        for (counts, (hint, _)) in counts.into_iter().zip(HINTS) {
            let histogram = Histogram {
                schema: -53,
                hint,
                sum: STALE_NAN,
                zero_threshold: 1.797_693_134_862_315_7e308,
                counts,
                positive_spans: vec![Span {
                    offset: i32::MIN,
                    length: 2,
                }],
                negative_spans: Vec::new(),
                custom_values: vec![f64::NEG_INFINITY, 1.5],
            };

            let text = to_text(&histogram);
            assert_eq!(from_text(text.as_bytes()), Some(histogram), "{text}");
        }
    }

    #[test]
    fn other_texts_are_none() {
        for text in ["", "{}", "[]", "1", "{\"schema\":99999999999}"] {
            assert_eq!(from_text(text.as_bytes()), None, "{text}");
        }
    }
}
