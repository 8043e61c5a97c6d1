//! A histogram in the notation of scripts, between `{{` and `}}`.

use duramen_model::histogram::BucketCount;
use duramen_model::{FloatHistogram, ResetHint};

use crate::number::number;

/// A histogram that was read from a script.
pub(crate) struct Written {
    pub(crate) histogram: FloatHistogram,
    /// Whether the script gives a `counter_reset_hint`.
    pub(crate) hint_set: bool,
}

impl Written {
    /// Reads the text between the braces.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut histogram = FloatHistogram::empty(0, Vec::new());
        let mut positive = (0, Vec::new());
        let mut negative = (0, Vec::new());
        let mut seen = Vec::new();

        for (key, value) in pairs(text)? {
            if seen.contains(&key) {
                return Err(format!("a key of a histogram stands twice: {key:?}"));
            }

            seen.push(key);

            match key {
                "schema" => histogram.schema = whole(value)?,
                "sum" => histogram.sum = number(value)?,
                "count" => histogram.count = number(value)?,
                "z_bucket" => histogram.zero_count = number(value)?,
                "z_bucket_w" => histogram.zero_threshold = number(value)?,
                "custom_values" => histogram.custom_values = list(value)?,
                "buckets" => positive.1 = list(value)?,
                "offset" => positive.0 = whole(value)?,
                "n_buckets" => negative.1 = list(value)?,
                "n_offset" => negative.0 = whole(value)?,
                "counter_reset_hint" => histogram.hint = hint(value)?,
                other => return Err(format!("no key of a histogram: {other:?}")),
            }
        }

        histogram.positive = buckets(positive)?;
        histogram.negative = buckets(negative)?;

        Ok(Self {
            histogram,
            hint_set: seen.contains(&"counter_reset_hint"),
        })
    }
}

/// Numbers the counts as buckets, from index `offset` on.
fn buckets((offset, counts): (i32, Vec<f64>)) -> Result<Vec<BucketCount>, String> {
    let place = |at: usize| i32::try_from(at).ok().and_then(|at| offset.checked_add(at));
    let bucket = |(at, count)| {
        Ok(BucketCount {
            index: place(at).ok_or("a bucket out of range")?,
            count,
        })
    };

    counts.into_iter().enumerate().map(bucket).collect()
}

fn whole(text: &str) -> Result<i32, String> {
    text.parse()
        .map_err(|_| format!("no whole number: {text:?}"))
}

fn list(text: &str) -> Result<Vec<f64>, String> {
    let inside = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    inside
        .ok_or_else(|| format!("no list: {text:?}"))?
        .split_whitespace()
        .map(number)
        .collect()
}

fn hint(text: &str) -> Result<ResetHint, String> {
    match text {
        "unknown" => Ok(ResetHint::Unknown),
        "reset" => Ok(ResetHint::Reset),
        "not_reset" => Ok(ResetHint::NotReset),
        "gauge" => Ok(ResetHint::Gauge),
        other => Err(format!("no hint: {other:?}")),
    }
}

/// Splits the text into `key:value` pairs at spaces outside of brackets.
fn pairs(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();

    while !rest.is_empty() {
        let (key, behind) = rest
            .split_once(':')
            .ok_or_else(|| format!("no key and value: {rest:?}"))?;
        let end = match behind.find(']') {
            Some(end) if behind.starts_with('[') => end + 1,
            _ => behind.find(char::is_whitespace).unwrap_or(behind.len()),
        };

        let (value, next) = behind.split_at(end);
        out.push((key, value));
        rest = next.trim_start();
    }

    Ok(out)
}
