//! The growth of histograms.

use duramen_model::{FloatHistogram, ResetHint};

use crate::annotation::{Annotation, Operation};
use crate::kernels::extended::Ends;
use crate::kernels::mixed_window::{Annotate, HistogramPoint, MixedWindow};
use crate::kernels::rate::{Nature, Sampled};
use crate::kernels::start::{is_reset, overlaps};
use crate::vector::Sample;

/// Returns the growth in a window of histograms, extrapolated to its ends as for floats.
pub(crate) fn growth(
    window: &MixedWindow<'_>,
    nature: Nature,
    seconds: Option<f64>,
    annotate: &mut Annotate<'_>,
) -> Option<Sample> {
    let points = window.histograms;
    let first = points.first()?;
    let last = points.last()?;
    let begins = nature == Nature::Counter && window.begins_inside(first.start_ms, first.ts_ms);

    let mut grown = match points {
        [_] if !begins => return None,
        [only] => only.histogram.clone(),
        _ => {
            let mut grown = sampled(points, nature, window.name, annotate)?;
            if begins {
                add(&mut grown, &first.histogram, window.name, annotate)?;
            }

            grown
        }
    };

    let span = Sampled {
        first_ms: first.ts_ms,
        last_ms: last.ts_ms,
        gaps: points.len() - 1,
    };

    let first_count = first.histogram.count;
    let counts = nature == Nature::Counter && grown.count > 0.0 && first_count >= 0.0;
    let to_zero = counts.then(|| first_count / grown.count);
    let factor = span.factor(&window.floats, begins.then_some(first.start_ms), to_zero);

    grown.scale(seconds.map_or(factor, |seconds| factor / seconds));
    Some(Sample::Histogram(Box::new(grown)))
}

/// Returns the growth between the samples. There must be at least two.
fn sampled(
    points: &[HistogramPoint],
    nature: Nature,
    name: &str,
    annotate: &mut Annotate<'_>,
) -> Option<FloatHistogram> {
    let [first, .., last] = points else {
        return None;
    };
    let counter = nature == Nature::Counter;
    let second = &points[1];

    let after = |before: &HistogramPoint, point: &HistogramPoint| {
        is_reset(
            (before.start_ms, before.ts_ms),
            (point.start_ms, point.ts_ms),
        )
    };

    // If the second sample is a reset, the first one is ignored, whatever its buckets are.
    let reset_first =
        counter && (after(first, second) || second.histogram.is_reset_after(&first.histogram));
    let nothing = FloatHistogram::empty(
        second.histogram.schema,
        second.histogram.custom_values.clone(),
    );

    let start = if reset_first {
        &nothing
    } else {
        &first.histogram
    };

    let custom = start.uses_custom_buckets();
    let inner = &points[1..points.len() - 1];
    let samples_seen = inner.iter().filter(|_| counter).chain([last]);

    if samples_seen
        .clone()
        .any(|point| point.histogram.uses_custom_buckets() != custom)
    {
        annotate(Annotation::MixedSchemas(name));
        return None;
    }

    let gauge = |point: &HistogramPoint| point.histogram.hint == ResetHint::Gauge;
    match nature {
        Nature::Counter if points.iter().any(gauge) => annotate(Annotation::NotACounter(name)),
        Nature::Gauge if !gauge(first) || !gauge(last) => annotate(Annotation::NotAGauge(name)),
        _ => {}
    }

    let schema = samples_seen
        .map(|point| point.histogram.schema)
        .chain([start.schema])
        .min();

    let mut grown = last.histogram.clone();
    grown.reduce_to(schema.unwrap_or(grown.schema));
    subtract(&mut grown, start, name, annotate)?;

    if counter {
        if points
            .windows(2)
            .any(|two| overlaps(two[0].start_ms, two[0].ts_ms, two[1].start_ms))
        {
            annotate(Annotation::StartTimesOverlap(name));
        }

        let mut before = start;
        for two in points.windows(2) {
            if after(&two[0], &two[1]) || two[1].histogram.is_reset_after(before) {
                add(&mut grown, before, name, annotate)?;
            }

            before = &two[1].histogram;
        }
    }

    grown.hint = ResetHint::Gauge;
    grown.compact();
    Some(grown)
}

/// Returns the growth over exactly the window. The values at its ends are computed from the samples
/// around them.
pub(crate) fn growth_with_ends(
    window: &MixedWindow<'_>,
    nature: Nature,
    seconds: Option<f64>,
    ends: Ends,
    annotate: &mut Annotate<'_>,
) -> Option<Sample> {
    let points = window.histograms;
    let name = window.name;
    let start_ms = window.floats.start_ms;
    let end_ms = window.floats.end_ms;
    let smoothed = ends == Ends::Smoothed;
    let newest = points.len().checked_sub(1)?;
    let first = points[..newest]
        .partition_point(|point| point.ts_ms <= start_ms)
        .saturating_sub(1);

    let last = if smoothed {
        points[..newest].partition_point(|point| point.ts_ms < end_ms)
    } else {
        newest
    };

    if points[last].ts_ms <= start_ms || smoothed && points[first].ts_ms > end_ms {
        return None;
    }

    let samples_seen = &points[first..=last];
    if samples_seen.iter().any(|point| {
        point.histogram.uses_custom_buckets() != points[first].histogram.uses_custom_buckets()
    }) {
        annotate(Annotation::MixedSchemas(name));
        return None;
    }

    if nature == Nature::Counter
        && samples_seen
            .iter()
            .any(|point| point.histogram.hint == ResetHint::Gauge)
    {
        annotate(Annotation::NotACounter(name));
    }

    let left = match smoothed && points[first].ts_ms < start_ms {
        true => interpolated(
            &points[first],
            &points[first + 1],
            start_ms,
            nature,
            name,
            annotate,
        )?,
        false => points[first].histogram.clone(),
    };

    let right = match smoothed && last > 0 && points[last].ts_ms > end_ms {
        true => interpolated(
            &points[last - 1],
            &points[last],
            end_ms,
            nature,
            name,
            annotate,
        )?,
        false => points[last].histogram.clone(),
    };

    if nature == Nature::Gauge
        && [&left, &right]
            .iter()
            .any(|end| end.hint != ResetHint::Gauge)
    {
        annotate(Annotation::NotAGauge(name));
    }

    let mut grown = right.clone();
    subtract(&mut grown, &left, name, annotate)?;

    if nature == Nature::Counter {
        let crossed = smoothed
            && points[first].ts_ms < start_ms
            && points[first + 1]
                .histogram
                .is_reset_after(&points[first].histogram);

        // The interpolation at the start has already handled the first reset.
        let from = if crossed { first + 2 } else { first + 1 };

        if from <= last {
            let before = if crossed {
                &points[first + 1].histogram
            } else {
                &left
            };

            let inner = points[from..last].iter().map(|point| &point.histogram);
            add_lost(&mut grown, before, inner.chain([&right]), name, annotate)?;
        }
    }

    if let Some(seconds) = seconds {
        grown.divide(seconds);
    }

    grown.hint = ResetHint::Gauge;
    grown.compact();
    Some(Sample::Histogram(Box::new(grown)))
}

/// Adds to `grown` what a counter lost by resets: the sum of the histograms that come directly
/// before a reset. `after` follows `before`.
fn add_lost<'a>(
    grown: &mut FloatHistogram,
    mut before: &'a FloatHistogram,
    after: impl Iterator<Item = &'a FloatHistogram>,
    name: &str,
    annotate: &mut Annotate<'_>,
) -> Option<()> {
    let mut lost: Option<FloatHistogram> = None;

    for point in after {
        if point.is_reset_after(before) {
            match &mut lost {
                Some(lost) => add(lost, before, name, annotate)?,
                None => lost = Some(before.clone()),
            }
        }

        before = point;
    }

    match lost {
        Some(lost) => add(grown, &lost, name, annotate),
        None => Some(()),
    }
}

/// Returns the histogram at a time between two others. A counter that is reset between them starts
/// from zero.
pub(crate) fn interpolated(
    before: &HistogramPoint,
    behind: &HistogramPoint,
    time_ms: i64,
    nature: Nature,
    name: &str,
    annotate: &mut Annotate<'_>,
) -> Option<FloatHistogram> {
    if time_ms == before.ts_ms {
        return Some(before.histogram.clone());
    }

    let mut between = behind.histogram.clone();
    if time_ms == behind.ts_ms {
        return Some(between);
    }

    let share = (time_ms - before.ts_ms) as f64 / (behind.ts_ms - before.ts_ms) as f64;
    if nature == Nature::Counter && between.is_reset_after(&before.histogram) {
        between.scale(share);
        return Some(between);
    }

    subtract(&mut between, &before.histogram, name, annotate)?;
    between.scale(share);
    add(&mut between, &before.histogram, name, annotate)?;

    Some(between)
}

/// Adds an annotation if histograms are gauges where counters are expected, or the other way round.
pub(crate) fn annotate_nature(
    nature: Nature,
    histograms: [&FloatHistogram; 2],
    name: &str,
    annotate: &mut Annotate<'_>,
) {
    let gauges = histograms.map(|histogram| histogram.hint == ResetHint::Gauge);
    match nature {
        Nature::Counter if gauges.contains(&true) => annotate(Annotation::NotACounter(name)),
        Nature::Gauge if gauges.contains(&false) => annotate(Annotation::NotAGauge(name)),
        _ => {}
    }
}

/// Adds a histogram. Resets are handled separately, so colliding hints do not matter here.
fn add(
    held: &mut FloatHistogram,
    other: &FloatHistogram,
    name: &str,
    annotate: &mut Annotate<'_>,
) -> Option<()> {
    match held.add(other) {
        Ok(done) if done.bounds_differ => {
            annotate(Annotation::BoundsReconciled(Operation::Addition))
        }
        Ok(_) => {}
        Err(_) => {
            annotate(Annotation::MixedSchemas(name));
            return None;
        }
    }

    Some(())
}

fn subtract(
    held: &mut FloatHistogram,
    other: &FloatHistogram,
    name: &str,
    annotate: &mut Annotate<'_>,
) -> Option<()> {
    match held.subtract(other) {
        Ok(done) if done.bounds_differ => {
            annotate(Annotation::BoundsReconciled(Operation::Subtraction))
        }
        Ok(_) => {}
        Err(_) => {
            annotate(Annotation::MixedSchemas(name));
            return None;
        }
    }

    Some(())
}
