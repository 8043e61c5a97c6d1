//! A generation: what came of one tenant between two freezes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use duramen_model::{Labels, Life, Order, TimeRange};
use duramen_source::SeriesSummary;
use duramen_wal::Position;
use parking_lot::{RwLock, RwLockReadGuard};
use roaring::RoaringBitmap;

use super::exemplars::{Exemplars, Offered};
use super::registry::Slot;
use super::rows::Rows;
use super::series::{Pushed, SeriesSamples};
use crate::rejection::Lost;

/// Takes samples in WAL order from one thread while queries read; after its freeze it changes no more.
#[derive(Debug)]
pub(crate) struct Generation {
    /// Where its samples stand among all values for one time.
    pub(crate) order: Order,
    samples: RwLock<Samples>,
    memory: AtomicUsize,
    /// The position of its first record; `u64::MAX` while it is empty.
    first_position: AtomicU64,
    /// When its first record came, by the monotonic clock in milliseconds; `i64::MAX` while it is empty.
    filled_since_ms: AtomicI64,
    /// The longest life span of a sample.
    ttl_max_ms: AtomicI64,
    /// Whether one of its records has metadata.
    has_metadata: AtomicBool,
}

/// What is held of each series, by its slot.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// Slot to series, one more than its index; 0 for none.
    index: Vec<u32>,
    series: Vec<(Slot, SeriesSamples)>,
    /// How many all series have.
    pub(crate) histograms: usize,
    pub(crate) exemplars: Exemplars,
}

/// A sample that was refused because another value holds its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Conflict {
    pub(crate) slot: Slot,
    pub(crate) ts_ms: i64,
    pub(crate) lost: Lost,
}

/// What became of the samples of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub stored: usize,
    /// Held already, the same: a success, and nothing new.
    pub repeated: usize,
}

impl Kept {
    /// All that the sender may forget.
    pub const fn total(self) -> usize {
        self.stored + self.repeated
    }

    /// Counts one; false when it was a conflict.
    const fn note(&mut self, pushed: Pushed) -> bool {
        match pushed {
            Pushed::Stored => self.stored += 1,
            Pushed::Repeated => self.repeated += 1,
            Pushed::Conflict => return false,
        }
        true
    }
}

/// What became of one write.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Applied {
    pub(crate) samples: Kept,
    pub(crate) histograms: Kept,
    pub(crate) exemplars: Kept,
    /// Older exemplars, or those of this write, that made room.
    pub(crate) exemplars_evicted: usize,
    /// Of floats and histograms.
    pub(crate) conflicts: Vec<Conflict>,
}

impl Generation {
    pub(crate) fn new(order: Order) -> Arc<Self> {
        Arc::new(Self {
            order,
            samples: RwLock::default(),
            memory: AtomicUsize::new(0),
            first_position: AtomicU64::new(u64::MAX),
            filled_since_ms: AtomicI64::new(i64::MAX),
            ttl_max_ms: AtomicI64::new(0),
            has_metadata: AtomicBool::new(false),
        })
    }

    /// Applies the record at `position`, but for its metadata, which is the tenant's. Called in WAL order.
    pub(crate) fn apply(&self, position: Position, now_ms: i64, rows: Rows, exemplars_max: usize) -> Applied {
        if rows.is_empty() {
            return Applied::default();
        }
        let Rows { slots, ts_ms, values, lives, histograms, exemplars, metadata: _ } = rows;
        let mut applied = Applied::default();
        let mut samples = self.samples.write();
        let (mut grown, mut ttl_max_ms) = (0, 0);
        for (at, ((&slot, &ts_ms), &value)) in slots.iter().zip(&ts_ms).zip(&values).enumerate() {
            let life = lives.get(at).copied().unwrap_or(Life::NONE);
            ttl_max_ms = ttl_max_ms.max(life.ttl_ms);
            let series = samples.series_mut(slot, &mut grown);
            let before = series.memory();
            if !applied.samples.note(series.push(ts_ms, value, life)) {
                applied.conflicts.push(Conflict { slot, ts_ms, lost: Lost::SAMPLE });
            }
            grown += series.memory() - before;
        }
        for row in histograms {
            let (slot, ts_ms) = (row.series_ref, row.ts_ms);
            ttl_max_ms = ttl_max_ms.max(row.life.ttl_ms);
            let series = samples.series_mut(slot, &mut grown);
            let before = series.memory();
            if !applied.histograms.note(series.push_histogram(ts_ms, row.life, row.bytes)) {
                applied.conflicts.push(Conflict { slot, ts_ms, lost: Lost::HISTOGRAM });
            }
            grown += series.memory() - before;
        }
        samples.histograms += applied.histograms.stored;
        let before = samples.exemplars.memory();
        for row in exemplars {
            match samples.exemplars.push(row.series_ref, row.ts_ms, row.value, row.labels) {
                Offered::Stored => applied.exemplars.stored += 1,
                Offered::Repeated => applied.exemplars.repeated += 1,
            }
            applied.exemplars_evicted += samples.exemplars.shrink(exemplars_max);
        }
        let after = samples.exemplars.memory();
        drop(samples);
        self.memory.fetch_add(grown, Ordering::Relaxed);
        self.memory.fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        self.memory.fetch_sub(before.saturating_sub(after), Ordering::Relaxed);
        self.ttl_max_ms.fetch_max(ttl_max_ms, Ordering::Relaxed);
        self.note_record(position, now_ms);
        applied
    }

    /// Notes that the record at `position` has metadata: its flush writes all that the tenant has.
    pub(crate) fn note_metadata(&self, position: Position, now_ms: i64) {
        self.has_metadata.store(true, Ordering::Release);
        self.note_record(position, now_ms);
    }

    /// Whether one of its records has metadata.
    pub(crate) fn has_metadata(&self) -> bool {
        self.has_metadata.load(Ordering::Acquire)
    }

    fn note_record(&self, position: Position, now_ms: i64) {
        self.first_position.fetch_min(position.0, Ordering::AcqRel);
        self.filled_since_ms.fetch_min(now_ms, Ordering::AcqRel);
    }

    /// The longest life span of a sample; 0 when none has any.
    pub(crate) fn ttl_max_ms(&self) -> i64 {
        self.ttl_max_ms.load(Ordering::Relaxed)
    }

    /// The position of the first record that is in it; `None` while it is empty.
    pub(crate) fn first_position(&self) -> Option<Position> {
        let first = self.first_position.load(Ordering::Acquire);
        (first != u64::MAX).then_some(Position(first))
    }

    /// When its first record came; `None` while it is empty.
    pub(crate) fn filled_since_ms(&self) -> Option<i64> {
        let since = self.filled_since_ms.load(Ordering::Acquire);
        (since != i64::MAX).then_some(since)
    }

    /// Its memory in bytes, roughly.
    pub(crate) fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    /// The samples, for as long as the guard lives nothing is added.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Samples> {
        self.samples.read()
    }
}

impl Samples {
    fn series_mut(&mut self, slot: Slot, grown: &mut usize) -> &mut SeriesSamples {
        let at = slot as usize;
        if at >= self.index.len() {
            self.index.resize(at + 1, 0);
        }
        if self.index[at] == 0 {
            let series = SeriesSamples::default();
            *grown += series.memory() + size_of::<Slot>();
            self.series.push((slot, series));
            self.index[at] = u32::try_from(self.series.len()).expect("a generation has fewer than 2^32 series");
        }
        &mut self.series[self.index[at] as usize - 1].1
    }

    pub(crate) fn series(&self, slot: Slot) -> Option<&SeriesSamples> {
        let at = *self.index.get(slot as usize)?;
        self.series.get((at as usize).checked_sub(1)?).map(|(_, series)| series)
    }

    /// The series that have samples or exemplars, all times.
    pub(crate) fn slots(&self) -> RoaringBitmap {
        let with_samples: RoaringBitmap = self.series.iter().map(|(slot, _)| *slot).collect();
        with_samples | self.exemplars.slots()
    }

    /// Whether the span of the samples of a series meets `range`.
    pub(crate) fn meets(&self, slot: Slot, range: TimeRange) -> bool {
        let span = self.series(slot).and_then(SeriesSamples::span);
        span.is_some_and(|(first, last)| first < range.end_ms() && last >= range.start_ms())
    }

    /// How much there is of a series, whose labels are given; `None` when there are no samples.
    pub(crate) fn summary(&self, slot: Slot, labels: Labels) -> Option<SeriesSummary> {
        let series = self.series(slot)?;
        let (first_ms, last_ms) = series.span()?;
        let (floats, histograms) = (series.floats().len() as u64, series.histogram_count() as u64);
        Some(SeriesSummary { labels, floats, histograms, first_ms, last_ms })
    }
}
