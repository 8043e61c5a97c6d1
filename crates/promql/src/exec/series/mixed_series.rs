//! A series with histograms, life spans or start times, as a selector reads it.

use duramen_model::{FloatHistogram, Histogram, ResetHint, is_stale};
use duramen_source::SeriesBatch;

use crate::grid::Grid;
use crate::kernels::Window;
use crate::kernels::mixed_window::{HistogramPoint, MixedWindow};
use crate::plan::lookup::{HistogramParts, Lookup, Starts};
use crate::vector::Cell;

/// Removes the parts of one series' histograms that are not read.
#[derive(Debug)]
struct Reader {
    parts: HistogramParts,
    before: Option<FloatHistogram>,
}

impl Reader {
    const fn new(parts: HistogramParts) -> Self {
        Self {
            parts,
            before: None,
        }
    }

    /// Returns the parts that are read of the next histogram in order of time.
    fn read(&mut self, mut histogram: FloatHistogram) -> FloatHistogram {
        if self.parts == HistogramParts::All {
            return histogram;
        }

        if let (ResetHint::Unknown, Some(before)) = (histogram.hint, &self.before) {
            let reset = histogram.is_reset_after(before);
            histogram.hint = if reset {
                ResetHint::Reset
            } else {
                ResetHint::NotReset
            };
        }

        let totals = FloatHistogram {
            hint: histogram.hint,
            count: histogram.count,
            sum: histogram.sum,
            ..FloatHistogram::empty(histogram.schema, Vec::new())
        };

        self.before = Some(histogram);
        totals
    }
}

/// A float, a histogram, or the end of the series.
#[derive(Clone, Debug)]
pub(crate) struct Newest<'a> {
    pub(crate) ts_ms: i64,
    /// The life span of the sample; 0 means the look-back.
    ttl_ms: i64,
    /// The start time of the counter; 0 means unknown.
    pub(crate) start_ms: i64,
    /// `None` if the series ended here.
    value: Option<Cell<'a>>,
}

/// Returns the samples of one row in order of time.
///
/// `None` if a histogram's bytes cannot be decoded.
pub(crate) fn newest(
    batch: &SeriesBatch,
    row: usize,
    parts: HistogramParts,
) -> Option<Vec<Newest<'_>>> {
    let (ts, values) = batch.samples_at(row);
    let ttls = batch.ttls_at(row);
    let starts = batch.starts_at(row);

    let floats = ts
        .iter()
        .zip(values)
        .enumerate()
        .map(|(at, (&ts_ms, &value))| Newest {
            ts_ms,
            ttl_ms: ttls.map_or(0, |ttls| ttls[at]),
            start_ms: starts.map_or(0, |starts| starts[at]),
            value: (!is_stale(value)).then_some(Cell::Float(value)),
        });

    let mut all: Vec<_> = floats.collect();
    let mut reader = Reader::new(parts);

    for held in batch.histograms_at(row) {
        let decoded = Histogram::from_bytes(held.bytes)?;
        let stale = decoded.is_stale();
        let mut cell = Cell::Encoded(held.bytes);

        if parts == HistogramParts::Totals && !stale {
            cell = Cell::from(reader.read(FloatHistogram::from(&decoded)));
        }

        all.push(Newest {
            ts_ms: held.ts_ms,
            ttl_ms: held.life.ttl_ms,
            start_ms: held.life.start_ms,
            value: (!stale).then_some(cell),
        });
    }

    all.sort_by_key(|sample| sample.ts_ms);
    Some(all)
}

/// Returns a function that gives the cell of each step, in order. `read` makes the cell from the
/// newest sample, if that has not expired.
pub(crate) fn latest<'a, 'c>(
    samples: &'a [Newest<'c>],
    grid: Grid,
    lookup: Lookup,
    read: impl Fn(&Newest<'c>, Cell<'c>) -> Option<Cell<'c>> + 'a,
) -> impl FnMut(usize) -> Option<Cell<'c>> + 'a
where
    'c: 'a,
{
    let mut behind = 0;
    move |step| {
        let time_ms = grid.at(step);
        let end_ms = lookup.end_ms(time_ms);
        behind += samples[behind..]
            .iter()
            .take_while(|sample| sample.ts_ms <= end_ms)
            .count();

        let sample = &samples[behind.checked_sub(1)?];
        let stands = match sample.ttl_ms {
            ..=0 => sample.ts_ms > lookup.start_ms(time_ms),
            ttl_ms => end_ms < sample.ts_ms.saturating_add(ttl_ms),
        };

        read(sample, sample.value.clone().filter(|_| stands)?)
    }
}

/// The samples of one row for windows, without stale markers.
#[derive(Debug, Default)]
pub(crate) struct MixedSeries {
    ts: Vec<i64>,
    values: Vec<f64>,
    starts: Vec<i64>,
    histograms: Vec<HistogramPoint>,
}

impl MixedSeries {
    /// Returns `None` if a histogram's bytes cannot be decoded.
    pub(crate) fn of(
        batch: &SeriesBatch,
        row: usize,
        starts: Starts,
        parts: HistogramParts,
    ) -> Option<Self> {
        let mut series = Self::default();
        let mut reader = Reader::new(parts);
        let (ts, values) = batch.samples_at(row);
        let float_starts = batch.starts_at(row).filter(|_| starts == Starts::Known);

        for (at, (&ts_ms, &value)) in ts.iter().zip(values).enumerate() {
            if !is_stale(value) {
                series.ts.push(ts_ms);
                series.values.push(value);
                series.starts.extend(float_starts.map(|starts| starts[at]));
            }
        }

        for held in batch.histograms_at(row) {
            let histogram = FloatHistogram::from_bytes(held.bytes)?;

            if !is_stale(histogram.sum) {
                let histogram = reader.read(histogram);
                let start_ms = if starts == Starts::Known {
                    held.life.start_ms
                } else {
                    0
                };

                series.histograms.push(HistogramPoint {
                    ts_ms: held.ts_ms,
                    start_ms,
                    histogram,
                });
            }
        }

        Some(series)
    }

    /// Returns a function that gives the cell of each step, in order. `evaluate` makes the cell
    /// from the samples that are read for the step.
    pub(crate) fn over_windows<'a>(
        &'a self,
        name: &'a str,
        grid: Grid,
        lookup: Lookup,
        mut evaluate: impl FnMut(&MixedWindow<'_>, usize) -> Option<Cell<'static>> + 'a,
    ) -> impl FnMut(usize) -> Option<Cell<'static>> + 'a {
        let mut floats = Span::default();
        let mut histograms = Span::default();

        move |step| {
            let time_ms = grid.at(step);
            let before_ms = lookup.read_start_ms(time_ms);
            let last_ms = lookup.read_end_ms(time_ms);

            floats.advance(before_ms, last_ms, &self.ts, |ts| *ts);
            histograms.advance(before_ms, last_ms, &self.histograms, |point| point.ts_ms);

            let starts = if self.starts.is_empty() {
                &[]
            } else {
                &self.starts[floats.first..floats.behind]
            };

            let window = MixedWindow {
                floats: Window {
                    ts: &self.ts[floats.first..floats.behind],
                    values: &self.values[floats.first..floats.behind],
                    start_ms: lookup.start_ms(time_ms),
                    end_ms: lookup.end_ms(time_ms),
                    range_ms: lookup.range_ms,
                    falls: true,
                    time_ms,
                },
                float_starts: starts,
                histograms: &self.histograms[histograms.first..histograms.behind],
                name,
            };

            evaluate(&window, step)
        }
    }
}

/// The samples of a window. The window only moves forward.
#[derive(Debug, Default)]
struct Span {
    first: usize,
    behind: usize,
}

impl Span {
    fn advance<T>(&mut self, before_ms: i64, last_ms: i64, samples: &[T], ts: impl Fn(&T) -> i64) {
        self.behind += samples[self.behind..]
            .iter()
            .take_while(|sample| ts(sample) <= last_ms)
            .count();

        self.first += samples[self.first..self.behind]
            .iter()
            .take_while(|sample| ts(sample) <= before_ms)
            .count();
    }
}
