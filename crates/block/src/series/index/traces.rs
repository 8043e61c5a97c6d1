//! When the series of a block are present: what the series file does not say about them, in four
//! bytes for most series.
//!
//! It is derived from the samples when it is first asked for, and kept as long as the index.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use duramen_source::{PresenceBatchBuilder, Trace};
use parking_lot::Mutex;

use crate::layout::rows::SeriesRows;

/// What a series takes: its code, and its share of the space for [`Rare`].
pub(crate) const BYTES_OF_A_SERIES: usize = size_of::<AtomicU32>() + RARE_BYTES_OF_A_SERIES;
/// How much space for rare traces there is, for each series of the block.
const RARE_BYTES_OF_A_SERIES: usize = 8;
/// About what an entry of the map takes beside its traces.
const ENTRY_BYTES: usize = 64;

/// Nothing is known yet.
const NOT_KNOWN: u32 = 0;
/// The traces are in [`Rare`].
const IN_RARE: u32 = u32::MAX;
/// The series must be read each time.
const UNDECIDED: u32 = u32::MAX - 1;
/// There is no space for the traces of the series. Its last sample is known, and is a stale marker
/// or not.
const LAST_IS_STALE: u32 = u32::MAX - 2;
const LAST_IS_VALUE: u32 = u32::MAX - 3;
/// A bit beside the gap: a stale marker is the last sample.
const ENDS_STALE: u32 = 1 << 30;

/// The traces of the series of one block, by the number of the series.
#[derive(Debug)]
pub(crate) struct Traces {
    /// One of the constants, or the gap of the only trace of the series: that begins and ends with
    /// the series.
    codes: Vec<AtomicU32>,
    rare: Mutex<Rare>,
}

/// The traces of series with long gaps, or with stale markers before the end.
#[derive(Debug)]
struct Rare {
    traces: HashMap<u32, Box<[Trace]>>,
    bytes_left: usize,
}

impl Traces {
    /// Traces of `series` series, of which nothing is known.
    pub(crate) fn of(series: usize) -> Self {
        let rare = Rare {
            traces: HashMap::new(),
            bytes_left: series * RARE_BYTES_OF_A_SERIES,
        };

        Self {
            codes: (0..series).map(|_| AtomicU32::new(NOT_KNOWN)).collect(),
            rare: Mutex::new(rare),
        }
    }

    pub(crate) fn knows(&self, series: u32) -> bool {
        self.codes[series as usize].load(Relaxed) != NOT_KNOWN
    }

    /// Keeps the traces of a series with these rows.
    pub(crate) fn keep(&self, series: u32, rows: &SeriesRows, traces: &[Trace]) {
        let code = code(rows, traces).unwrap_or_else(|| self.keep_rare(series, rows, traces));
        self.codes[series as usize].store(code, Relaxed);
    }

    fn keep_rare(&self, series: u32, rows: &SeriesRows, traces: &[Trace]) -> u32 {
        let mut rare = self.rare.lock();
        let bytes = ENTRY_BYTES + size_of_val(traces);

        if traces.contains(&Trace::UNKNOWN) {
            return UNDECIDED;
        }

        if bytes > rare.bytes_left {
            return last(rows, traces);
        }

        if rare.traces.insert(series, traces.into()).is_none() {
            rare.bytes_left -= bytes;
        }

        IN_RARE
    }

    /// Appends the traces of a series with these rows.
    pub(crate) fn append(&self, series: u32, rows: &SeriesRows, batch: &mut PresenceBatchBuilder) {
        match self.codes[series as usize].load(Relaxed) {
            NOT_KNOWN | UNDECIDED => batch.push(&[Trace::UNKNOWN]),
            IN_RARE => {
                let rare = self.rare.lock();
                let traces = rare.traces.get(&series).map(|traces| &**traces);
                batch.push(traces.unwrap_or(&[Trace::UNKNOWN]));
            }
            LAST_IS_STALE => batch.push(&[Trace::last(rows.max_ts_ms, true)]),
            LAST_IS_VALUE => batch.push(&[Trace::last(rows.max_ts_ms, false)]),
            code => batch.push(&[decoded(code, rows)]),
        }
    }
}

/// Returns the code that says what the last sample of a series with these traces is.
fn last(rows: &SeriesRows, traces: &[Trace]) -> u32 {
    match traces.iter().max_by_key(|trace| trace.last_ms) {
        Some(trace) if trace.last_ms != rows.max_ts_ms => UNDECIDED,
        Some(trace) if trace.stale_ms == Trace::NEVER => LAST_IS_VALUE,
        Some(_) => LAST_IS_STALE,
        None => UNDECIDED,
    }
}

/// Returns the code of a single trace that begins and ends with the series, and has a short gap.
fn code(rows: &SeriesRows, traces: &[Trace]) -> Option<u32> {
    let [trace] = traces else { return None };
    let gap = u32::try_from(trace.gap_ms)
        .ok()
        .filter(|gap| *gap < ENDS_STALE)?;

    let stale = match trace.stale_ms {
        Trace::NEVER => 0,
        _ => ENDS_STALE,
    };

    let code = gap | stale;
    (code != NOT_KNOWN && decoded(code, rows) == *trace).then_some(code)
}

fn decoded(code: u32, rows: &SeriesRows) -> Trace {
    let stale_ms = if code & ENDS_STALE == 0 {
        Trace::NEVER
    } else {
        rows.max_ts_ms
    };

    Trace {
        first_ms: rows.min_ts_ms,
        last_ms: rows.max_ts_ms,
        gap_ms: i64::from(code & !ENDS_STALE),
        stale_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(traces: &Traces, rows: &SeriesRows, of: &[Trace]) -> Vec<Trace> {
        traces.keep(0, rows, of);
        assert!(traces.knows(0));

        let mut batch = PresenceBatchBuilder::default();
        traces.append(0, rows, &mut batch);
        batch.end_series(&[]);
        batch.finish().traces_at(0).to_vec()
    }

    #[test]
    fn traces_come_back_as_they_were_or_as_the_last_sample_when_there_is_no_space() {
        let rows = SeriesRows {
            samples: 0..3,
            histograms: 0..0,
            exemplars: 0..0,
            min_ts_ms: 10,
            max_ts_ms: 90,
        };

        let one = Trace {
            first_ms: 10,
            last_ms: 90,
            gap_ms: 50,
            stale_ms: Trace::NEVER,
        };

        let stale = Trace {
            stale_ms: 90,
            ..one
        };

        let later = Trace {
            first_ms: 20,
            ..one
        };

        let traces = Traces::of(100);
        assert!(!traces.knows(0));

        for of in [
            &[one][..],
            &[stale],
            &[later],
            &[one, later],
            &[Trace::UNKNOWN],
        ] {
            assert_eq!(kept(&traces, &rows, of), of);
        }

        let small = Traces::of(1);
        assert_eq!(kept(&small, &rows, &[one]), [one]);
        let first = Trace {
            last_ms: 40,
            ..stale
        };

        for (last, is_stale) in [(later, false), (stale, true)] {
            let of = kept(&small, &rows, &[first, last]);
            assert_eq!(of, [Trace::last(90, is_stale)]);
        }

        assert_eq!(kept(&small, &rows, &[first, first]), [Trace::UNKNOWN]);
    }
}
