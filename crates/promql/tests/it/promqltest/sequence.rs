//! The values of a series line: floats, histograms, gaps and their repetitions.

use duramen_model::histogram::BucketCount;
use duramen_model::{FloatHistogram, ResetHint, STALE_NAN};

use super::script::{ms, number};

/// One value.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Float(f64),
    Histogram {
        histogram: Box<FloatHistogram>,
        /// Whether the script says a hint, which is compared only then.
        hint_set: bool,
    },
}

impl Item {
    pub(super) fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram { .. } => None,
        }
    }
}

/// The values of a line, `None` for a gap. `a+bxN` is N + 1 values.
pub(super) fn items(text: &str) -> Vec<Option<Item>> {
    let mut out = Vec::new();
    for item in split(text) {
        if item.starts_with("{{") {
            histograms(item, &mut out);
        } else {
            floats(item, &mut out);
        }
    }
    out
}

/// At spaces outside of histograms.
fn split(text: &str) -> Vec<&str> {
    let (mut out, mut depth, mut start) = (Vec::new(), 0, None);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if c.is_whitespace() && depth == 0 {
            out.extend(start.take().map(|start: usize| &text[start..at]));
        } else if start.is_none() {
            start = Some(at);
        }
    }
    out.extend(start.map(|start| &text[start..]));
    out
}

fn repeated(item: &str) -> (&str, usize) {
    match item.rsplit_once('x') {
        Some((base, times)) => (base, times.parse().expect("a count")),
        None => (item, 0),
    }
}

fn floats(item: &str, out: &mut Vec<Option<Item>>) {
    let (base, times) = repeated(item);
    if base == "_" {
        out.extend(std::iter::repeat_n(None, times.max(1)));
        return;
    }
    let split = base[1..].rfind(['+', '-']).map(|at| at + 1).filter(|&at| !base[..at].ends_with(['e', 'E']));
    let (mut value, increment) = match split {
        Some(at) if base != "stale" => (number(&base[..at]), number(&base[at..])),
        _ => (number(base), 0.0),
    };
    for at in 0..=times {
        out.push(Some(Item::Float(value)));
        if at < times && split.is_some() {
            value += increment;
        }
    }
}

fn histograms(item: &str, out: &mut Vec<Option<Item>>) {
    let end = item.find("}}").expect("an end") + 2;
    let (mut histogram, hint_set) = histogram(&item[2..end - 2]);
    let rest = &item[end..];
    let (middle, times) = if rest.is_empty() { ("", 0) } else { repeated(rest) };
    let increment = (!middle.is_empty()).then(|| {
        let (text, _) = histogram_text(&middle[1..]);
        (middle.starts_with('-'), self::histogram(text).0)
    });
    for at in 0..=times {
        out.push(Some(Item::Histogram { histogram: Box::new(histogram.clone()), hint_set }));
        if let (Some((subtract, by)), true) = (&increment, at < times) {
            let hint = histogram.hint;
            let done = if *subtract { histogram.subtract(by) } else { histogram.add(by) };
            done.expect("histograms of one kind");
            histogram.compact();
            if hint_set {
                histogram.hint = hint;
            }
        }
    }
}

fn histogram_text(text: &str) -> (&str, &str) {
    let end = text.find("}}").expect("an end");
    (&text[2..end], &text[end + 2..])
}

/// What stands between the braces, and whether a hint does.
fn histogram(text: &str) -> (FloatHistogram, bool) {
    let mut histogram = FloatHistogram::empty(0, Vec::new());
    let (mut positive, mut negative) = ((0, Vec::new()), (0, Vec::new()));
    let mut hint_set = false;
    let list = |text: &str| text.trim_matches(['[', ']']).split_whitespace().map(number).collect::<Vec<_>>();
    for (key, value) in pairs(text) {
        match key {
            "schema" => histogram.schema = value.parse().expect("a schema"),
            "sum" => histogram.sum = number(value),
            "count" => histogram.count = number(value),
            "z_bucket" => histogram.zero_count = number(value),
            "z_bucket_w" => histogram.zero_threshold = number(value),
            "custom_values" => histogram.custom_values = list(value),
            "buckets" => positive.1 = list(value),
            "offset" => positive.0 = value.parse().expect("an offset"),
            "n_buckets" => negative.1 = list(value),
            "n_offset" => negative.0 = value.parse().expect("an offset"),
            "counter_reset_hint" => {
                hint_set = true;
                histogram.hint = match value {
                    "reset" => ResetHint::Reset,
                    "not_reset" => ResetHint::NotReset,
                    "gauge" => ResetHint::Gauge,
                    _ => ResetHint::Unknown,
                };
            }
            other => panic!("no key: {other}"),
        }
    }
    let buckets = |(offset, counts): (i32, Vec<f64>)| {
        (offset..).zip(counts).map(|(index, count)| BucketCount { index, count }).collect()
    };
    (histogram.positive, histogram.negative) = (buckets(positive), buckets(negative));
    (histogram, hint_set)
}

/// `key:value` at spaces outside of brackets.
fn pairs(text: &str) -> Vec<(&str, &str)> {
    let (mut out, mut depth, mut start) = (Vec::new(), 0, None);
    let ends = text.char_indices().chain([(text.len(), ' ')]);
    for (at, c) in ends {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if c.is_whitespace() && depth == 0 {
            out.extend(start.take().map(|start: usize| text[start..at].split_once(':').expect("a pair")));
        } else if start.is_none() {
            start = Some(at);
        }
    }
    out
}

/// Distances from the times of samples in milliseconds, `None` for none said.
pub(super) fn durations(text: &str) -> Vec<Option<i64>> {
    let mut out = Vec::new();
    for item in text.split_whitespace() {
        let (base, times) = repeated(item);
        if base == "_" {
            out.extend(std::iter::repeat_n(None, times.max(1)));
            continue;
        }
        let split = base[1..].find(['+', '-']).map(|at| at + 1);
        let signed = |text: &str| ms(text.trim_start_matches('+'));
        let (mut offset_ms, by_ms) = match split {
            Some(at) => (signed(&base[..at]), signed(&base[at..])),
            None => (signed(base), 0),
        };
        for _ in 0..=times {
            out.push(Some(offset_ms));
            offset_ms += by_ms;
        }
    }
    out
}

/// Whether two values are as good as equal.
pub(super) fn near(got: &Item, wanted: &Item) -> bool {
    match (got, wanted) {
        (Item::Float(got), Item::Float(wanted)) => near_floats(*got, *wanted),
        (Item::Histogram { histogram: got, .. }, Item::Histogram { histogram: wanted, hint_set }) => {
            near_histograms(got, wanted) && (!hint_set || got.hint == wanted.hint)
        }
        _ => false,
    }
}

fn near_histograms(got: &FloatHistogram, wanted: &FloatHistogram) -> bool {
    let compacted = |histogram: &FloatHistogram| {
        let mut histogram = histogram.clone();
        histogram.compact();
        histogram
    };
    let (got, wanted) = (compacted(got), compacted(wanted));
    let sides = [(&got.positive, &wanted.positive), (&got.negative, &wanted.negative)];
    let near_sides = sides.iter().all(|(got, wanted)| {
        got.len() == wanted.len()
            && got.iter().zip(wanted.iter()).all(|(a, b)| a.index == b.index && near_floats(a.count, b.count))
    });
    got.schema == wanted.schema
        && near_floats(got.count, wanted.count)
        && near_floats(got.sum, wanted.sum)
        && near_floats(got.zero_count, wanted.zero_count)
        && got.zero_threshold == wanted.zero_threshold
        && got.custom_values == wanted.custom_values
        && near_sides
}

pub(super) fn near_floats(a: f64, b: f64) -> bool {
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    let stale = |value: f64| value.to_bits() == STALE_NAN.to_bits();
    if a == b || stale(a) && stale(b) || a.is_nan() && b.is_nan() && !stale(a) && !stale(b) {
        return true;
    }
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < 1e-6 * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < 1e-6
}
