//! Merges the samples of one series from several parts.

use std::ops::Range;

use crate::{HistogramRef, SeriesBatch, SeriesBatchBuilder};
use duramen_model::{Life, TimeRange};

/// One series of a part: a batch and a row in it.
pub(super) type Slice<'a> = (&'a SeriesBatch, usize);

/// Appends the samples of `slices` in `range` to the series that `out` builds. If several slices
/// have a value for one time, that of the first slice counts, whether it is a float or a histogram.
/// Adds to `lost`, which has a number for each slice, how many of its values lost against a
/// different one.
pub(super) fn merge<'a>(
    slices: &[Slice<'a>],
    range: TimeRange,
    out: &mut SeriesBatchBuilder,
    lost: &mut [u64],
) {
    if slices.iter().all(|slice| is_plain(*slice)) {
        let in_range = |(at, (batch, row)): (usize, &Slice<'a>)| {
            let (ts, values) = batch.samples_at(*row);
            let span = span_in(ts, range);

            Floats {
                at,
                ts: &ts[span.clone()],
                values: &values[span],
            }
        };

        let mut floats: Vec<Floats<'_>> = slices.iter().enumerate().map(in_range).collect();
        floats.retain(|floats| !floats.ts.is_empty());
        merge_floats(&floats, out, lost);
        return;
    }

    let mut cursors: Vec<Cursor<'_>> = slices
        .iter()
        .map(|slice| Cursor::new(*slice, range))
        .collect();

    while let Some(ts_ms) = cursors.iter().filter_map(Cursor::ts_ms).min() {
        let mut winner: Option<Sample<'_>> = None;

        for (cursor, lost) in cursors.iter_mut().zip(&mut *lost) {
            let Some(sample) = cursor.take_at(ts_ms) else {
                continue;
            };

            match &winner {
                None => winner = Some(sample),
                Some(first) => *lost += u64::from(first.value != sample.value),
            }
        }

        if let Some(sample) = winner {
            sample.push(ts_ms, out);
        }
    }
}

/// Whether all samples of `batch` are in `range`.
pub(super) fn are_within(batch: &SeriesBatch, range: TimeRange) -> bool {
    let is_within = |row| {
        let (ts, _) = batch.samples_at(row);
        let mut ends = ts.first().into_iter().chain(ts.last());
        let mut histograms = batch.histograms_at(row);

        ends.all(|ts_ms| range.contains(*ts_ms))
            && histograms.all(|histogram| range.contains(histogram.ts_ms))
    };

    (0..batch.len()).all(is_within)
}

/// The plain floats of the slice `at`.
#[derive(Clone, Copy)]
struct Floats<'a> {
    at: usize,
    ts: &'a [i64],
    values: &'a [f64],
}

/// The positions of the times in `range`.
fn span_in(ts: &[i64], range: TimeRange) -> Range<usize> {
    let start = ts.partition_point(|&ts_ms| ts_ms < range.start_ms());
    let len = ts[start..].partition_point(|&ts_ms| ts_ms < range.end_ms());
    start..start + len
}

/// Whether the series has only floats, and none of them has a life.
fn is_plain((batch, row): Slice<'_>) -> bool {
    batch.histograms_at(row).len() == 0
        && batch.starts_at(row).is_none()
        && batch.ttls_at(row).is_none()
}

/// Merges slices that are not empty. Earlier slices win. Counts in `lost` as [`merge`] does.
fn merge_floats(slices: &[Floats<'_>], out: &mut SeriesBatchBuilder, lost: &mut [u64]) {
    let mut in_time: Vec<_> = slices.to_vec();
    in_time.sort_by_key(|slice| slice.ts[0]);

    let disjoint = in_time
        .windows(2)
        .all(|two| two[0].ts.last() < two[1].ts.first());

    if disjoint {
        out.samples_mut(|all_ts, all_values| {
            for slice in in_time {
                all_ts.extend_from_slice(slice.ts);
                all_values.extend_from_slice(slice.values);
            }
        });

        return;
    }

    let mut at = vec![0; slices.len()];

    out.samples_mut(|all_ts, all_values| {
        loop {
            let next = |(slice, &at): (&Floats<'_>, &usize)| slice.ts.get(at).copied();
            let Some(ts) = slices.iter().zip(&at).filter_map(next).min() else {
                break;
            };

            let mut winner: Option<f64> = None;

            for (slice, at) in slices.iter().zip(&mut at) {
                if slice.ts.get(*at) != Some(&ts) {
                    continue;
                }

                let value = slice.values[*at];

                match winner {
                    None => winner = Some(value),
                    Some(first) => {
                        lost[slice.at] += u64::from(first.to_bits() != value.to_bits());
                    }
                }

                *at += 1;
            }

            all_ts.push(ts);
            all_values.extend(winner);
        }
    });
}

/// A float or a histogram. Two are equal when all their bits are equal; the life does not count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value<'a> {
    Float { bits: u64 },
    Histogram(&'a [u8]),
}

struct Sample<'a> {
    value: Value<'a>,
    life: Life,
}

impl Sample<'_> {
    fn push(self, ts_ms: i64, out: &mut SeriesBatchBuilder) {
        match self.value {
            Value::Float { bits } => out.push_sample(ts_ms, f64::from_bits(bits), self.life),
            Value::Histogram(bytes) => out.push_histogram(HistogramRef {
                ts_ms,
                life: self.life,
                bytes,
            }),
        }
    }
}

/// Iterates over the floats and the histograms of one slice together, in time order.
struct Cursor<'a> {
    ts: &'a [i64],
    values: &'a [f64],
    starts: Option<&'a [i64]>,
    ttls: Option<&'a [i64]>,
    histograms: Vec<HistogramRef<'a>>,
    next_float: usize,
    next_histogram: usize,
}

impl<'a> Cursor<'a> {
    fn new((batch, row): Slice<'a>, range: TimeRange) -> Self {
        let (ts, values) = batch.samples_at(row);
        let span = span_in(ts, range);
        let lives = |column: Option<&'a [i64]>| column.map(|all| &all[span.clone()]);
        let starts = lives(batch.starts_at(row));
        let ttls = lives(batch.ttls_at(row));
        let histograms = batch
            .histograms_at(row)
            .filter(|histogram| range.contains(histogram.ts_ms))
            .collect();

        let ts = &ts[span.clone()];
        let values = &values[span.clone()];

        Self {
            ts,
            values,
            starts,
            ttls,
            histograms,
            next_float: 0,
            next_histogram: 0,
        }
    }

    /// The time of the next sample.
    fn ts_ms(&self) -> Option<i64> {
        let float = self.ts.get(self.next_float).copied();
        let histogram = self
            .histograms
            .get(self.next_histogram)
            .map(|histogram| histogram.ts_ms);

        float.into_iter().chain(histogram).min()
    }

    /// Takes the next sample if its time is `ts_ms`.
    fn take_at(&mut self, ts_ms: i64) -> Option<Sample<'a>> {
        if let Some(histogram) = self
            .histograms
            .get(self.next_histogram)
            .filter(|h| h.ts_ms == ts_ms)
        {
            self.next_histogram += 1;
            return Some(Sample {
                value: Value::Histogram(histogram.bytes),
                life: histogram.life,
            });
        }

        let at = self.next_float;
        if self.ts.get(at) != Some(&ts_ms) {
            return None;
        }

        self.next_float += 1;

        let value = |column: Option<&[i64]>| column.map_or(0, |all| all[at]);
        let life = Life {
            start_ms: value(self.starts),
            ttl_ms: value(self.ttls),
        };

        Some(Sample {
            value: Value::Float {
                bits: self.values[at].to_bits(),
            },
            life,
        })
    }
}
