//! When the series of a block are present: what the series file does not say about them, in four
//! bytes for most series.
//!
//! It is derived from the samples when it is first asked for, and kept as long as the index.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use duramen_source::{PresenceBatchBuilder, Trace};
use parking_lot::RwLock;

use crate::layout::rows::SeriesRows;

/// What a series takes: its code, and its share of the space for [`Patterns`].
pub(crate) const BYTES_OF_A_SERIES: usize = size_of::<AtomicU32>() + PATTERN_BYTES_OF_A_SERIES;
/// How much space for patterns there is, for each series of the block.
const PATTERN_BYTES_OF_A_SERIES: usize = 8;
/// About what a pattern takes beside its traces: an allocation with its counts, and its places in
/// the list and in the map.
const ENTRY_BYTES: usize = 80;

/// Nothing is known yet.
const NOT_KNOWN: u32 = 0;
/// The series must be read each time.
const UNDECIDED: u32 = u32::MAX;
/// There is no space for the traces of the series. Its last sample is known, and is a stale marker
/// or not.
const LAST_IS_STALE: u32 = u32::MAX - 1;
const LAST_IS_VALUE: u32 = u32::MAX - 2;
/// A bit beside the number of a pattern.
const PATTERN: u32 = 1 << 31;
/// A bit beside the gap: a stale marker is the last sample.
const ENDS_STALE: u32 = 1 << 30;

/// The traces of the series of one block, by the number of the series.
#[derive(Debug)]
pub(crate) struct Traces {
    /// One of the constants, the number of a pattern, or the gap of the only trace of the series:
    /// that begins and ends with the series.
    codes: Vec<AtomicU32>,
    patterns: RwLock<Patterns>,
}

/// The traces of series with long gaps, or with stale markers before the end. The series of one
/// target are scraped together, so many of them have the same traces, which are kept once.
#[derive(Debug)]
struct Patterns {
    list: Vec<Arc<[Trace]>>,
    numbers: HashMap<Arc<[Trace]>, u32>,
    bytes_left: usize,
}

impl Traces {
    /// Traces of `series` series, of which nothing is known.
    pub(crate) fn of(series: usize) -> Self {
        let patterns = Patterns {
            list: Vec::new(),
            numbers: HashMap::new(),
            bytes_left: series * PATTERN_BYTES_OF_A_SERIES,
        };

        Self {
            codes: (0..series).map(|_| AtomicU32::new(NOT_KNOWN)).collect(),
            patterns: RwLock::new(patterns),
        }
    }

    pub(crate) fn knows(&self, series: u32) -> bool {
        self.codes[series as usize].load(Relaxed) != NOT_KNOWN
    }

    /// Keeps the traces of a series with these rows.
    pub(crate) fn keep(&self, series: u32, rows: &SeriesRows, traces: &[Trace]) {
        let code = code(rows, traces).unwrap_or_else(|| self.pattern(rows, traces));
        self.codes[series as usize].store(code, Relaxed);
    }

    /// Returns the code of traces that have no code of their own.
    fn pattern(&self, rows: &SeriesRows, traces: &[Trace]) -> u32 {
        if traces.contains(&Trace::UNKNOWN) {
            return UNDECIDED;
        }

        let number = self.patterns.write().number(traces);
        number.map_or_else(|| last(rows, traces), |number| PATTERN | number)
    }

    /// Appends the traces of a series with these rows.
    pub(crate) fn append(&self, series: u32, rows: &SeriesRows, batch: &mut PresenceBatchBuilder) {
        match self.codes[series as usize].load(Relaxed) {
            NOT_KNOWN | UNDECIDED => batch.push(&[Trace::UNKNOWN]),
            LAST_IS_STALE => batch.push(&[Trace::last(rows.max_ts_ms, true)]),
            LAST_IS_VALUE => batch.push(&[Trace::last(rows.max_ts_ms, false)]),
            code if code & PATTERN != 0 => {
                let patterns = self.patterns.read();
                batch.push(&patterns.list[(code & !PATTERN) as usize]);
            }
            code => batch.push(&[decoded(code, rows)]),
        }
    }
}

impl Patterns {
    /// Returns the number of a pattern, which is new or was kept before. Returns `None` if there is
    /// no space for it.
    fn number(&mut self, traces: &[Trace]) -> Option<u32> {
        if let Some(number) = self.numbers.get(traces) {
            return Some(*number);
        }

        let bytes = ENTRY_BYTES + size_of_val(traces);
        let bytes_left = self.bytes_left.checked_sub(bytes)?;
        let number = u32::try_from(self.list.len()).ok()?;
        let pattern: Arc<[Trace]> = traces.into();

        self.bytes_left = bytes_left;
        self.list.push(Arc::clone(&pattern));
        self.numbers.insert(pattern, number);
        Some(number)
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

    fn kept(traces: &Traces, series: u32, rows: &SeriesRows, of: &[Trace]) -> Vec<Trace> {
        traces.keep(series, rows, of);
        assert!(traces.knows(series));

        let mut batch = PresenceBatchBuilder::default();
        traces.append(series, rows, &mut batch);
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
            assert_eq!(kept(&traces, 0, &rows, of), of);
        }

        // The space of two series holds no pattern.
        let small = Traces::of(2);
        assert_eq!(kept(&small, 0, &rows, &[one]), [one]);
        let first = Trace {
            last_ms: 40,
            ..stale
        };

        for (last, is_stale) in [(later, false), (stale, true)] {
            let of = kept(&small, 0, &rows, &[first, last]);
            assert_eq!(of, [Trace::last(90, is_stale)]);
        }

        assert_eq!(kept(&small, 0, &rows, &[first, first]), [Trace::UNKNOWN]);

        // The space of twenty series holds one pattern, which all of them may have.
        let shared = Traces::of(20);
        for series in 0..20 {
            let of = [first, later];
            assert_eq!(kept(&shared, series, &rows, &of), of);
        }

        let other = kept(&shared, 0, &rows, &[first, stale]);
        assert_eq!(other, [Trace::last(90, true)]);
    }
}
