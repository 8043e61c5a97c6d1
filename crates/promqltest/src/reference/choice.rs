//! Selects and orders series: `topk`, `limitk` and the like, and `sort`.

use std::cmp::Ordering;

use duramen_syntax::ast::AggregateOp;

use super::labels::LabelSet;
use super::value::{Element, Fault, Value, Vector};

/// Selects some elements of each group, unchanged.
pub(super) fn chosen(
    op: AggregateOp,
    parameter: f64,
    groups: impl Iterator<Item = Vector>,
) -> Result<Value, Fault> {
    let mut out = Vec::new();

    for group in groups {
        if parameter.is_nan() {
            return Err(Fault::Fails("parameter value is NaN"));
        }

        if op != AggregateOp::LimitRatio && parameter.is_infinite() && parameter > 0.0 {
            return Err(Fault::Fails("scalar value overflows int64"));
        }

        out.extend(match op {
            AggregateOp::Topk => first(parameter, group, |a, b| b.total_cmp(&a))?,
            AggregateOp::Bottomk => first(parameter, group, |a, b| a.total_cmp(&b))?,
            AggregateOp::LimitRatio => group
                .into_iter()
                .filter(|element| is_in_share(place(&element.labels), parameter))
                .collect(),
            _ if parameter < 1.0 => Vec::new(),
            _ if parameter >= group.len() as f64 => group,
            _ => return Err(Fault::Open("which series limitk leaves")),
        });
    }

    Ok(Value::Vector(out))
}

/// Returns the first `count` floats in the given order. NaN comes last.
fn first(count: f64, group: Vector, order: fn(f64, f64) -> Ordering) -> Result<Vector, Fault> {
    if count < 1.0 {
        return Ok(Vec::new());
    }

    let compare = |a: f64, b: f64| a.is_nan().cmp(&b.is_nan()).then(order(a, b));
    let mut floats: Vec<(f64, Element)> = group
        .into_iter()
        .filter_map(|element| Some((element.sample.float()? + 0.0, element)))
        .collect();

    floats.sort_by(|a, b| compare(a.0, b.0));

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the fraction is meant to go"
    )]
    let count = count as usize;

    if let (Some(last), Some(next)) = (floats.get(count - 1), floats.get(count)) {
        let alike = last.0 == next.0 || last.0.is_nan() && next.0.is_nan();
        let nearly = (last.0 - next.0).abs() <= 1e-9 * last.0.abs();

        if alike || nearly {
            return Err(Fault::Open("which of equal series is the last"));
        }
    }

    floats.truncate(count);
    Ok(floats.into_iter().map(|(_, element)| element).collect())
}

/// Whether a place is within the share. A negative share selects the complement of `1 + share`.
fn is_in_share(place: f64, share: f64) -> bool {
    if share < 0.0 {
        place >= 1.0 + share.max(-1.0)
    } else {
        place < share.min(1.0)
    }
}

/// Returns the place of a label set between 0 and 1. It is the hash of its names and values, each
/// preceded by its length.
fn place(labels: &LabelSet) -> f64 {
    let mut bytes = Vec::new();
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(text.as_bytes());
    }

    #[expect(clippy::cast_precision_loss, reason = "a place among all hashes")]
    let place = xxhash_rust::xxh64::xxh64(&bytes, 0) as f64 / u64::MAX as f64;
    place
}

/// Sorts as the function `name` does: by labels, or by value with NaN last and without histograms.
pub(super) fn sorted(name: &str, mut vector: Vector, by: &[&str]) -> Vector {
    let value = |element: &Element| element.sample.float().unwrap_or(f64::NAN);
    let ascending = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    let nan_last = |a: &Element, b: &Element| value(a).is_nan().cmp(&value(b).is_nan());

    let by_labels = |a: &Element, b: &Element| {
        let sort_key = |element: &Element, name: &str| {
            natural(element.labels.get(name).map_or("", String::as_str))
        };
        let differ = by
            .iter()
            .map(|name| sort_key(a, name).cmp(&sort_key(b, name)))
            .find(|order| order.is_ne());

        differ.unwrap_or_else(|| a.labels.cmp(&b.labels))
    };

    match name {
        "sort" | "sort_desc" => {
            vector.retain(|element| element.sample.float().is_some());
            vector.sort_by(|a, b| {
                let order = ascending(value(a), value(b));
                nan_last(a, b).then(if name == "sort" {
                    order
                } else {
                    order.reverse()
                })
            });
        }
        "sort_by_label" => vector.sort_by(by_labels),
        _ => vector.sort_by(|a, b| by_labels(b, a)),
    }

    vector
}

/// A run of digits, or of other characters. Numbers come before texts and are ordered by value.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Run {
    Number(u64),
    Text(String),
}

fn natural(text: &str) -> Vec<Run> {
    let mut runs: Vec<String> = Vec::new();

    for c in text.chars() {
        let is_digit = |c: char| c.is_ascii_digit();
        match runs
            .last_mut()
            .filter(|run| run.ends_with(is_digit) == is_digit(c))
        {
            Some(run) => run.push(c),
            None => runs.push(c.to_string()),
        }
    }

    runs.into_iter()
        .map(|run| run.parse().map_or_else(|_| Run::Text(run), Run::Number))
        .collect()
}
