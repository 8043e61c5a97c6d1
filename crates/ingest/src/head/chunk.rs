//! The floats of one series in one generation, compressed.
//!
//! Samples that come in order are appended to a byte string. Samples that come late are in a tree
//! beside it. Each time exists once.

#![deny(clippy::indexing_slicing)]

use std::collections::BTreeMap;

use duramen_model::Life;

use super::histograms::Histograms;
use super::moments::MomentNumber;
#[cfg(test)]
use super::moments::NOW;
use codec::{FloatState, InOrder};

mod codec;
#[cfg(test)]
mod tests;

/// The result of pushing a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Stored,
    /// The chunk has the same value for this time.
    Repeated,
    /// The chunk has another value for this time, which stays.
    Conflict,
}

/// The floats of one series in one generation.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    /// `None` for most chunks.
    rare: Option<Box<Rare>>,
    /// The state of the codec after the last sample of the byte string, field by field: as a struct
    /// it would take four bytes more.
    last_ts: i64,
    last_bits: u64,
    last_step: i32,
    count: u32,
}

/// The fields that few chunks need.
#[derive(Debug, Default)]
struct Rare {
    /// Whether any sample has a life.
    has_lives: bool,
    /// The life of the last sample of the byte string.
    life: Life,
    late: BTreeMap<i64, Late>,
    /// The lives of late samples that have one.
    late_lives: BTreeMap<i64, Life>,
    /// Created at the first late sample.
    marks: Option<Vec<Mark>>,
    /// The histograms of the series. They are here so that a series of plain floats takes no bytes
    /// for them.
    histograms: Option<Histograms>,
}

/// A sample that came after a later one.
#[derive(Clone, Copy, Debug)]
struct Late {
    bits: u64,
    /// The number of moments that had begun before it came.
    since: MomentNumber,
}

/// The length of a byte string, with the time of its last sample.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Length {
    count: u32,
    last_ts: i64,
}

/// A chunk as it was at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChunkAt<'a> {
    chunk: &'a Chunk,
    length: Length,
    moment: MomentNumber,
}

/// A position in the byte string from which it can be read.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// The state after the previous sample.
    state: FloatState,
    life: Life,
    offset: usize,
    /// How many samples are before it.
    count: u32,
}

/// Samples between two marks. A late sample costs the decoding of at most so many.
const MARK_EVERY: u32 = 64;

impl Chunk {
    /// Pushes a sample, which moments up to `since` do not see. Times may come in any order. A
    /// sample with the same time and value but another life is a repetition: the first life stays.
    pub(crate) fn push(
        &mut self,
        ts_ms: i64,
        value: f64,
        life: Life,
        since: MomentNumber,
    ) -> Pushed {
        let bits = value.to_bits();
        if self.count == 0 || ts_ms > self.last_ts {
            self.append(ts_ms, bits, life);
            return Pushed::Stored;
        }

        match self.find(ts_ms) {
            Some(stored) if stored == bits => Pushed::Repeated,
            Some(_) => Pushed::Conflict,
            None => {
                let rare = self.rare.get_or_insert_default();
                rare.late.insert(ts_ms, Late { bits, since });

                if life != Life::NONE {
                    rare.has_lives = true;
                    rare.late_lives.insert(ts_ms, life);
                }

                Pushed::Stored
            }
        }
    }

    /// Returns the bits of the value at a time. The first call for a time before the last one reads
    /// the whole chunk; later calls do not.
    pub(crate) fn find(&mut self, ts_ms: i64) -> Option<u64> {
        if self.count == 0 || ts_ms > self.last_ts {
            return None;
        }

        if ts_ms == self.last_ts {
            return Some(self.last_bits);
        }

        if self.marks().is_none() {
            self.mark();
        }

        self.find_before_last(ts_ms)
    }

    /// Returns the bits of the value at a time before the last one.
    fn find_before_last(&self, ts_ms: i64) -> Option<u64> {
        if let Some(late) = self.rare.as_ref().and_then(|rare| rare.late.get(&ts_ms)) {
            return Some(late.bits);
        }

        if self.first_ts().is_none_or(|first| ts_ms < first) {
            return None;
        }

        self.in_order_near(ts_ms)
            .find(|sample| sample.0 >= ts_ms)
            .filter(|sample| sample.0 == ts_ms)
            .map(|sample| sample.1)
    }

    fn marks(&self) -> Option<&[Mark]> {
        self.rare.as_ref()?.marks.as_deref()
    }

    /// Returns the life of the last sample of the byte string.
    fn last_life(&self) -> Life {
        self.rare.as_ref().map_or(Life::NONE, |rare| rare.life)
    }

    /// Returns the byte string from the last mark before `ts_ms`. At most [`MARK_EVERY`] samples
    /// are between the two.
    fn in_order_near(&self, ts_ms: i64) -> InOrder<'_> {
        let marks = self.marks().unwrap_or_default();
        let before = marks.partition_point(|mark| mark.state.ts < ts_ms);
        let Some(mark) = before.checked_sub(1).and_then(|at| marks.get(at)) else {
            return self.in_order();
        };
        let bytes = self.bytes.get(mark.offset..).unwrap_or_default();

        InOrder {
            bytes,
            left: self.count - mark.count,
            state: mark.state,
            life: mark.life,
        }
    }

    /// Marks the byte string from its start. This happens at the first late sample; most chunks
    /// never have one.
    fn mark(&mut self) {
        let mut marks = Vec::new();
        let mut samples = self.in_order();

        while samples.next().is_some() {
            let count = self.count - samples.left;

            if count.is_multiple_of(MARK_EVERY) {
                let offset = self.bytes.len() - samples.bytes.len();
                marks.push(Mark {
                    state: samples.state,
                    life: samples.life,
                    offset,
                    count,
                });
            }
        }

        self.rare.get_or_insert_default().marks = Some(marks);
    }

    fn append(&mut self, ts_ms: i64, bits: u64, life: Life) {
        let before = self.last_life();
        let last = FloatState {
            ts: self.last_ts,
            bits: self.last_bits,
            step: self.last_step,
        };

        let last = codec::append(&mut self.bytes, (last, before), (ts_ms, bits, life));
        self.last_ts = last.ts;
        self.last_bits = last.bits;
        self.last_step = last.step;

        if life != before {
            self.note_life(life);
        }

        self.count += 1;
        if let Some(marks) = self.rare.as_mut().and_then(|rare| rare.marks.as_mut())
            && self.count.is_multiple_of(MARK_EVERY)
        {
            marks.push(Mark {
                state: last,
                life,
                offset: self.bytes.len(),
                count: self.count,
            });
        }
    }

    #[cold]
    fn note_life(&mut self, life: Life) {
        let rare = self.rare.get_or_insert_default();
        rare.has_lives = true;
        rare.life = life;
    }

    /// Returns the length of the byte string. It is saved for moments before the string grows.
    pub(crate) const fn length(&self) -> Length {
        Length {
            count: self.count,
            last_ts: self.last_ts,
        }
    }

    /// Returns the chunk with all its samples.
    #[cfg(test)]
    pub(crate) const fn now(&self) -> ChunkAt<'_> {
        self.at(self.length(), NOW)
    }

    /// Returns the chunk as it was at `moment`, when its byte string had this length.
    pub(crate) const fn at(&self, length: Length, moment: MomentNumber) -> ChunkAt<'_> {
        ChunkAt {
            chunk: self,
            length,
            moment,
        }
    }

    /// Returns whether any sample has a life.
    pub(crate) fn has_lives(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.has_lives)
    }

    /// Returns the memory of the chunk in bytes, roughly.
    pub(crate) fn memory(&self) -> usize {
        /// A tree of pairs, with its nodes two thirds full.
        const LATE_SAMPLE: usize = 40;
        const LATE_LIFE: usize = 40;

        let rare = self.rare.as_ref().map_or(0, |rare| {
            let marks = rare.marks.as_ref().map_or(0, Vec::capacity);
            size_of::<Rare>()
                + rare.late.len() * LATE_SAMPLE
                + rare.late_lives.len() * LATE_LIFE
                + marks * size_of::<Mark>()
                + rare.histograms.as_ref().map_or(0, Histograms::memory)
        });

        size_of::<Self>() + self.bytes.capacity() + rare
    }

    /// Returns the histograms of the series.
    pub(super) fn histograms(&self) -> Option<&Histograms> {
        self.rare.as_ref()?.histograms.as_ref()
    }

    /// Returns the histograms of the series, which may get some.
    pub(super) fn histograms_mut(&mut self) -> &mut Histograms {
        self.rare
            .get_or_insert_default()
            .histograms
            .get_or_insert_default()
    }

    /// Returns the time of the first sample of the byte string.
    fn first_ts(&self) -> Option<i64> {
        self.in_order().next().map(|first| first.0)
    }

    fn in_order(&self) -> InOrder<'_> {
        InOrder {
            bytes: &self.bytes,
            left: self.count,
            state: FloatState::default(),
            life: Life::NONE,
        }
    }
}

impl<'a> ChunkAt<'a> {
    /// Visits the samples in time order.
    pub(crate) fn for_each(self, mut visit: impl FnMut(i64, f64, Life)) {
        let Some(rare) = self
            .chunk
            .rare
            .as_ref()
            .filter(|rare| !rare.late.is_empty())
        else {
            self.in_order()
                .for_each(|(ts, bits, life)| visit(ts, f64::from_bits(bits), life));
            return;
        };

        let life_of = |ts: &i64| rare.late_lives.get(ts).copied().unwrap_or_default();
        let mut late = self
            .late()
            .map(|(ts, late)| (ts, late.bits, life_of(&ts)))
            .peekable();

        for (ts, bits, life) in self.in_order() {
            while let Some((ts, bits, life)) = late.next_if(|earlier| earlier.0 < ts) {
                visit(ts, f64::from_bits(bits), life);
            }

            visit(ts, f64::from_bits(bits), life);
        }

        late.for_each(|(ts, bits, life)| visit(ts, f64::from_bits(bits), life));
    }

    /// Returns whether any sample has a life, including samples that came after the moment.
    pub(crate) fn has_lives(self) -> bool {
        self.chunk.has_lives()
    }

    /// Returns the newest sample. Returns `None` if there is none, or if others came after the
    /// moment: then its value is not at hand.
    pub(crate) fn newest(self) -> Option<(i64, f64)> {
        let Chunk {
            count,
            last_ts,
            last_bits,
            ..
        } = self.chunk;

        let is_last = *count > 0 && self.length.count == *count;
        is_last.then(|| (*last_ts, f64::from_bits(*last_bits)))
    }

    /// Returns the number of samples.
    pub(crate) fn len(self) -> usize {
        self.length.count as usize + self.late().count()
    }

    /// Returns the first and the last time, or `None` if there are no samples.
    pub(crate) fn span(self) -> Option<(i64, i64)> {
        let (first, ..) = self.in_order().next()?;
        let earliest = self.late().next().map_or(first, |(ts, _)| ts.min(first));
        Some((earliest, self.length.last_ts))
    }

    fn in_order(self) -> InOrder<'a> {
        InOrder {
            left: self.length.count,
            ..self.chunk.in_order()
        }
    }

    /// Returns the late samples that came before the moment, by ascending time.
    fn late(self) -> impl Iterator<Item = (i64, Late)> + use<'a> {
        let all = self.chunk.rare.iter().flat_map(|rare| rare.late.iter());
        all.filter(move |(_, late)| late.since < self.moment)
            .map(|(ts, late)| (*ts, *late))
    }
}
