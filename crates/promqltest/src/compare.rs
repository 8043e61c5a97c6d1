//! Compares two values. Floats may differ a little.

use duramen_model::{FloatHistogram, is_stale};

use crate::item::Item;

/// Two floats count as equal if their relative difference is below this.
const EPSILON: f64 = 1e-6;

pub(crate) fn near(got: &Item, wanted: &Item) -> bool {
    match (got, wanted) {
        (Item::Float(got), Item::Float(wanted)) => near_floats(*got, *wanted),
        (
            Item::Histogram { histogram: got, .. },
            Item::Histogram {
                histogram: wanted,
                hint_set,
            },
        ) => near_histograms(got, wanted) && (!hint_set || got.hint == wanted.hint),
        _ => false,
    }
}

fn near_histograms(got: &FloatHistogram, wanted: &FloatHistogram) -> bool {
    let compacted = |histogram: &FloatHistogram| {
        let mut histogram = histogram.clone();
        histogram.compact();
        histogram
    };

    let got = compacted(got);
    let wanted = compacted(wanted);
    let sides = [
        (&got.positive, &wanted.positive),
        (&got.negative, &wanted.negative),
    ];

    let near_sides = sides.iter().all(|(got, wanted)| {
        got.len() == wanted.len()
            && got
                .iter()
                .zip(wanted.iter())
                .all(|(a, b)| a.index == b.index && near_floats(a.count, b.count))
    });

    got.schema == wanted.schema
        && near_floats(got.count, wanted.count)
        && near_floats(got.sum, wanted.sum)
        && near_floats(got.zero_count, wanted.zero_count)
        && got.zero_threshold == wanted.zero_threshold
        && got.custom_values == wanted.custom_values
        && near_sides
}

pub(crate) fn near_floats(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan() && is_stale(a) == is_stale(b);
    }

    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();

    if a == b {
        return true;
    }

    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }

    difference / sum.min(f64::MAX) < EPSILON
}

#[cfg(test)]
mod tests {
    use duramen_model::STALE_NAN;

    use super::*;

    #[test]
    fn floats_are_equal_when_they_differ_by_less_than_a_millionth() {
        for (a, b, equal) in [
            (1.0, 1.000_001, true),
            (1.0, 1.000_003, false),
            (0.0, -0.0, true),
            (0.0, 1e-300, false),
            (f64::NAN, f64::NAN, true),
            (f64::NAN, STALE_NAN, false),
            (STALE_NAN, STALE_NAN, true),
            (f64::INFINITY, f64::INFINITY, true),
            (f64::INFINITY, f64::NEG_INFINITY, false),
            (f64::INFINITY, f64::MAX, false),
            (f64::MAX, -f64::MAX, false),
            (f64::NAN, 1.0, false),
        ] {
            assert_eq!(
                (near_floats(a, b), near_floats(b, a)),
                (equal, equal),
                "{a} {b}"
            );
        }
    }
}
