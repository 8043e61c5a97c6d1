//! A generation: the samples of one tenant between two freezes.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use duramen_model::{Order, TimeRange};
use duramen_wal::Position;
use parking_lot::{RwLock, RwLockReadGuard};
use roaring::RoaringBitmap;

use super::chunk::{Chunk, Pushed};
use super::registry::Slot;

/// Takes samples in WAL order from one thread while queries read; after its freeze it changes no more.
#[derive(Debug)]
pub(crate) struct Generation {
    /// Where its samples stand among all values for one time.
    pub(crate) order: Order,
    samples: RwLock<Samples>,
    memory: AtomicUsize,
    /// The position of its first record; `u64::MAX` while it is empty.
    first_position: AtomicU64,
    /// When its first sample came, by the monotonic clock in milliseconds; `i64::MAX` while it is empty.
    filled_since_ms: AtomicI64,
}

/// Chunks by the slot of their series.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// Slot to chunk, one more than its index; 0 for none.
    index: Vec<u32>,
    chunks: Vec<(Slot, Chunk)>,
}

/// A sample that was refused because another value holds its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Conflict {
    pub(crate) slot: Slot,
    pub(crate) ts_ms: i64,
}

/// What became of the samples of one write.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Applied {
    pub(crate) stored: usize,
    /// Held already with the same value: a success, and nothing new.
    pub(crate) repeated: usize,
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
        })
    }

    /// Applies the samples of the record at `position`. Called in WAL order.
    pub(crate) fn apply(
        &self,
        position: Position,
        now_ms: i64,
        slots: &[Slot],
        ts_ms: &[i64],
        values: &[f64],
    ) -> Applied {
        if slots.is_empty() {
            return Applied::default();
        }
        let mut applied = Applied::default();
        let mut samples = self.samples.write();
        let mut grown = 0;
        for ((&slot, &ts_ms), &value) in slots.iter().zip(ts_ms).zip(values) {
            let chunk = samples.chunk_mut(slot, &mut grown);
            let before = chunk.memory();
            match chunk.push(ts_ms, value) {
                Pushed::Stored => applied.stored += 1,
                Pushed::Repeated => applied.repeated += 1,
                Pushed::Conflict => applied.conflicts.push(Conflict { slot, ts_ms }),
            }
            grown += chunk.memory() - before;
        }
        drop(samples);
        self.memory.fetch_add(grown, Ordering::Relaxed);
        self.first_position.fetch_min(position.0, Ordering::AcqRel);
        self.filled_since_ms.fetch_min(now_ms, Ordering::AcqRel);
        applied
    }

    /// The position of the first record that is in it; `None` while it is empty.
    pub(crate) fn first_position(&self) -> Option<Position> {
        let first = self.first_position.load(Ordering::Acquire);
        (first != u64::MAX).then_some(Position(first))
    }

    /// When its first sample came; `None` while it is empty.
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
    fn chunk_mut(&mut self, slot: Slot, grown: &mut usize) -> &mut Chunk {
        let at = slot as usize;
        if at >= self.index.len() {
            self.index.resize(at + 1, 0);
        }
        if self.index[at] == 0 {
            let chunk = Chunk::default();
            *grown += chunk.memory() + size_of::<Slot>();
            self.chunks.push((slot, chunk));
            self.index[at] = u32::try_from(self.chunks.len()).expect("a generation has fewer than 2^32 series");
        }
        &mut self.chunks[self.index[at] as usize - 1].1
    }

    pub(crate) fn chunk(&self, slot: Slot) -> Option<&Chunk> {
        let at = *self.index.get(slot as usize)?;
        self.chunks.get((at as usize).checked_sub(1)?).map(|(_, chunk)| chunk)
    }

    /// The series that have samples, all times.
    pub(crate) fn slots(&self) -> RoaringBitmap {
        self.chunks.iter().map(|(slot, _)| *slot).collect()
    }

    /// Of the `selected` series those whose span of samples meets `range`.
    pub(crate) fn within(&self, selected: &RoaringBitmap, range: TimeRange) -> RoaringBitmap {
        let meets = |slot: &Slot| {
            let span = self.chunk(*slot).and_then(Chunk::span);
            span.is_some_and(|(first, last)| first < range.end_ms() && last >= range.start_ms())
        };
        selected.iter().filter(meets).collect()
    }
}
