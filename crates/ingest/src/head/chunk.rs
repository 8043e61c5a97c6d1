//! The floats of one series in one generation, compressed.
//!
//! Samples that come in order are appended to a byte string; those that do not are held in a tree beside it. A time is held once.
//!
//! A sample of the byte string is a control byte and what it announces:
//! - bits 0-1, the time: how many bytes (0, 1, 2, or 3 for "8") the change of the step between samples takes, zigzag, little endian;
//! - bits 2-4, the value: 0 the same bits as before; 1, 2, 3 the difference of two whole numbers in 1, 2 or 4 bytes, zigzag;
//!   4 and a byte `(skip << 4 | length)`: `length` bytes of the XOR with the bits before, shifted right by `skip` bytes;
//! - bit 5: another start than the sample before; its distance before the sample's time, a zigzag varint of milliseconds;
//! - bit 6: another ttl than the sample before; a zigzag varint of milliseconds.

#![deny(clippy::indexing_slicing)]

use std::collections::BTreeMap;

use duramen_model::Life;

use super::series::Pushed;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    count: u32,
    first_ts: i64,
    last: State,
    /// Most chunks have none.
    rare: Option<Box<Rare>>,
}

/// What few chunks need.
#[derive(Debug, Default)]
struct Rare {
    /// Whether any sample says something beside its value.
    has_lives: bool,
    /// What the last sample of the byte string says.
    life: Life,
    late: BTreeMap<i64, u64>,
    /// Those of late samples that say something.
    late_lives: BTreeMap<i64, Life>,
    /// Made at the first late sample.
    marks: Option<Vec<Mark>>,
}

/// A place in the byte string where reading can begin.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Behind the sample before it.
    state: State,
    life: Life,
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

/// Bits of a control byte.
const START: u8 = 1 << 5;
const TTL: u8 = 1 << 6;

impl Chunk {
    /// Offers a sample. Times may come in any order. Another life alone does not make another sample: the first one's stays.
    pub(crate) fn push(&mut self, ts_ms: i64, value: f64, life: Life) -> Pushed {
        let bits = value.to_bits();
        if self.count == 0 || ts_ms > self.last.ts {
            self.append(ts_ms, bits, life);
            return Pushed::Stored;
        }
        match self.find(ts_ms) {
            Some(held) if held == bits => Pushed::Repeated,
            Some(_) => Pushed::Conflict,
            None => {
                let rare = self.rare.get_or_insert_default();
                rare.late.insert(ts_ms, bits);
                if life != Life::NONE {
                    rare.has_lives = true;
                    rare.late_lives.insert(ts_ms, life);
                }
                Pushed::Stored
            }
        }
    }

    /// The bits held for a time. The first call for a time before the last walks through the whole chunk, later ones do not.
    pub(crate) fn find(&mut self, ts_ms: i64) -> Option<u64> {
        if self.count == 0 || ts_ms > self.last.ts {
            return None;
        }
        if ts_ms == self.last.ts {
            return Some(self.last.bits);
        }
        if self.marks().is_none() {
            self.mark();
        }
        self.held(ts_ms)
    }

    /// The bits held for a time before the last.
    fn held(&self, ts_ms: i64) -> Option<u64> {
        if let Some(bits) = self.rare.as_ref().and_then(|rare| rare.late.get(&ts_ms)) {
            return Some(*bits);
        }
        if ts_ms < self.first_ts {
            return None;
        }
        self.in_order_near(ts_ms).find(|held| held.0 >= ts_ms).filter(|held| held.0 == ts_ms).map(|held| held.1)
    }

    fn marks(&self) -> Option<&[Mark]> {
        self.rare.as_ref()?.marks.as_deref()
    }

    /// What the last sample of the byte string says beside its value.
    fn last_life(&self) -> Life {
        self.rare.as_ref().map_or(Life::NONE, |rare| rare.life)
    }

    /// The byte string from the last mark before `ts_ms`: at most [`MARK_EVERY`] samples stand between.
    fn in_order_near(&self, ts_ms: i64) -> InOrder<'_> {
        let marks = self.marks().unwrap_or_default();
        let before = marks.partition_point(|mark| mark.state.ts < ts_ms);
        let Some(mark) = before.checked_sub(1).and_then(|at| marks.get(at)) else { return self.in_order() };
        let bytes = self.bytes.get(mark.offset..).unwrap_or_default();
        InOrder { bytes, left: self.count - mark.count, state: mark.state, life: mark.life }
    }

    /// Marks the byte string from its beginning. Done at the first late sample: most chunks never have one.
    fn mark(&mut self) {
        let mut marks = Vec::new();
        let mut samples = self.in_order();
        while samples.next().is_some() {
            let count = self.count - samples.left;
            if count.is_multiple_of(MARK_EVERY) {
                let offset = self.bytes.len() - samples.bytes.len();
                marks.push(Mark { state: samples.state, life: samples.life, offset, count });
            }
        }
        self.rare.get_or_insert_default().marks = Some(marks);
    }

    fn append(&mut self, ts_ms: i64, bits: u64, life: Life) {
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
        let changed = if life == self.last_life() { 0 } else { self.append_life(ts_ms, life) };
        if let Some(byte) = self.bytes.get_mut(control) {
            *byte = time_class | value_class << 2 | changed;
        }
        self.last = State { ts: ts_ms, step, bits };
        self.count += 1;
        if let Some(marks) = self.rare.as_mut().and_then(|rare| rare.marks.as_mut())
            && self.count.is_multiple_of(MARK_EVERY)
        {
            marks.push(Mark { state: self.last, life, offset: self.bytes.len(), count: self.count });
        }
    }

    /// Appends what is another than before, and returns the bits that announce it.
    #[cold]
    fn append_life(&mut self, ts_ms: i64, life: Life) -> u8 {
        let rare = self.rare.get_or_insert_default();
        rare.has_lives = true;
        let before = std::mem::replace(&mut rare.life, life);
        let mut changed = 0;
        if life.start_ms != before.start_ms {
            changed |= START;
            put_varint(&mut self.bytes, zigzag(ts_ms.wrapping_sub(life.start_ms)));
        }
        if life.ttl_ms != before.ttl_ms {
            changed |= TTL;
            put_varint(&mut self.bytes, zigzag(life.ttl_ms));
        }
        changed
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
    pub(crate) fn for_each(&self, mut visit: impl FnMut(i64, f64, Life)) {
        let Some(rare) = self.rare.as_ref().filter(|rare| !rare.late.is_empty()) else {
            self.in_order().for_each(|(ts, bits, life)| visit(ts, f64::from_bits(bits), life));
            return;
        };
        let life_of = |ts: &i64| rare.late_lives.get(ts).copied().unwrap_or_default();
        let mut late = rare.late.iter().map(|(ts, bits)| (*ts, *bits, life_of(ts))).peekable();
        for (ts, bits, life) in self.in_order() {
            while let Some((ts, bits, life)) = late.next_if(|earlier| earlier.0 < ts) {
                visit(ts, f64::from_bits(bits), life);
            }
            visit(ts, f64::from_bits(bits), life);
        }
        late.for_each(|(ts, bits, life)| visit(ts, f64::from_bits(bits), life));
    }

    /// Whether any sample says something beside its value.
    pub(crate) fn has_lives(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.has_lives)
    }

    /// How many samples it holds.
    pub(crate) fn len(&self) -> usize {
        self.count as usize + self.rare.as_ref().map_or(0, |rare| rare.late.len())
    }

    /// The first and the last time held. `None` when empty.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        (self.count > 0).then(|| {
            let earliest = self.rare.as_ref().and_then(|rare| rare.late.keys().next().copied());
            (earliest.map_or(self.first_ts, |ts| ts.min(self.first_ts)), self.last.ts)
        })
    }

    /// The memory that it takes, in bytes, roughly.
    pub(crate) fn memory(&self) -> usize {
        /// A tree of pairs, with its nodes two thirds full.
        const LATE_SAMPLE: usize = 28;
        const LATE_LIFE: usize = 40;
        let rare = self.rare.as_ref().map_or(0, |rare| {
            let marks = rare.marks.as_ref().map_or(0, Vec::capacity);
            size_of::<Rare>()
                + rare.late.len() * LATE_SAMPLE
                + rare.late_lives.len() * LATE_LIFE
                + marks * size_of::<Mark>()
        });
        size_of::<Self>() + self.bytes.capacity() + rare
    }

    fn in_order(&self) -> InOrder<'_> {
        InOrder { bytes: &self.bytes, left: self.count, state: State::default(), life: Life::NONE }
    }
}

const TIME_WIDTHS: [usize; 4] = [0, 1, 2, 8];

/// Reads the byte string.
struct InOrder<'a> {
    bytes: &'a [u8],
    left: u32,
    state: State,
    life: Life,
}

impl InOrder<'_> {
    /// The next `width` (at most 8) bytes as a number.
    #[inline]
    fn take(&mut self, width: usize) -> u64 {
        let (head, rest) = self.bytes.split_at_checked(width).expect("a chunk holds what its control bytes announce");
        self.bytes = rest;
        head.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn take_signed(&mut self) -> i64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.take(1);
            number |= (byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return unzigzag(number);
            }
        }
    }

    #[cold]
    fn take_life(&mut self, control: u8, ts_ms: i64) {
        if control & START != 0 {
            self.life.start_ms = ts_ms.wrapping_sub(self.take_signed());
        }
        if control & TTL != 0 {
            self.life.ttl_ms = self.take_signed();
        }
    }
}

impl Iterator for InOrder<'_> {
    /// Time, bits of the value, and what else the sample says.
    type Item = (i64, u64, Life);

    #[inline]
    fn next(&mut self) -> Option<(i64, u64, Life)> {
        self.left = self.left.checked_sub(1)?;
        let control = self.take(1).to_le_bytes()[0];
        let width = TIME_WIDTHS.get(usize::from(control & 3)).copied().unwrap_or(8);
        let state = self.state;
        let step = state.step.wrapping_add(unzigzag(self.take(width)));
        let bits = match control >> 2 & 7 {
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
        if control & (START | TTL) != 0 {
            self.take_life(control, self.state.ts);
        }
        Some((self.state.ts, bits, self.life))
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

fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
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
        chunk.for_each(|ts, value, _| out.push((ts, value.to_bits())));
        out
    }

    #[test]
    fn the_first_value_for_a_time_stays() {
        let mut chunk = Chunk::default();
        assert_eq!(chunk.push(10, 1.0, Life::NONE), Pushed::Stored);
        assert_eq!(chunk.push(20, 2.0, Life::NONE), Pushed::Stored);
        assert_eq!(chunk.push(10, 1.0, Life::NONE), Pushed::Repeated);
        assert_eq!(chunk.push(10, 3.0, Life::NONE), Pushed::Conflict);
        assert_eq!(chunk.push(15, 4.0, Life::NONE), Pushed::Stored);
        assert_eq!(chunk.push(15, 5.0, Life::NONE), Pushed::Conflict);
        assert_eq!(chunk.push(5, 6.0, Life::NONE), Pushed::Stored);
        assert_eq!(chunk.span(), Some((5, 20)));
        let expected = [(5, 6.0f64), (10, 1.0), (15, 4.0), (20, 2.0)];
        assert_eq!(samples(&chunk), expected.map(|(ts, v)| (ts, v.to_bits())));
    }

    #[test]
    fn zeros_of_both_signs_and_all_nans_are_values_of_their_own() {
        let mut chunk = Chunk::default();
        let bits = [0.0f64.to_bits(), (-0.0f64).to_bits(), 0x7ff0_0000_0000_0002, 0x7ff8_0000_0000_0001, 0, u64::MAX];
        for (ts, bits) in (0..).zip(bits) {
            chunk.push(ts, f64::from_bits(bits), Life::NONE);
        }
        assert_eq!(samples(&chunk).iter().map(|s| s.1).collect::<Vec<_>>(), bits);
        assert_eq!(chunk.push(0, -0.0, Life::NONE), Pushed::Conflict);
    }

    #[test]
    fn a_steady_counter_takes_two_bytes_a_sample() {
        let mut chunk = Chunk::default();
        for i in 0..1_000 {
            chunk.push(1_700_000_000_000 + i * 15_000, 1e6 + i as f64 * 17.0, Life::NONE);
        }
        assert!(chunk.bytes.len() < 2_100, "{}", chunk.bytes.len());
        assert!(chunk.rare.is_none());
    }

    #[test]
    fn a_life_that_does_not_change_takes_bytes_once() {
        let (mut plain, mut chunk) = (Chunk::default(), Chunk::default());
        let life = Life { start_ms: 1_700_000_000_000, ttl_ms: 60_000 };
        for i in 0..1_000 {
            let (ts, value) = (1_700_000_000_000 + i * 15_000, i as f64);
            plain.push(ts, value, Life::NONE);
            chunk.push(ts, value, life);
        }
        let extra = chunk.bytes.len() - plain.bytes.len();
        assert!((1..10).contains(&extra), "{extra}");
        assert!(chunk.memory() < plain.memory() + 200, "{} against {}", chunk.memory(), plain.memory());
    }

    #[test]
    fn late_samples_are_found_among_many_without_reading_them_all() {
        let mut chunk = Chunk::default();
        for i in 0..10_000 {
            assert_eq!(chunk.push(i * 2, i as f64, Life::NONE), Pushed::Stored);
        }
        for i in (0..10_000).rev() {
            assert_eq!(chunk.push(i * 2, i as f64, Life::NONE), Pushed::Repeated);
            assert_eq!(chunk.push(i * 2, -1.0, Life::NONE), Pushed::Conflict);
            assert_eq!(chunk.push(i * 2 - 1, 0.5, Life::NONE), Pushed::Stored);
            assert!(chunk.in_order_near(i * 2).position(|held| held.0 >= i * 2).unwrap() <= MARK_EVERY as usize);
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

    fn life() -> impl Strategy<Value = Life> {
        let number = prop_oneof![3 => Just(0i64), 1 => 0..3i64, 1 => any::<i64>()];
        (number.clone(), number).prop_map(|(start_ms, ttl_ms)| Life { start_ms, ttl_ms })
    }

    proptest! {
        #[test]
        fn a_chunk_holds_the_first_value_and_life_of_each_time(
            offered in prop::collection::vec(
                (prop_oneof![any::<i64>(), 0..50i64, 0..100_000i64], value(), life()), 0..400
            )
        ) {
            let (mut chunk, mut model) = (Chunk::default(), BTreeMap::new());
            for (ts, bits, life) in offered {
                let expected = match model.get(&ts) {
                    None => Pushed::Stored,
                    Some((held, _)) if *held == bits => Pushed::Repeated,
                    Some(_) => Pushed::Conflict,
                };
                model.entry(ts).or_insert((bits, life));
                prop_assert_eq!(chunk.push(ts, f64::from_bits(bits), life), expected);
            }
            let mut held = Vec::new();
            chunk.for_each(|ts, value, life| held.push((ts, (value.to_bits(), life))));
            prop_assert_eq!(chunk.len(), held.len());
            prop_assert_eq!(held, model.into_iter().collect::<Vec<_>>());
        }
    }
}
