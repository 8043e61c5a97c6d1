//! One value of a script.

use std::fmt;

use duramen_model::histogram::BucketCount;
use duramen_model::{FloatHistogram, ResetHint, is_stale};

/// A float or a histogram.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Float(f64),
    Histogram {
        histogram: Box<FloatHistogram>,
        /// Whether the script gives a reset hint. Only then is the hint compared.
        hint_set: bool,
    },
}

impl Item {
    pub(crate) fn float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Histogram { .. } => None,
        }
    }
}

/// Writes the value in the notation of scripts.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float(value) if is_stale(*value) => write!(f, "stale"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Histogram {
                histogram,
                hint_set,
            } => write_histogram(f, histogram, *hint_set),
        }
    }
}

fn write_histogram(
    f: &mut fmt::Formatter<'_>,
    histogram: &FloatHistogram,
    hint_set: bool,
) -> fmt::Result {
    write!(
        f,
        "{{{{schema:{} count:{} sum:{}",
        histogram.schema, histogram.count, histogram.sum
    )?;

    if histogram.zero_count != 0.0 || histogram.zero_threshold != 0.0 {
        write!(
            f,
            " z_bucket:{} z_bucket_w:{}",
            histogram.zero_count, histogram.zero_threshold
        )?;
    }

    write_side(f, ("offset", "buckets"), &histogram.positive)?;
    write_side(f, ("n_offset", "n_buckets"), &histogram.negative)?;

    if !histogram.custom_values.is_empty() {
        write!(
            f,
            " custom_values:[{}]",
            joined(histogram.custom_values.iter().copied())
        )?;
    }

    let hint = match histogram.hint {
        ResetHint::Unknown => "unknown",
        ResetHint::Reset => "reset",
        ResetHint::NotReset => "not_reset",
        ResetHint::Gauge => "gauge",
    };

    if hint_set || histogram.hint != ResetHint::Unknown {
        write!(f, " counter_reset_hint:{hint}")?;
    }

    write!(f, "}}}}")
}

/// The largest run of empty buckets that is written out. A side with a longer run is written as
/// `index=count` pairs.
const GAP_MAX: i64 = 64;

fn write_side(
    f: &mut fmt::Formatter<'_>,
    (offset, buckets): (&str, &str),
    side: &[BucketCount],
) -> fmt::Result {
    let Some(first) = side.first() else {
        return Ok(());
    };
    let gap = |two: &[BucketCount]| i64::from(two[1].index) - i64::from(two[0].index) - 1;

    if side.windows(2).any(|two| gap(two) > GAP_MAX) {
        let places: Vec<String> = side
            .iter()
            .map(|bucket| format!("{}={}", bucket.index, bucket.count))
            .collect();

        return write!(f, " {buckets}({})", places.join(" "));
    }

    let mut counts = vec![first.count];
    for two in side.windows(2) {
        counts.extend((0..gap(two)).map(|_| 0.0));
        counts.push(two[1].count);
    }

    write!(
        f,
        " {offset}:{} {buckets}:[{}]",
        first.index,
        joined(counts)
    )
}

fn joined(values: impl IntoIterator<Item = f64>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    values.join(" ")
}

/// A value of a series line, with the start time of what it counts.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) item: Item,
    /// The start time, in milliseconds relative to the time of the sample. `None` if it is unknown.
    pub(crate) offset_ms: Option<i64>,
}
