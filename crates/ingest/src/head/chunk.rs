//! The samples of one series in one generation, compressed.
//!
//! Samples that come in order are appended to a byte string; those that do not are held in a tree beside it. A time is held once.
//!
//! A sample of the byte string is a control byte and what it announces:
//! - bits 0-1, the time: how many bytes (0, 1, 2, or 3 for "8") the change of the step between samples takes, zigzag, little endian;
//! - bits 2-4, the value: 0 the same bits as before; 1, 2, 3 the difference of two whole numbers in 1, 2 or 4 bytes, zigzag;
//!   4 and a byte `(skip << 4 | length)`: `length` bytes of the XOR with the bits before, shifted right by `skip` bytes.

#![deny(clippy::indexing_slicing)]

use std::collections::BTreeMap;

/// What became of an offered sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    Stored,
    /// The same value was held for this time.
    Repeated,
    /// Another value is held for this time, and stays.
    Conflict,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    count: u32,
    first_ts: i64,
    last: State,
    #[expect(clippy::box_collection, reason = "most chunks have none, and a pointer is a third of a tree's head")]
    late: Option<Box<BTreeMap<i64, u64>>>,
    #[expect(clippy::box_collection, reason = "as above")]
    marks: Option<Box<Vec<Mark>>>,
}

/// A place in the byte string where reading can begin.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Behind the sample before it.
    state: State,
    offset: usize,
    /// How many samples stand before it.
    count: u32,
}

/// Samples between two marks: a late sample costs the decoding of this many at most.
const MARK_EVERY: u32 = 64;

/// What the codec knows between two samples.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    ts: i64,
    step: i64,
    bits: u64,
}

/// Whole numbers up to here differ by amounts that are exact in an f64.
const WHOLE_MAX: f64 = (1u64 << 53) as f64;

impl Chunk {
    /// Offers a sample. Times may come in any order.
    pub(crate) fn push(&mut self, ts_ms: i64, value: f64) -> Pushed {
        let bits = value.to_bits();
        if self.count == 0 || ts_ms > self.last.ts {
            self.append(ts_ms, bits);
            return Pushed::Stored;
        }
        if self.marks.is_none() && ts_ms != self.last.ts {
            self.mark();
        }
        match self.held(ts_ms) {
            Some(held) if held == bits => Pushed::Repeated,
            Some(_) => Pushed::Conflict,
            None => {
                self.late.get_or_insert_default().insert(ts_ms, bits);
                Pushed::Stored
            }
        }
    }

    /// The bits held for a time.
    fn held(&self, ts_ms: i64) -> Option<u64> {
        if ts_ms == self.last.ts {
            return Some(self.last.bits);
        }
        if let Some(bits) = self.late.as_ref().and_then(|late| late.get(&ts_ms)) {
            return Some(*bits);
        }
        if ts_ms < self.first_ts {
            return None;
        }
        self.in_order_near(ts_ms).find(|(ts, _)| *ts >= ts_ms).filter(|(ts, _)| *ts == ts_ms).map(|(_, bits)| bits)
    }

    /// The byte string from the last mark before `ts_ms`: at most [`MARK_EVERY`] samples stand between.
    fn in_order_near(&self, ts_ms: i64) -> InOrder<'_> {
        let marks = self.marks.as_deref().map_or(&[][..], |marks| marks.as_slice());
        let before = marks.partition_point(|mark| mark.state.ts < ts_ms);
        let Some(mark) = before.checked_sub(1).and_then(|at| marks.get(at)) else { return self.in_order() };
        let bytes = self.bytes.get(mark.offset..).unwrap_or_default();
        InOrder { bytes, left: self.count - mark.count, state: mark.state }
    }

    /// Marks the byte string from its beginning. Done at the first late sample: most chunks never have one.
    fn mark(&mut self) {
        let mut marks = Vec::new();
        let mut samples = self.in_order();
        while samples.next().is_some() {
            let count = self.count - samples.left;
            if count.is_multiple_of(MARK_EVERY) {
                marks.push(Mark { state: samples.state, offset: self.bytes.len() - samples.bytes.len(), count });
            }
        }
        self.marks = Some(Box::new(marks));
    }

    fn append(&mut self, ts_ms: i64, bits: u64) {
        if self.count == 0 {
            self.first_ts = ts_ms;
        }
        let step = ts_ms.wrapping_sub(self.last.ts);
        let turn = zigzag(step.wrapping_sub(self.last.step));
        let control = self.bytes.len();
        self.bytes.push(0);
        let time_class = match turn {
            0 => 0,
            1..=0xff => 1,
            0x100..=0xffff => 2,
            _ => 3,
        };
        let width = TIME_WIDTHS.get(usize::from(time_class)).copied().unwrap_or(8);
        self.bytes.extend(turn.to_le_bytes().iter().take(width));
        let value_class = self.append_value(bits);
        if let Some(byte) = self.bytes.get_mut(control) {
            *byte = time_class | value_class << 2;
        }
        self.last = State { ts: ts_ms, step, bits };
        self.count += 1;
        if let Some(marks) = &mut self.marks
            && self.count.is_multiple_of(MARK_EVERY)
        {
            marks.push(Mark { state: self.last, offset: self.bytes.len(), count: self.count });
        }
    }

    /// Appends the value's bytes and returns its class.
    fn append_value(&mut self, bits: u64) -> u8 {
        if bits == self.last.bits {
            return 0;
        }
        if let Some(difference) = whole_difference(self.last.bits, bits) {
            let zigzag = zigzag(difference);
            let (class, width) = match zigzag {
                0..=0xff => (1, 1),
                0x100..=0xffff => (2, 2),
                0x1_0000..=0xffff_ffff => (3, 4),
                _ => (4, 0),
            };
            if class < 4 {
                self.bytes.extend(zigzag.to_le_bytes().iter().take(width));
                return class;
            }
        }
        let xor = bits ^ self.last.bits;
        let skip = xor.trailing_zeros() / 8;
        let shifted = xor >> (skip * 8);
        let length = 8 - shifted.leading_zeros() / 8;
        self.bytes.push((skip << 4 | length).to_le_bytes()[0]);
        self.bytes.extend(shifted.to_le_bytes().iter().take(length as usize));
        4
    }

    /// Visits the samples in time order.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(i64, f64)) {
        let Some(late) = &self.late else {
            self.in_order().for_each(|(ts, bits)| visit(ts, f64::from_bits(bits)));
            return;
        };
        let mut late = late.iter().map(|(ts, bits)| (*ts, *bits)).peekable();
        for (ts, bits) in self.in_order() {
            while let Some((ts, bits)) = late.next_if(|(earlier, _)| *earlier < ts) {
                visit(ts, f64::from_bits(bits));
            }
            visit(ts, f64::from_bits(bits));
        }
        late.for_each(|(ts, bits)| visit(ts, f64::from_bits(bits)));
    }

    /// The first and the last time held. `None` when empty.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        (self.count > 0).then(|| {
            let earliest = self.late.as_ref().and_then(|late| late.keys().next().copied());
            (earliest.map_or(self.first_ts, |ts| ts.min(self.first_ts)), self.last.ts)
        })
    }

    /// The memory that it takes, in bytes, roughly.
    pub(crate) fn memory(&self) -> usize {
        /// A tree of pairs, with its nodes two thirds full.
        const LATE_SAMPLE: usize = 28;
        let marks = self.marks.as_ref().map_or(0, |marks| marks.capacity() * size_of::<Mark>());
        let late = self.late.as_ref().map_or(0, |late| late.len() * LATE_SAMPLE);
        size_of::<Self>() + self.bytes.capacity() + late + marks
    }

    fn in_order(&self) -> InOrder<'_> {
        InOrder { bytes: &self.bytes, left: self.count, state: State::default() }
    }
}

const TIME_WIDTHS: [usize; 4] = [0, 1, 2, 8];

/// Reads the byte string.
struct InOrder<'a> {
    bytes: &'a [u8],
    left: u32,
    state: State,
}

impl InOrder<'_> {
    /// The next `width` (at most 8) bytes as a number.
    #[inline]
    fn take(&mut self, width: usize) -> u64 {
        let (head, rest) = self.bytes.split_at_checked(width).expect("a chunk holds what its control bytes announce");
        self.bytes = rest;
        head.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl Iterator for InOrder<'_> {
    type Item = (i64, u64);

    #[inline]
    fn next(&mut self) -> Option<(i64, u64)> {
        self.left = self.left.checked_sub(1)?;
        let control = self.take(1);
        let width = TIME_WIDTHS.get((control & 3) as usize).copied().unwrap_or(8);
        let state = self.state;
        let step = state.step.wrapping_add(unzigzag(self.take(width)));
        let bits = match control >> 2 {
            0 => state.bits,
            class @ 1..=3 => {
                let difference = unzigzag(self.take(1 << (class - 1)));
                (f64::from_bits(state.bits) + difference as f64).to_bits()
            }
            _ => {
                let shape = self.take(1);
                let shifted = self.take((shape & 0xf) as usize);
                state.bits ^ shifted << ((shape >> 4) * 8)
            }
        };
        self.state = State { ts: state.ts.wrapping_add(step), step, bits };
        Some((self.state.ts, bits))
    }
}

/// `b - a` when both are whole numbers whose difference brings back `b`, bit for bit.
#[inline]
fn whole_difference(a: u64, b: u64) -> Option<i64> {
    let (from, to) = (f64::from_bits(a), f64::from_bits(b));
    let whole = |v: f64| v.abs() <= WHOLE_MAX && v == v.trunc();
    if !whole(from) || !whole(to) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "both are whole and at most 2^53, so is at most 2^54 the difference"
    )]
    let difference = (to - from) as i64;
    ((from + difference as f64).to_bits() == b).then_some(difference)
}

const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn samples(chunk: &Chunk) -> Vec<(i64, u64)> {
        let mut out = Vec::new();
        chunk.for_each(|ts, value| out.push((ts, value.to_bits())));
        out
    }

    #[test]
    fn the_first_value_for_a_time_stays() {
        let mut chunk = Chunk::default();
        assert_eq!(chunk.push(10, 1.0), Pushed::Stored);
        assert_eq!(chunk.push(20, 2.0), Pushed::Stored);
        assert_eq!(chunk.push(10, 1.0), Pushed::Repeated);
        assert_eq!(chunk.push(10, 3.0), Pushed::Conflict);
        assert_eq!(chunk.push(15, 4.0), Pushed::Stored);
        assert_eq!(chunk.push(15, 5.0), Pushed::Conflict);
        assert_eq!(chunk.push(5, 6.0), Pushed::Stored);
        assert_eq!(chunk.span(), Some((5, 20)));
        let expected = [(5, 6.0f64), (10, 1.0), (15, 4.0), (20, 2.0)];
        assert_eq!(samples(&chunk), expected.map(|(ts, v)| (ts, v.to_bits())));
    }

    #[test]
    fn zeros_of_both_signs_and_all_nans_are_values_of_their_own() {
        let mut chunk = Chunk::default();
        let bits = [0.0f64.to_bits(), (-0.0f64).to_bits(), 0x7ff0_0000_0000_0002, 0x7ff8_0000_0000_0001, 0, u64::MAX];
        for (ts, bits) in (0..).zip(bits) {
            chunk.push(ts, f64::from_bits(bits));
        }
        assert_eq!(samples(&chunk).iter().map(|s| s.1).collect::<Vec<_>>(), bits);
        assert_eq!(chunk.push(0, -0.0), Pushed::Conflict);
    }

    #[test]
    fn a_steady_counter_takes_two_bytes_a_sample() {
        let mut chunk = Chunk::default();
        for i in 0..1_000 {
            chunk.push(1_700_000_000_000 + i * 15_000, 1e6 + i as f64 * 17.0);
        }
        assert!(chunk.bytes.len() < 2_100, "{}", chunk.bytes.len());
    }

    #[test]
    fn late_samples_are_found_among_many_without_reading_them_all() {
        let mut chunk = Chunk::default();
        for i in 0..10_000 {
            assert_eq!(chunk.push(i * 2, i as f64), Pushed::Stored);
        }
        for i in (0..10_000).rev() {
            assert_eq!(chunk.push(i * 2, i as f64), Pushed::Repeated);
            assert_eq!(chunk.push(i * 2, -1.0), Pushed::Conflict);
            assert_eq!(chunk.push(i * 2 - 1, 0.5), Pushed::Stored);
            assert!(chunk.in_order_near(i * 2).position(|(ts, _)| ts >= i * 2).unwrap() <= MARK_EVERY as usize);
        }
        assert_eq!(samples(&chunk).len(), 20_000);
    }

    fn value() -> impl Strategy<Value = u64> {
        prop_oneof![
            any::<u64>(),
            any::<i32>().prop_map(|v| f64::from(v).to_bits()),
            (0..100i32).prop_map(|v| (f64::from(v) / 10.0).to_bits()),
            Just((-0.0f64).to_bits()),
            Just(WHOLE_MAX.to_bits()),
            Just((-WHOLE_MAX).to_bits()),
        ]
    }

    proptest! {
        #[test]
        fn a_chunk_holds_the_first_value_of_each_time(
            offered in prop::collection::vec((prop_oneof![any::<i64>(), 0..50i64, 0..100_000i64], value()), 0..400)
        ) {
            let (mut chunk, mut model) = (Chunk::default(), BTreeMap::new());
            for (ts, bits) in offered {
                let expected = match model.get(&ts) {
                    None => Pushed::Stored,
                    Some(held) if *held == bits => Pushed::Repeated,
                    Some(_) => Pushed::Conflict,
                };
                model.entry(ts).or_insert(bits);
                prop_assert_eq!(chunk.push(ts, f64::from_bits(bits)), expected);
            }
            prop_assert_eq!(samples(&chunk), model.into_iter().collect::<Vec<_>>());
        }
    }
}
