//! Which samples of a series are hidden, and batches without them. Pure.

use duramen_model::{Life, TimeRange, ValueTest};

use crate::{SeriesBatch, SeriesBatchBuilder};

/// What is hidden of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Hidden {
    Nothing,
    /// All of it, in the range that was asked for.
    All,
    Some(Vec<Cut>),
}

/// Hidden samples of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    pub(crate) range: TimeRange,
    /// Only floats that pass the test.
    pub(crate) value: Option<ValueTest>,
}

impl Cut {
    /// Whether the cut takes everything at a time: floats, histograms and exemplars.
    pub(crate) fn takes(&self, ts_ms: i64) -> bool {
        self.value.is_none() && self.range.contains(ts_ms)
    }

    /// Whether the cut takes a float.
    pub(crate) fn takes_float(&self, ts_ms: i64, value: f64) -> bool {
        self.range.contains(ts_ms) && self.value.is_none_or(|test| test.passes(value))
    }
}

impl Hidden {
    /// Returns what `cuts` hide of a series, in `range`.
    pub(crate) fn of(cuts: impl IntoIterator<Item = Cut>, range: TimeRange) -> Self {
        let mut hidden = Vec::new();

        for cut in cuts {
            let Some(part) = cut.range.intersect(range) else {
                continue;
            };

            if part == range && cut.value.is_none() {
                return Self::All;
            }

            hidden.push(cut);
        }

        match hidden.is_empty() {
            true => Self::Nothing,
            false => Self::Some(hidden),
        }
    }
}

/// Returns the batch without the hidden samples, and without the series that had no others.
/// `hidden` tells what is hidden of the series with these encoded labels.
pub(crate) fn without(batch: SeriesBatch, hidden: impl Fn(&[u8]) -> Hidden) -> SeriesBatch {
    let rows = 0..batch.len();
    let all: Vec<Hidden> = rows.map(|row| hidden(batch.labels_at(row))).collect();

    if all.iter().all(|hidden| *hidden == Hidden::Nothing) {
        return batch;
    }

    let mut builder = SeriesBatchBuilder::default();
    for (row, hidden) in all.iter().enumerate() {
        let before = builder.samples();

        match hidden {
            Hidden::All => continue,
            Hidden::Nothing => copy(&mut builder, &batch, row, &[]),
            Hidden::Some(cuts) => {
                copy(&mut builder, &batch, row, cuts);

                if builder.samples() == before {
                    continue;
                }
            }
        }

        builder.end_series(batch.labels_at(row));
    }

    builder.finish().going_on(batch.goes_on())
}

/// Adds the samples of a row that no cut takes.
fn copy(builder: &mut SeriesBatchBuilder, batch: &SeriesBatch, row: usize, cuts: &[Cut]) {
    let (ts, values) = batch.samples_at(row);
    let starts = batch.starts_at(row);
    let ttls = batch.ttls_at(row);

    if cuts.is_empty() && starts.is_none() && ttls.is_none() {
        builder.samples_mut(|all_ts, all_values| {
            all_ts.extend_from_slice(ts);
            all_values.extend_from_slice(values);
        });
    } else {
        for (at, (ts_ms, value)) in ts.iter().zip(values).enumerate() {
            if cuts.iter().any(|cut| cut.takes_float(*ts_ms, *value)) {
                continue;
            }

            let life = Life {
                start_ms: starts.map_or(0, |all| all[at]),
                ttl_ms: ttls.map_or(0, |all| all[at]),
            };
            builder.push_sample(*ts_ms, *value, life);
        }
    }

    for histogram in batch.histograms_at(row) {
        if !cuts.iter().any(|cut| cut.takes(histogram.ts_ms)) {
            builder.push_histogram(histogram);
        }
    }
}

/// Whether a row has a sample in `range` that no cut takes.
pub(crate) fn is_left(batch: &SeriesBatch, row: usize, cuts: &[Cut], range: TimeRange) -> bool {
    let (ts, values) = batch.samples_at(row);
    let mut floats = ts.iter().zip(values);
    let mut histograms = batch.histograms_at(row).map(|histogram| histogram.ts_ms);

    floats.any(|(ts_ms, value)| {
        let mut cuts = cuts.iter();
        range.contains(*ts_ms) && !cuts.any(|cut| cut.takes_float(*ts_ms, *value))
    }) || histograms.any(|ts_ms| {
        let mut cuts = cuts.iter();
        range.contains(ts_ms) && !cuts.any(|cut| cut.takes(ts_ms))
    })
}
