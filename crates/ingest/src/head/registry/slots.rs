//! Who may still use the numbers of series, and which may be given again.
//!
//! A number passes from a request to the log and to a generation, and from a view of generations
//! back to labels, mostly without a lock. It must mean the same series all the way. So whoever
//! takes numbers along holds a [`SlotPin`], and time is cut into *eras*: a pin is of the era in
//! which it was taken, and a series remembers the last era in which somebody was given its number,
//! or a generation with its samples was committed. A series is forgotten when
//!
//! 1. it is idle: no generation that is not committed has samples of it, and
//! 2. every pin is of a later era than the last one of the series: nobody who could know its number
//!    is left.
//!
//! An era ends with each flush, and one more has to pass without a use: what is scraped all the
//! time never leaves.
//!
//! A number that was vacated is given again in a later segment of the log only. In a segment it
//! means one series, so that a damaged definition costs samples, and never gives them to another
//! series.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The number of a series in its tenant's registry.
pub(crate) type Slot = u32;

/// The number of an era of one registry. They end every second at most: there are enough for a
/// century.
pub(super) type Era = u32;

/// The last era of a number that means no series.
const VACANT: Era = Era::MAX;

/// The numbers that its holder knows mean the same series for as long as it lives.
#[derive(Clone, Debug)]
#[must_use]
pub(crate) struct SlotPin {
    _of_era: Arc<()>,
}

/// The eras of which somebody may hold a pin.
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

    /// Ends the era. Returns it, and the earliest one of which a pin may live.
    pub(super) fn end(&mut self) -> (Era, Era) {
        let era = self.current;
        let ended = std::mem::take(&mut self.pin);
        self.past.push_back((self.current, ended));
        self.current += 1;

        // Only a pin makes another one of a past era, so one that nobody holds stays so. To see
        // that also shows what its holders did.
        while let Some((_, pin)) = self.past.front_mut()
            && Arc::get_mut(pin).is_some()
        {
            self.past.pop_front();
        }

        let oldest = self.past.front().map_or(self.current, |(era, _)| *era);
        (era, oldest)
    }
}

/// What is known of a number.
#[derive(Debug)]
pub(super) struct Tenure {
    last: AtomicU32,
    /// How many series have had the number before.
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
        // Mostly it says so already, and then no other core loses the line.
        if self.last.load(Ordering::Relaxed) != era {
            self.last.fetch_max(era, Ordering::Relaxed);
        }
    }

    /// Whether nobody can know it who has a pin of `oldest` or later, and a whole era has passed
    /// before that without a use.
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

/// The segment of the log that takes records now, as far as everyone knows. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenSegment(Arc<AtomicU64>);

impl OpenSegment {
    /// To be called before a record is appended to the segment.
    pub(crate) fn set(&self, segment: u64) {
        self.0.store(segment, Ordering::Release);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Numbers that mean no series, in the order in which they were vacated.
#[derive(Debug, Default)]
pub(super) struct Vacant {
    /// Each with the segment that was open then, which may define it.
    slots: VecDeque<(u64, Slot)>,
}

impl Vacant {
    pub(super) fn put(&mut self, open: &OpenSegment, slot: Slot) {
        self.slots.push_back((open.get(), slot));
    }

    /// A number that no segment that takes records defines.
    pub(super) fn take(&mut self, open: &OpenSegment) -> Option<Slot> {
        let (segment, slot) = *self.slots.front()?;
        if segment >= open.get() {
            return None;
        }

        self.slots.pop_front();
        Some(slot)
    }

    /// How many wait for the next segment.
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
