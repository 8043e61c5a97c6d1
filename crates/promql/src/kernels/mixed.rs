//! The functions of a range vector, over windows of floats and histograms.

use duramen_model::{FloatHistogram, ResetHint};

use crate::annotation::{Annotation, Operation};
use crate::kernels::extended::{self, Ends};
use crate::kernels::histogram_rate;
use crate::kernels::histogram_total::{Total, total};
use crate::kernels::mixed_window::{Annotate, MixedWindow};
use crate::kernels::range::RangeFunction;
use crate::kernels::rate::{self, Nature};
use crate::kernels::seconds;
use crate::kernels::start::{is_reset, overlaps};
use crate::vector::Sample;

/// A sample with its times.
#[derive(Clone, Copy, Debug)]
struct Point<'a> {
    ts_ms: i64,
    start_ms: i64,
    value: PointValue<'a>,
}

#[derive(Clone, Copy, Debug)]
enum PointValue<'a> {
    Float(f64),
    Histogram(&'a FloatHistogram),
}

impl<'a> MixedWindow<'a> {
    fn is_mixed(&self) -> bool {
        !self.floats.ts.is_empty() && !self.histograms.is_empty()
    }

    /// Returns all samples in order of time.
    fn points(&self) -> impl Iterator<Item = Point<'a>> {
        let floats = self.floats;
        let starts = self.float_starts;

        let floats =
            floats
                .ts
                .iter()
                .zip(floats.values)
                .enumerate()
                .map(move |(at, (&ts_ms, &value))| Point {
                    ts_ms,
                    start_ms: starts.get(at).copied().unwrap_or(0),
                    value: PointValue::Float(value),
                });

        let histograms = self.histograms.iter().map(|point| Point {
            ts_ms: point.ts_ms,
            start_ms: point.start_ms,
            value: PointValue::Histogram(&point.histogram),
        });

        let mut floats = floats.peekable();
        let mut histograms = histograms.peekable();

        std::iter::from_fn(move || match (floats.peek(), histograms.peek()) {
            (Some(float), Some(histogram)) if histogram.ts_ms < float.ts_ms => histograms.next(),
            (Some(_), _) => floats.next(),
            (None, _) => histograms.next(),
        })
    }

    /// Returns the value of a function, or `None` if it has none.
    pub(crate) fn evaluate(
        &self,
        function: RangeFunction,
        arguments: [f64; 2],
        ends: Option<Ends>,
        annotate: &mut Annotate<'_>,
    ) -> Option<Sample> {
        use RangeFunction as F;

        match function {
            F::Delta => self.growth(Nature::Gauge, None, ends, annotate),
            F::Increase => self.growth(Nature::Counter, None, ends, annotate),
            F::Rate => self.growth(
                Nature::Counter,
                Some(seconds(self.floats.range_ms)),
                ends,
                annotate,
            ),
            F::Idelta => self.last_change(Nature::Gauge, annotate),
            F::Irate => self.last_change(Nature::Counter, annotate),
            F::Changes => self.count_pairs(ends, changed),
            F::Resets => self.count_pairs(ends, reset),
            F::Sum => self.total(Total::Sum, function, annotate),
            F::Avg => self.total(Total::Mean, function, annotate),
            F::Count => {
                self.float(|window| (window.floats.ts.len() + window.histograms.len()) as f64)
            }
            F::Present => self.float(|_| 1.0),
            F::First => self.points().next().map(Point::sample),
            F::Last => self.points().last().map(Point::sample),
            F::TimeOfFirst => self.points().next().map(Point::time),
            F::TimeOfLast => self.points().last().map(Point::time),
            _ => self.of_floats(function, arguments, annotate),
        }
    }

    fn float(&self, value: impl Fn(&Self) -> f64) -> Option<Sample> {
        let any = !self.floats.ts.is_empty() || !self.histograms.is_empty();
        any.then(|| Sample::Float(value(self)))
    }

    /// Evaluates a function that ignores histograms.
    fn of_floats(
        &self,
        function: RangeFunction,
        arguments: [f64; 2],
        annotate: &mut Annotate<'_>,
    ) -> Option<Sample> {
        if self.is_mixed() {
            annotate(Annotation::IgnoredInRange(self.name));
        }

        function
            .evaluate(&self.floats, arguments)
            .map(Sample::Float)
    }

    fn total(
        &self,
        of: Total,
        function: RangeFunction,
        annotate: &mut Annotate<'_>,
    ) -> Option<Sample> {
        if self.is_mixed() {
            annotate(Annotation::MixedSamples(self.name));
            return None;
        }

        if self.histograms.is_empty() {
            return function
                .evaluate(&self.floats, [f64::NAN; 2])
                .map(Sample::Float);
        }

        match total(
            of,
            self.histograms.iter().map(|point| &point.histogram),
            annotate,
        ) {
            Ok(total) => total.map(|total| Sample::Histogram(Box::new(total))),
            Err(_) => {
                annotate(Annotation::MixedSchemas(self.name));
                None
            }
        }
    }

    /// Returns the growth over the window, per second if `seconds` is given.
    fn growth(
        &self,
        nature: Nature,
        seconds: Option<f64>,
        ends: Option<Ends>,
        annotate: &mut Annotate<'_>,
    ) -> Option<Sample> {
        if self.is_mixed() {
            annotate(Annotation::MixedSamples(self.name));
            return None;
        }

        let floats = &self.floats;

        match (ends, self.histograms) {
            (Some(ends), []) => {
                let growth = extended::growth(floats, ends, nature)?;
                Some(Sample::Float(
                    seconds.map_or(growth, |seconds| growth / seconds),
                ))
            }
            (Some(ends), _) => {
                histogram_rate::growth_with_ends(self, nature, seconds, ends, annotate)
            }
            (None, []) if self.float_starts.is_empty() || nature == Nature::Gauge => {
                match seconds {
                    Some(_) => rate::rate(floats).map(Sample::Float),
                    None => rate::extrapolated_growth(floats, nature).map(Sample::Float),
                }
            }
            (None, []) => self.growth_from_starts(seconds, annotate),
            (None, _) => histogram_rate::growth(self, nature, seconds, annotate),
        }
    }

    /// Returns the growth of a counter of floats with start times.
    fn growth_from_starts(
        &self,
        seconds: Option<f64>,
        annotate: &mut Annotate<'_>,
    ) -> Option<Sample> {
        let ts = self.floats.ts;
        let values = self.floats.values;
        let starts = self.float_starts;
        let first = *values.first()?;
        let last = *values.last()?;
        let mut growth = last - first;

        if (1..ts.len()).any(|at| overlaps(starts[at - 1], ts[at - 1], starts[at])) {
            annotate(Annotation::StartTimesOverlap(self.name));
        }

        for at in 1..ts.len() {
            if values[at] < values[at - 1]
                || is_reset((starts[at - 1], ts[at - 1]), (starts[at], ts[at]))
            {
                growth += values[at - 1];
            }
        }

        let span = rate::Sampled {
            first_ms: ts[0],
            last_ms: ts[ts.len() - 1],
            gaps: ts.len() - 1,
        };

        let begins = self.begins_inside(starts[0], ts[0]);
        if begins {
            growth += first;
        } else if ts.len() == 1 {
            return None;
        }

        let to_zero = (growth > 0.0 && first >= 0.0).then(|| first / growth);
        let factor = span.factor(&self.floats, begins.then(|| starts[0]), to_zero);
        Some(Sample::Float(
            growth * seconds.map_or(factor, |seconds| factor / seconds),
        ))
    }

    /// Returns the value at the end of the window, interpolated between the samples around it. If
    /// there is none after the end, the newest value.
    pub(crate) fn smoothed_value(&self, annotate: &mut Annotate<'_>) -> Option<Sample> {
        if self.is_mixed() {
            annotate(Annotation::MixedSamples(self.name));
            return None;
        }

        let points = self.histograms;
        let end_ms = self.floats.end_ms;

        if points.is_empty() {
            return extended::smoothed_value(&self.floats).map(Sample::Float);
        }

        let at = points
            .partition_point(|point| point.ts_ms <= end_ms)
            .checked_sub(1)?;
        let histogram = match points.get(at + 1) {
            _ if points[at].ts_ms == end_ms => points[at].histogram.clone(),
            Some(behind)
                if behind.histogram.uses_custom_buckets()
                    != points[at].histogram.uses_custom_buckets() =>
            {
                annotate(Annotation::MixedSchemas(self.name));
                return None;
            }
            Some(behind) => {
                let gauge = [&points[at], behind]
                    .iter()
                    .all(|point| point.histogram.hint == ResetHint::Gauge);
                let nature = if gauge {
                    Nature::Gauge
                } else {
                    Nature::Counter
                };

                histogram_rate::interpolated(
                    &points[at],
                    behind,
                    end_ms,
                    nature,
                    self.name,
                    annotate,
                )?
            }
            // The hint is about the previous sample, so it is dropped.
            None => FloatHistogram {
                hint: ResetHint::Unknown,
                ..points[at].histogram.clone()
            },
        };

        Some(Sample::Histogram(Box::new(histogram)))
    }

    /// Returns whether a counter started inside of the window, before its first sample.
    pub(crate) fn begins_inside(&self, start_ms: i64, first_ms: i64) -> bool {
        start_ms != 0 && start_ms > self.floats.start_ms && start_ms < first_ms
    }

    /// Returns the change between the last two samples. For a counter, per second.
    fn last_change(&self, nature: Nature, annotate: &mut Annotate<'_>) -> Option<Sample> {
        let mut before = None;
        let mut last = None;

        for point in self.points() {
            before = last.replace(point);
        }

        let before: Point<'_> = before?;
        let last: Point<'_> = last?;
        let counter = nature == Nature::Counter;
        let started =
            counter && is_reset((before.start_ms, before.ts_ms), (last.start_ms, last.ts_ms));
        let seconds = (last.ts_ms - before.ts_ms) as f64 / 1000.0;

        match (before.value, last.value) {
            (PointValue::Float(before), PointValue::Float(last)) => {
                let growth = if counter && (last < before || started) {
                    last
                } else {
                    last - before
                };

                Some(Sample::Float(if counter {
                    growth / seconds
                } else {
                    growth
                }))
            }
            (PointValue::Histogram(before), PointValue::Histogram(last)) => {
                histogram_rate::annotate_nature(nature, [before, last], self.name, annotate);

                let mut growth = last.clone();

                if !counter || !started && !last.is_reset_after(before) {
                    let Ok(done) = growth.subtract(before) else {
                        annotate(Annotation::MixedSchemas(self.name));
                        return None;
                    };

                    if done.bounds_differ {
                        annotate(Annotation::BoundsReconciled(Operation::Subtraction));
                    }
                }

                growth.hint = ResetHint::Gauge;
                growth.compact();

                if counter {
                    growth.divide(seconds);
                }

                Some(Sample::Histogram(Box::new(growth)))
            }
            _ => {
                annotate(Annotation::MixedSamples(self.name));
                None
            }
        }
    }

    /// Counts the samples that differ from the previous one according to `differ`.
    fn count_pairs(
        &self,
        ends: Option<Ends>,
        differ: impl Fn(Point<'_>, Point<'_>) -> bool,
    ) -> Option<Sample> {
        let start_ms = self.floats.start_ms;
        let mut before: Option<Point<'_>> = None;
        let mut any = ends.is_none();
        let mut count = 0.0;

        for point in self.points() {
            // Before an anchored window, only the newest sample is compared with the next one.
            let skip = ends.is_some() && point.ts_ms <= start_ms;
            any |= !skip;

            if let Some(before) = before.filter(|_| !skip)
                && differ(before, point)
            {
                count += 1.0;
            }
            before = Some(point);
        }

        before.filter(|_| any).map(|_| Sample::Float(count))
    }
}

impl Point<'_> {
    fn sample(self) -> Sample {
        match self.value {
            PointValue::Float(value) => Sample::Float(value),
            PointValue::Histogram(histogram) => Sample::Histogram(Box::new(histogram.clone())),
        }
    }

    fn time(self) -> Sample {
        Sample::Float(seconds(self.ts_ms))
    }
}

fn changed(before: Point<'_>, point: Point<'_>) -> bool {
    match (before.value, point.value) {
        (PointValue::Float(before), PointValue::Float(value)) => {
            before != value && !(before.is_nan() && value.is_nan())
        }
        (PointValue::Histogram(before), PointValue::Histogram(histogram)) => before != histogram,
        _ => true,
    }
}

fn reset(before: Point<'_>, point: Point<'_>) -> bool {
    let started = || {
        is_reset(
            (before.start_ms, before.ts_ms),
            (point.start_ms, point.ts_ms),
        )
    };

    match (before.value, point.value) {
        (PointValue::Float(before), PointValue::Float(value)) => value < before || started(),
        (PointValue::Histogram(before), PointValue::Histogram(histogram)) => {
            started() || histogram.is_reset_after(before)
        }
        _ => true,
    }
}
