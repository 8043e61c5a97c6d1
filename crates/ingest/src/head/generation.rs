//! A generation: the samples of one tenant between two freezes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use duramen_model::{Labels, Life, Order, TimeRange};
use duramen_source::SeriesSummary;
use duramen_wal::{ExemplarRow, HistogramRow, Position};
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use roaring::RoaringBitmap;

use super::chunk::{Length, Pushed};
use super::column::Column;
use super::exemplars::{Exemplars, Offered};
use super::moments::{ActiveMoments, MomentNumber, Moments, SavedBySeries};
use super::registry::Slot;
use super::rows::Rows;
use super::series::{SeriesAt, SeriesSamples};
use crate::rejection::Lost;

/// The samples of one tenant between two freezes. One thread adds samples in WAL order while
/// queries read. After its freeze a generation does not change any more.
#[derive(Debug)]
pub(crate) struct Generation {
    /// The rank of its samples among all values for the same time.
    pub(crate) order: Order,
    samples: RwLock<Samples>,
    moments: Moments,
    memory: AtomicUsize,
    /// The position of its first record; `u64::MAX` while it is empty.
    first_position: AtomicU64,
    /// When its first record came, by the monotonic clock, in milliseconds; `i64::MAX` while it is
    /// empty.
    filled_since_ms: AtomicI64,
    /// The longest life span of a sample.
    ttl_max_ms: AtomicI64,
    /// Whether one of its records has metadata.
    has_metadata: AtomicBool,
}

/// The samples of each series, by its slot.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// From a slot to the index in `series` plus one; 0 if the slot has no samples.
    index: Vec<u32>,
    series: Column<SeriesSamples>,
    /// The slot of each of `series`.
    slots: Column<Slot>,
    /// The length of each series that moments see, by its index.
    lengths: SavedBySeries<Length>,
    /// The number of histograms of all series.
    pub(crate) histograms: usize,
    pub(crate) exemplars: Exemplars,
}

/// A sample that was refused because its time has another value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Conflict {
    pub(crate) slot: Slot,
    pub(crate) ts_ms: i64,
    pub(crate) lost: Lost,
}

/// The result of applying samples of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub stored: usize,
    /// Samples that were there already with the same value. They count as a success.
    pub repeated: usize,
}

impl Kept {
    /// Returns the number of samples that the sender need not send again.
    pub const fn total(self) -> usize {
        self.stored + self.repeated
    }

    /// Counts one sample. Returns false if it was a conflict.
    const fn note(&mut self, pushed: Pushed) -> bool {
        match pushed {
            Pushed::Stored => self.stored += 1,
            Pushed::Repeated => self.repeated += 1,
            Pushed::Conflict => return false,
        }

        true
    }
}

/// The result of applying one write.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Applied {
    pub(crate) samples: Kept,
    pub(crate) histograms: Kept,
    pub(crate) exemplars: Kept,
    /// The number of exemplars, older ones or of this write, that were dropped to make room.
    pub(crate) exemplars_evicted: usize,
    /// The conflicts of floats and histograms.
    pub(crate) conflicts: Vec<Conflict>,
}

impl Generation {
    pub(crate) fn new(order: Order) -> Arc<Self> {
        Arc::new(Self {
            order,
            samples: RwLock::default(),
            moments: Moments::default(),
            memory: AtomicUsize::new(0),
            first_position: AtomicU64::new(u64::MAX),
            filled_since_ms: AtomicI64::new(i64::MAX),
            ttl_max_ms: AtomicI64::new(0),
            has_metadata: AtomicBool::new(false),
        })
    }

    /// Applies the record at `position`, without its metadata, which belongs to the tenant's head.
    /// Called in WAL order, from one thread.
    ///
    /// A moment sees the record as a whole or not at all. A large record is applied in steps, so
    /// that no query waits for all of it.
    pub(crate) fn apply(
        &self,
        position: Position,
        now_ms: i64,
        rows: Rows,
        exemplars_max: usize,
    ) -> Applied {
        if rows.is_empty() {
            return Applied::default();
        }

        let is_large = rows.len() > ROWS_AT_ONCE;
        let samples = self.samples.write();

        // This needs the lock: a moment that began before it but is unknown here would see the
        // record while it is applied.
        let active = if is_large {
            self.moments.begin_record()
        } else {
            self.moments.pass()
        };

        let mut applying = Applying {
            samples,
            active,
            applied: Applied::default(),
            grown: 0,
            ttl_max_ms: 0,
            left: ROWS_AT_ONCE,
        };

        let forgotten = applying.forget_moments();
        let before = applying.samples.exemplars.memory();

        applying.rows(rows, exemplars_max);

        let after = applying.samples.exemplars.memory();
        let Applying {
            samples,
            applied,
            grown,
            ttl_max_ms,
            ..
        } = applying;

        self.memory.fetch_add(grown, Ordering::Relaxed);
        self.memory
            .fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        self.memory
            .fetch_sub(before.saturating_sub(after), Ordering::Relaxed);
        self.ttl_max_ms.fetch_max(ttl_max_ms, Ordering::Relaxed);

        if is_large {
            self.moments.end_record();
        }

        drop(samples);
        drop(forgotten);
        self.note_record(position, now_ms);

        applied
    }

    /// Begins a moment: a view after the last record that was applied as a whole.
    pub(crate) fn moment(self: &Arc<Self>) -> Moment {
        // Nothing is applied while this guard lives.
        let samples = self.samples.read();
        let number = self.moments.begin();
        let ttl_max_ms = self.ttl_max_ms();

        drop(samples);
        Moment {
            generation: Arc::clone(self),
            number,
            ttl_max_ms,
        }
    }

    /// Notes that the record at `position` has metadata. The flush of this generation then writes
    /// all metadata of the tenant.
    pub(crate) fn note_metadata(&self, position: Position, now_ms: i64) {
        self.has_metadata.store(true, Ordering::Release);
        self.note_record(position, now_ms);
    }

    pub(crate) fn has_metadata(&self) -> bool {
        self.has_metadata.load(Ordering::Acquire)
    }

    fn note_record(&self, position: Position, now_ms: i64) {
        self.first_position.fetch_min(position.0, Ordering::AcqRel);
        self.filled_since_ms.fetch_min(now_ms, Ordering::AcqRel);
    }

    /// Returns the longest life span of a sample in milliseconds; 0 if no sample has one.
    pub(crate) fn ttl_max_ms(&self) -> i64 {
        self.ttl_max_ms.load(Ordering::Relaxed)
    }

    /// Returns the position of its first record; `None` while it is empty.
    pub(crate) fn first_position(&self) -> Option<Position> {
        let first = self.first_position.load(Ordering::Acquire);
        (first != u64::MAX).then_some(Position(first))
    }

    /// Returns when its first record came, by the monotonic clock; `None` while it is empty.
    pub(crate) fn filled_since_ms(&self) -> Option<i64> {
        let since = self.filled_since_ms.load(Ordering::Acquire);
        (since != i64::MAX).then_some(since)
    }

    /// Returns the series that have samples or exemplars. It works in steps, and samples may come
    /// between them.
    pub(crate) fn slots(&self) -> RoaringBitmap {
        const AT_ONCE: usize = 16 << 10;

        let mut slots = self.read().exemplars.slots();
        let mut from = 0;

        loop {
            let samples = self.read();
            if from >= samples.slots.len() {
                return slots;
            }

            slots.extend(samples.slots.iter_from(from).take(AT_ONCE));
            from += AT_ONCE;
        }
    }

    /// Returns its memory in bytes, roughly.
    pub(crate) fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    /// Returns the samples. While the guard lives, nothing is added.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Samples> {
        self.samples.read()
    }
}

/// A view of a generation at one moment: the samples that were applied before it, and no later
/// ones. While it lives, the generation keeps what the view needs.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) generation: Arc<Generation>,
    pub(crate) number: MomentNumber,
    /// The longest life span of a sample.
    pub(crate) ttl_max_ms: i64,
}

impl Drop for Moment {
    fn drop(&mut self) {
        self.generation.moments.end(self.number);
    }
}

/// Rows that are applied in one step, which takes some milliseconds.
const ROWS_AT_ONCE: usize = 32 << 10;

/// A record that is being applied.
struct Applying<'a> {
    samples: RwLockWriteGuard<'a, Samples>,
    active: ActiveMoments,
    applied: Applied,
    /// The growth of the memory in bytes, without exemplars.
    grown: usize,
    ttl_max_ms: i64,
    /// The number of rows until readers get the lock.
    left: usize,
}

impl Applying<'_> {
    fn rows(&mut self, rows: Rows, exemplars_max: usize) {
        let Rows {
            slots,
            ts_ms,
            values,
            lives,
            histograms,
            exemplars,
            metadata: _,
        } = rows;

        for (at, ((&slot, &ts_ms), &value)) in slots.iter().zip(&ts_ms).zip(&values).enumerate() {
            let life = lives.get(at).copied().unwrap_or(Life::NONE);
            self.float(slot, ts_ms, value, life);
        }

        for row in histograms {
            self.histogram(row);
        }

        for row in exemplars {
            self.exemplar(row, exemplars_max);
        }
    }

    fn float(&mut self, slot: Slot, ts_ms: i64, value: f64, life: Life) {
        self.step();
        self.ttl_max_ms = self.ttl_max_ms.max(life.ttl_ms);

        let at = self.samples.index_of(slot, &mut self.grown);
        let Samples {
            series, lengths, ..
        } = &mut *self.samples;
        let series = &mut series[at];
        lengths.save(at, &self.active.moments, || series.length());

        let before = series.memory();
        if !self
            .applied
            .samples
            .note(series.push(ts_ms, value, life, self.active.since))
        {
            self.applied.conflicts.push(Conflict {
                slot,
                ts_ms,
                lost: Lost::SAMPLE,
            });
        }

        self.grown += series.memory() - before;
    }

    fn histogram(&mut self, row: HistogramRow) {
        self.step();

        let slot = row.series_ref;
        let ts_ms = row.ts_ms;
        self.ttl_max_ms = self.ttl_max_ms.max(row.life.ttl_ms);

        let at = self.samples.index_of(slot, &mut self.grown);
        let series = &mut self.samples.series[at];

        let before = series.memory();
        let stored = self.applied.histograms.stored;

        if !self.applied.histograms.note(series.push_histogram(
            ts_ms,
            row.life,
            row.bytes,
            self.active.since,
        )) {
            self.applied.conflicts.push(Conflict {
                slot,
                ts_ms,
                lost: Lost::HISTOGRAM,
            });
        }

        self.grown += series.memory() - before;
        self.samples.histograms += self.applied.histograms.stored - stored;
    }

    fn exemplar(&mut self, row: ExemplarRow, max: usize) {
        self.step();

        let exemplars = &mut self.samples.exemplars;

        match exemplars.push(
            row.series_ref,
            (row.ts_ms, row.value),
            row.labels,
            &self.active,
        ) {
            Offered::Stored => self.applied.exemplars.stored += 1,
            Offered::Repeated => self.applied.exemplars.repeated += 1,
        }

        self.applied.exemplars_evicted += exemplars.shrink(max, &self.active);
    }

    /// Counts a row. Lets readers have the lock after every [`ROWS_AT_ONCE`] rows.
    fn step(&mut self) {
        if self.left == 0 {
            RwLockWriteGuard::bump(&mut self.samples);
            self.left = ROWS_AT_ONCE;
        }

        self.left -= 1;
    }

    /// Takes out what was saved for moments, if none is active.
    fn forget_moments(&mut self) -> impl Sized + use<> {
        let none_is_active = self.active.moments.is_empty();
        none_is_active.then(|| {
            (
                std::mem::take(&mut self.samples.lengths),
                self.samples.exemplars.forget_moments(),
            )
        })
    }
}

impl Samples {
    /// Returns the index of a series. Adds the series if it is new.
    #[inline]
    fn index_of(&mut self, slot: Slot, grown: &mut usize) -> usize {
        match self.index.get(slot as usize) {
            Some(&at) if at != 0 => at as usize - 1,
            _ => self.add(slot, grown),
        }
    }

    fn add(&mut self, slot: Slot, grown: &mut usize) -> usize {
        let place = slot as usize;
        if place >= self.index.len() {
            self.index.resize(place + 1, 0);
        }

        let new = SeriesSamples::default();
        *grown += new.memory() + 2 * size_of::<Slot>();

        let at = self.series.len();
        self.series.push(new);
        self.slots.push(slot);
        self.index[place] = u32::try_from(at + 1).expect("a generation has fewer than 2^32 series");

        at
    }

    /// Returns a series as it was at `moment`; `None` if it never had samples here.
    pub(crate) fn series(&self, slot: Slot, moment: MomentNumber) -> Option<SeriesAt<'_>> {
        let at = (*self.index.get(slot as usize)? as usize).checked_sub(1)?;
        let series = self.series.get(at)?;
        Some(match self.lengths.seen(at, moment) {
            Some(length) => series.at(*length, moment),
            None => series.at(series.length(), moment),
        })
    }

    /// Returns whether no series has samples.
    pub(crate) fn has_no_series(&self) -> bool {
        self.slots.len() == 0
    }

    /// Returns the series that have samples or exemplars, of all times.
    pub(crate) fn slots(&self) -> RoaringBitmap {
        let with_samples: RoaringBitmap = self.slots.iter().collect();
        with_samples | self.exemplars.slots()
    }

    /// Returns whether the span of the samples that a series had at `moment` overlaps `range`.
    pub(crate) fn meets(&self, slot: Slot, moment: MomentNumber, range: TimeRange) -> bool {
        let span = self.series(slot, moment).and_then(SeriesAt::span);
        span.is_some_and(|(first, last)| first < range.end_ms() && last >= range.start_ms())
    }

    /// Returns the counts and the span of a series at `moment`, with the given labels; `None` if it
    /// had no samples.
    pub(crate) fn summary(
        &self,
        slot: Slot,
        moment: MomentNumber,
        labels: Labels,
    ) -> Option<SeriesSummary> {
        let series = self.series(slot, moment)?;
        let (first_ms, last_ms) = series.span()?;
        let floats = series.floats().len() as u64;
        let histograms = series.histogram_count() as u64;

        Some(SeriesSummary {
            labels,
            floats,
            histograms,
            first_ms,
            last_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use duramen_model::WriterId;
    use ulid::Ulid;

    use super::*;

    const SERIES: u32 = 1000;

    fn generation() -> Arc<Generation> {
        Generation::new(Order {
            opened: 0,
            writer: WriterId(Ulid(1)),
            flush: 1,
        })
    }

    /// A record that is applied in several steps. It has 100 samples of each series, in order and
    /// late.
    fn large(record: i64) -> Rows {
        let mut rows = Rows::default();
        for ts_ms in [60, 20, 80, 40, 100] {
            for repeated in 0..20 {
                (0..SERIES).for_each(|slot| {
                    rows.push(slot, record * 1000 + ts_ms + repeated, 1.0, Life::NONE)
                });
            }
        }

        assert!(rows.len() > 3 * ROWS_AT_ONCE);

        rows
    }

    fn floats(moment: &Moment) -> usize {
        let samples = moment.generation.read();
        (0..SERIES)
            .filter_map(|slot| samples.series(slot, moment.number))
            .map(|series| series.floats().len())
            .sum()
    }

    #[test]
    fn a_record_that_is_applied_in_steps_is_seen_whole_or_not_at_all() {
        let generation = generation();
        let ended = AtomicBool::new(false);

        std::thread::scope(|scope| {
            scope.spawn(|| {
                for record in 0..4 {
                    generation.apply(Position(0), 0, large(record), 0);
                }

                ended.store(true, Ordering::Relaxed);
            });

            let mut held = Vec::new();

            while !ended.load(Ordering::Relaxed) {
                let moment = generation.moment();
                let seen = floats(&moment);

                assert_eq!(seen % 100_000, 0, "a record is seen in part");

                held.push((moment, seen));
                for (moment, seen) in &held {
                    assert_eq!(floats(moment), *seen, "a moment does not change");
                }

                held.truncate(3);
            }
        });

        assert_eq!(floats(&generation.moment()), 400_000);
    }

    #[test]
    fn a_moment_that_begins_beside_a_record_does_not_see_it_come() {
        let generation = generation();
        let ended = AtomicBool::new(false);

        std::thread::scope(|scope| {
            scope.spawn(|| {
                for record in 0..30_000 {
                    let mut rows = Rows::default();
                    (0..2).for_each(|slot| rows.push(slot, record, 1.0, Life::NONE));
                    generation.apply(Position(0), 0, rows, 0);
                }

                ended.store(true, Ordering::Relaxed);
            });

            while !ended.load(Ordering::Relaxed) {
                let moment = generation.moment();
                let count = |slot| {
                    let samples = generation.read();
                    samples
                        .series(slot, moment.number)
                        .map_or(0, |series| series.floats().len())
                };

                let first = count(0);
                assert_eq!([count(1), count(0)], [first, first]);
            }
        });
    }

    #[test]
    fn nothing_is_kept_once_none_is_active() {
        let generation = generation();
        let record = |record: i64| {
            let mut rows = Rows::default();
            rows.push(0, record, 1.0, Life::NONE);
            generation.apply(Position(0), 0, rows, 0);
        };

        record(1);

        let moment = generation.moment();
        record(2);

        assert!(generation.read().lengths.seen(0, moment.number).is_some());

        let number = moment.number;
        drop(moment);
        record(3);

        assert!(generation.read().lengths.seen(0, number).is_none());
    }
}
