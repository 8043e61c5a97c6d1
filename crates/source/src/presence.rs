//! Whether a series is present at a time, told without its values.
//!
//! A part describes each series by [`Trace`]s: runs of samples, and stale markers. The traces of
//! all parts together answer [`presence`] for any time and look-back. If they cannot, the samples
//! must be read.

use std::fmt;
use std::pin::Pin;
use std::sync::OnceLock;

use arrow::array::{BinaryArray, BinaryBuilder};
use duramen_model::is_stale;
use futures::Stream;

use crate::batch::SeriesBatch;
use crate::error::Error;

/// A stream of batches in the order of [`crate::SeriesStream`].
pub type PresenceStream = Pin<Box<dyn Stream<Item = Result<PresenceBatch, Error>> + Send>>;

/// A run of samples of one series in one part, and the stale marker that ends it, if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trace {
    /// The time of the first sample.
    pub first_ms: i64,
    /// The time of the last sample; if a stale marker ends the run, the time of the marker.
    pub last_ms: i64,
    /// No time between neighbours is longer, including a marker at the end.
    pub gap_ms: i64,
    /// The time of the stale marker; [`Trace::NEVER`] if there is none.
    pub stale_ms: i64,
}

impl Trace {
    /// The time of a stale marker that does not exist. A marker at this time cannot be told from
    /// it, so such a series is [`Trace::UNKNOWN`].
    pub const NEVER: i64 = i64::MAX;

    /// The gap of [`Trace::last`]. No run has it.
    const LAST_GAP_MS: i64 = i64::MAX - 1;

    /// Says nothing about a series: it must be read.
    pub const UNKNOWN: Self = Self {
        first_ms: i64::MIN,
        last_ms: i64::MAX,
        gap_ms: i64::MAX,
        stale_ms: Self::NEVER,
    };

    /// Says only that the last sample of a series is at `ts_ms`, and whether it is a stale marker. At
    /// times before that, the series must be read.
    pub const fn last(ts_ms: i64, is_stale: bool) -> Self {
        Self {
            first_ms: i64::MIN,
            last_ms: ts_ms,
            gap_ms: Self::LAST_GAP_MS,
            stale_ms: if is_stale { ts_ms } else { Self::NEVER },
        }
    }

    /// A single sample at `ts_ms`.
    pub const fn sample(ts_ms: i64) -> Self {
        Self {
            first_ms: ts_ms,
            last_ms: ts_ms,
            gap_ms: 1,
            stale_ms: Self::NEVER,
        }
    }

    /// A stale marker alone.
    pub const fn stale(ts_ms: i64) -> Self {
        Self {
            first_ms: ts_ms,
            last_ms: ts_ms,
            gap_ms: 1,
            stale_ms: ts_ms,
        }
    }
}

/// The answer for one series at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Present,
    Absent,
    /// The samples must be read.
    Unknown,
}

/// Returns whether a series with these traces is present at `end_ms`: its newest sample at or
/// before `end_ms` is after `start_ms` and is no stale marker. The traces may come from several
/// parts, in any order.
///
/// The newest sample of a part inside of a run lies between two bounds, because the gaps of the run
/// are bounded. At other times it is known exactly. The answer is known if it is the same for all
/// times within the bounds.
#[inline]
pub fn presence(traces: &[Trace], start_ms: i64, end_ms: i64) -> Presence {
    // Bounds of the newest sample that is no stale marker, and the newest stale marker.
    let mut earliest = i64::MIN;
    let mut latest = i64::MIN;
    let mut stale = i64::MIN;

    for trace in traces {
        if trace.gap_ms == Trace::UNKNOWN.gap_ms {
            return Presence::Unknown;
        }

        // There may be stale markers before the last sample.
        if trace.gap_ms == Trace::LAST_GAP_MS && end_ms < trace.last_ms {
            return Presence::Unknown;
        }

        if trace.stale_ms != Trace::NEVER && trace.stale_ms <= end_ms {
            stale = stale.max(trace.stale_ms);
        } else if trace.first_ms <= end_ms {
            let (low, high) = if end_ms >= trace.last_ms {
                (trace.last_ms, trace.last_ms)
            } else {
                let within = end_ms.saturating_sub(trace.gap_ms).saturating_add(1);
                (trace.first_ms.max(within), end_ms)
            };

            earliest = earliest.max(low);
            latest = latest.max(high);
        }
    }

    if latest <= start_ms || latest < stale {
        Presence::Absent
    } else if earliest > start_ms && earliest > stale {
        Presence::Present
    } else {
        Presence::Unknown
    }
}

/// Makes the traces of series from their samples.
#[derive(Debug, Default)]
pub struct Tracer {
    traces: Vec<Trace>,
    /// The time of the sample before.
    before_ms: Option<i64>,
}

/// A longer time between neighbours ends a run: the default look-back.
const GAP_MAX_MS: i64 = 300_000;
/// A series with more traces is unknown.
const TRACES_MAX: usize = 64;

impl Tracer {
    /// Adds a sample after all samples before.
    #[inline]
    pub fn push(&mut self, ts_ms: i64, is_stale: bool) {
        let before = self.before_ms.replace(ts_ms);
        let gap_ms = before.map_or(i64::MAX, |before| ts_ms.saturating_sub(before));

        if gap_ms <= GAP_MAX_MS
            && let Some(last) = self
                .traces
                .last_mut()
                .filter(|last| last.stale_ms == Trace::NEVER)
        {
            last.last_ms = ts_ms;
            last.gap_ms = last.gap_ms.max(gap_ms);
            if is_stale {
                last.stale_ms = ts_ms;
            }
        } else if self.traces.len() < TRACES_MAX {
            self.traces.push(match is_stale {
                true => Trace::stale(ts_ms),
                false => Trace::sample(ts_ms),
            });
        } else {
            self.traces[0] = Trace::UNKNOWN;
        }

        if ts_ms == Trace::NEVER {
            self.traces[0] = Trace::UNKNOWN;
        }
    }

    /// Returns the traces of the series, and begins another.
    pub fn end_series(&mut self) -> &[Trace] {
        self.before_ms = None;
        if self.traces.first() == Some(&Trace::UNKNOWN) {
            self.traces.truncate(1);
        }

        &self.traces
    }

    /// Forgets the series before.
    pub fn clear(&mut self) {
        self.traces.clear();
        self.before_ms = None;
    }

    /// Returns the traces of series `row` of `batch`, whose samples must be all samples of a part.
    /// A series with native histograms or life spans is unknown.
    pub fn of(&mut self, batch: &SeriesBatch, row: usize) -> &[Trace] {
        self.clear();

        let has_lives = || {
            let ttls = batch.ttls_at(row);
            ttls.is_some_and(|ttls| ttls.iter().any(|ttl| *ttl != 0))
        };

        if batch.histograms_at(row).len() > 0 || has_lives() {
            self.traces.push(Trace::UNKNOWN);
            return &self.traces;
        }

        let (ts, values) = batch.samples_at(row);
        for (ts_ms, value) in ts.iter().zip(values) {
            self.push(*ts_ms, is_stale(*value));
        }

        self.end_series()
    }
}

/// Labels that are made when somebody asks for them. To make them costs more than to tell whether
/// a series is present, and a count needs none.
pub trait LaterLabels: fmt::Debug + Send + Sync {
    /// Calls `put` with the encoded labels of each series.
    fn all(&self, put: &mut dyn FnMut(&[u8]));

    /// Calls `put` with the encoded labels of each series that have one of these names, which are
    /// sorted.
    fn with_names(&self, names: &[String], put: &mut dyn FnMut(&[u8]));
}

/// Series with their traces.
#[derive(Debug)]
pub struct PresenceBatch {
    labels: BatchLabels,
    traces: Vec<Trace>,
    /// The traces of series `i` end at `ends[i]`.
    ends: Vec<usize>,
}

#[derive(Debug)]
enum BatchLabels {
    Known(BinaryArray),
    Later {
        labels: Box<dyn LaterLabels>,
        all: OnceLock<BinaryArray>,
    },
}

impl PresenceBatch {
    /// The number of series.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The encoded labels of all series.
    pub fn labels(&self) -> &BinaryArray {
        match &self.labels {
            BatchLabels::Known(labels) => labels,
            BatchLabels::Later { labels, all } => {
                all.get_or_init(|| self.column(|put| labels.all(put)))
            }
        }
    }

    /// The encoded labels of all series: at least those with one of these names, which are sorted.
    pub fn labels_with(&self, names: &[String]) -> BinaryArray {
        match &self.labels {
            BatchLabels::Known(labels) => labels.clone(),
            BatchLabels::Later { labels, .. } => self.column(|put| labels.with_names(names, put)),
        }
    }

    fn column(&self, labels: impl Fn(&mut dyn FnMut(&[u8]))) -> BinaryArray {
        let mut column = BinaryBuilder::with_capacity(self.len(), 0);
        labels(&mut |labels| column.append_value(labels));
        column.finish()
    }

    /// The encoded labels of series `row`.
    pub fn labels_at(&self, row: usize) -> &[u8] {
        self.labels().value(row)
    }

    /// The traces of series `row`.
    pub fn traces_at(&self, row: usize) -> &[Trace] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.traces[start..self.ends[row]]
    }
}

/// Builds a [`PresenceBatch`].
#[derive(Debug, Default)]
pub struct PresenceBatchBuilder {
    labels: BinaryBuilder,
    traces: Vec<Trace>,
    ends: Vec<usize>,
}

impl PresenceBatchBuilder {
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds traces to the series that ends next.
    pub fn push(&mut self, traces: &[Trace]) {
        self.traces.extend_from_slice(traces);
    }

    pub fn end_series(&mut self, labels: &[u8]) {
        self.labels.append_value(labels);
        self.end_unnamed();
    }

    /// Ends a series of a batch whose labels come later.
    pub fn end_unnamed(&mut self) {
        self.ends.push(self.traces.len());
    }

    /// Returns the batch. Each series ended with its labels.
    pub fn finish(mut self) -> PresenceBatch {
        PresenceBatch {
            labels: BatchLabels::Known(self.labels.finish()),
            traces: self.traces,
            ends: self.ends,
        }
    }

    /// Returns the batch. Each series ended without labels; `labels` has them.
    pub fn finish_with(self, labels: impl LaterLabels + 'static) -> PresenceBatch {
        PresenceBatch {
            labels: BatchLabels::Later {
                labels: Box::new(labels),
                all: OnceLock::new(),
            },
            traces: self.traces,
            ends: self.ends,
        }
    }
}

#[cfg(test)]
mod tests;
