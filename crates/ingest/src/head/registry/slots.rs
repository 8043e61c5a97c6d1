//! The numbers of series: who may still use them, and which can be given again.
//!
//! A number goes from a request to the log and to a generation, and from a view of generations back
//! to labels, mostly without a lock. It must mean the same series all the way. So everyone who
//! keeps numbers has a [`SlotPin`], and time is cut into *eras*. A pin belongs to the era in which
//! it was taken. A series remembers the last era in which somebody got its number, or in which a
//! generation with its samples was committed. A series is forgotten when
//!
//! 1. it is idle: no generation that is not committed has samples of it, and
//! 2. every pin is of a later era than the last one of the series: nobody is left who could know
//!    its number.
//!
//! An era ends with each flush, and one more must pass without a use, so a series that is scraped
//! all the time is never forgotten.
//!
//! A vacated number is given again only in a later segment of the log. Within a segment it means
//! one series, so a damaged definition loses samples but never gives them to another series.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use roaring::RoaringBitmap;

/// The number of a series in its tenant's registry.
pub(crate) type Slot = u32;

/// The number of an era of one registry. Eras take at least a second, so the numbers last for a
/// century.
pub(super) type Era = u32;

/// The last era of a vacant number.
const VACANT: Era = Era::MAX;

/// While this lives, the numbers that its holder knows mean the same series.
#[derive(Clone, Debug)]
#[must_use]
pub(crate) struct SlotPin {
    _of_era: Arc<()>,
}

/// The eras that may have a living pin.
#[derive(Debug, Default)]
pub(super) struct Eras {
    current: Era,
    pin: Arc<()>,
    past: VecDeque<(Era, Arc<()>)>,
}

impl Eras {
    pub(super) const fn current(&self) -> Era {
        self.current
    }

    pub(super) fn pin(&self) -> SlotPin {
        SlotPin {
            _of_era: Arc::clone(&self.pin),
        }
    }

    /// Ends the current era. Returns it, and the earliest era that may have a living pin.
    pub(super) fn end(&mut self) -> (Era, Era) {
        let era = self.current;
        let ended = std::mem::take(&mut self.pin);
        self.past.push_back((self.current, ended));
        self.current += 1;

        // Only a pin can be cloned to another pin of a past era, so an era without pins stays
        // without. This check also makes visible what the holders of the pins did.
        while let Some((_, pin)) = self.past.front_mut()
            && Arc::get_mut(pin).is_some()
        {
            self.past.pop_front();
        }

        let oldest = self.past.front().map_or(self.current, |(era, _)| *era);
        (era, oldest)
    }
}

/// The state of a number.
#[derive(Debug)]
pub(super) struct Tenure {
    last: AtomicU32,
    /// How many series had the number before.
    generation: u32,
}

impl Tenure {
    pub(super) const fn new(era: Era) -> Self {
        Self {
            last: AtomicU32::new(era),
            generation: 0,
        }
    }

    pub(super) const fn generation(&self) -> u32 {
        self.generation
    }

    /// Notes that somebody gets the number in `era`.
    #[inline]
    pub(super) fn used_in(&self, era: Era) {
        // The era is noted already in most cases. Then the cache line stays shared with other
        // cores.
        if self.last.load(Ordering::Relaxed) != era {
            self.last.fetch_max(era, Ordering::Relaxed);
        }
    }

    /// Returns whether nobody with a pin of `oldest` or later can know the number, and a whole era
    /// before `oldest` passed without a use.
    pub(super) fn ended_before(&self, oldest: Era) -> bool {
        self.last.load(Ordering::Relaxed).saturating_add(1) < oldest
    }

    pub(super) fn is_vacant(&self) -> bool {
        self.last.load(Ordering::Relaxed) == VACANT
    }

    pub(super) const fn vacate(&mut self) {
        self.last = AtomicU32::new(VACANT);
        self.generation = self.generation.wrapping_add(1);
    }

    pub(super) const fn begin(&mut self, era: Era) {
        self.last = AtomicU32::new(era);
    }
}

/// The open segment of the log, shared with the registries. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenSegment(Arc<AtomicU64>);

impl OpenSegment {
    /// Sets the segment. Call this before a record is appended to it.
    pub(crate) fn set(&self, segment: u64) {
        self.0.store(segment, Ordering::Release);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Vacant numbers, in the order in which they were vacated.
#[derive(Debug, Default)]
pub(super) struct Vacant {
    /// Each number with the segment that was open then, which may define it.
    slots: VecDeque<(u64, Slot)>,
}

impl Vacant {
    pub(super) fn put(&mut self, open: &OpenSegment, slot: Slot) {
        self.slots.push_back((open.get(), slot));
    }

    /// Takes a number that the open segment does not define.
    pub(super) fn take(&mut self, open: &OpenSegment) -> Option<Slot> {
        let (segment, slot) = *self.slots.front()?;
        if segment >= open.get() {
            return None;
        }

        self.slots.pop_front();
        Some(slot)
    }

    /// Returns where the numbers at the end begin that are all vacant, and that the open segment
    /// does not define. There are `len` numbers.
    pub(super) fn end(&self, open: &OpenSegment, len: usize) -> usize {
        let free = self.slots.len() - self.waiting(open);
        let free: RoaringBitmap = self
            .slots
            .iter()
            .take(free)
            .map(|(_, slot)| *slot)
            .collect();
        let mut end = len;

        while let Some(before) = end.checked_sub(1)
            && Slot::try_from(before).is_ok_and(|slot| free.contains(slot))
        {
            end = before;
        }

        end
    }

    /// Forgets the numbers from `end` on.
    pub(super) fn truncate(&mut self, end: usize) {
        self.slots.retain(|(_, slot)| (*slot as usize) < end);
        self.slots.shrink_to(2 * self.slots.len());
    }

    /// Returns how many numbers wait for the next segment.
    pub(super) fn waiting(&self, open: &OpenSegment) -> usize {
        let open = open.get();
        self.slots.len() - self.slots.partition_point(|(segment, _)| *segment < open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_era_is_over_when_the_last_of_its_pins_is_gone() {
        let mut eras = Eras::default();
        let first = eras.pin();
        let again = eras.pin();

        assert_eq!(eras.end().1, 0);

        let second = eras.pin();
        assert_eq!(eras.end().1, 0);

        drop(first);

        let of_the_first = again.clone();
        drop(again);

        assert_eq!(eras.end().1, 0);

        drop(second);
        assert_eq!(eras.end().1, 0);

        drop(of_the_first);
        assert_eq!(eras.end(), (4, 5));
        assert_eq!(eras.current(), 5);
    }

    #[test]
    fn a_number_is_given_again_in_a_later_segment_only() {
        let open = OpenSegment::default();
        let mut vacant = Vacant::default();
        open.set(7);
        vacant.put(&open, 1);

        assert_eq!((vacant.take(&open), vacant.waiting(&open)), (None, 1));

        open.set(8);
        vacant.put(&open, 2);

        assert_eq!(
            (
                vacant.waiting(&open),
                vacant.take(&open),
                vacant.take(&open)
            ),
            (1, Some(1), None)
        );
    }
}
