//! The byte string of a chunk: samples with ascending times, each as its difference to the previous
//! one.
//!
//! A sample is a control byte and the bytes that it announces:
//! - bits 0-1, the time: the number of bytes (0, 1, 2, or 3 for "8") of the change of the step
//!   between samples, zigzag, little-endian; a step beyond 32 bits counts as 0 for the next one;
//! - bits 2-4, the value: 0 means the same bits as before; 1, 2, 3 the difference of two whole
//!   numbers in 1, 2 or 4 bytes, zigzag; 4 a byte `(skip << 4 | length)` and then `length` bytes of
//!   the XOR with the bits before, shifted right by `skip` bytes;
//! - bit 5: the start differs from that of the previous sample; it follows as the time from the
//!   start to the sample, a zigzag varint of milliseconds;
//! - bit 6: the ttl differs from that of the previous sample; it follows as a zigzag varint of
//!   milliseconds.

use duramen_model::Life;

/// The state of the codec between two samples.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FloatState {
    pub(super) ts: i64,
    pub(super) bits: u64,
    /// The time between the last two samples; 0 if it does not fit.
    pub(super) step: i32,
}

impl FloatState {
    /// Returns the state after a sample that came `step` after the one before.
    #[inline]
    fn after(ts: i64, step: i64, bits: u64) -> Self {
        let step = i32::try_from(step).unwrap_or(0);
        Self { ts, bits, step }
    }
}

/// The difference of two whole numbers up to this value is exact in an `f64`.
pub(super) const WHOLE_MAX: u64 = 1 << 53;

/// Bits of a control byte.
const START: u8 = 1 << 5;
const TTL: u8 = 1 << 6;

const TIME_WIDTHS: [usize; 4] = [0, 1, 2, 8];

/// The longest sample without a life: the control byte, a time of 8 bytes, the shape of a value and
/// its 8 bytes. Words of 8 bytes are written as a whole, so there is room behind it.
const SAMPLE_ROOM: usize = 1 + 8 + 1 + 8 + 8;

/// The bytes of one sample while they are put together.
struct Sample {
    bytes: [u8; SAMPLE_ROOM],
    len: usize,
}

impl Sample {
    /// Appends the low `width` bytes of a word.
    #[inline]
    fn put(&mut self, word: u64, width: usize) {
        if let Some(room) = self.bytes.get_mut(self.len..self.len + 8) {
            room.copy_from_slice(&word.to_le_bytes());
        }

        self.len += width;
    }
}

/// Appends a sample (time, bits of the value, life). `before` is the state and the life of the
/// previous sample. Returns the new state.
#[inline]
pub(super) fn append(
    bytes: &mut Vec<u8>,
    before: (FloatState, Life),
    (ts_ms, bits, life): (i64, u64, Life),
) -> FloatState {
    let (last, last_life) = before;
    let mut sample = Sample {
        bytes: [0; SAMPLE_ROOM],
        len: 1,
    };

    let step = ts_ms.wrapping_sub(last.ts);
    let turn = zigzag(step.wrapping_sub(i64::from(last.step)));

    let (time_class, width) = match turn {
        0 => (0, 0),
        1..=0xff => (1, 1),
        0x100..=0xffff => (2, 2),
        _ => (3, 8),
    };

    sample.put(turn, width);

    let value_class = put_value(&mut sample, last.bits, bits);
    let control = bytes.len();

    let [first, ..] = &mut sample.bytes;
    *first = time_class | value_class << 2;

    if bytes.capacity() - bytes.len() >= SAMPLE_ROOM {
        // A copy of a fixed length is a few instructions.
        bytes.extend_from_slice(&sample.bytes);
        bytes.truncate(control + sample.len);
    } else {
        let whole = sample.bytes.get(..sample.len).unwrap_or_default();
        grow(bytes, whole.len());
        bytes.extend_from_slice(whole);
    }

    if life != last_life {
        let changed = append_life(bytes, ts_ms, last_life, life);
        if let Some(byte) = bytes.get_mut(control) {
            *byte |= changed;
        }
    }

    FloatState::after(ts_ms, step, bits)
}

/// Makes room for `more` bytes. A string grows by half: most series hold some hundred bytes, and
/// half of a doubled string would be empty.
#[inline]
fn grow(bytes: &mut Vec<u8>, more: usize) {
    let len = bytes.len() + more;
    if len > bytes.capacity() {
        let wanted = len.max(bytes.len() + bytes.len() / 2);
        bytes.reserve_exact(wanted.next_multiple_of(16) - bytes.len());
    }
}

/// Puts the value's bytes and returns its class.
#[inline]
fn put_value(sample: &mut Sample, before: u64, bits: u64) -> u8 {
    if bits == before {
        return 0;
    }

    if let Some(difference) = whole_difference(before, bits) {
        let zigzag = zigzag(difference);
        let (class, width) = match zigzag {
            0..=0xff => (1, 1),
            0x100..=0xffff => (2, 2),
            0x1_0000..=0xffff_ffff => (3, 4),
            _ => (4, 0),
        };

        if class < 4 {
            sample.put(zigzag, width);
            return class;
        }
    }

    let xor = bits ^ before;
    let skip = xor.trailing_zeros() / 8;
    let shifted = xor >> (skip * 8);
    let length = 8 - shifted.leading_zeros() / 8;

    sample.put(u64::from(skip << 4 | length), 1);
    sample.put(shifted, length as usize);
    4
}

/// Appends the parts of the life that changed, and returns the bits that announce them.
#[cold]
fn append_life(bytes: &mut Vec<u8>, ts_ms: i64, before: Life, life: Life) -> u8 {
    let mut changed = 0;
    if life.start_ms != before.start_ms {
        changed |= START;
        put_varint(bytes, zigzag(ts_ms.wrapping_sub(life.start_ms)));
    }

    if life.ttl_ms != before.ttl_ms {
        changed |= TTL;
        put_varint(bytes, zigzag(life.ttl_ms));
    }

    changed
}

/// Reads a byte string, from its start or from a mark, where state and life are known.
#[derive(Debug)]
pub(super) struct InOrder<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) left: u32,
    pub(super) state: FloatState,
    pub(super) life: Life,
}

impl InOrder<'_> {
    /// Reads the next `width` bytes, at most 8, as a number.
    #[inline]
    fn take(&mut self, width: usize) -> u64 {
        let (head, rest) = self
            .bytes
            .split_at_checked(width)
            .expect("a chunk holds what its control bytes announce");

        self.bytes = rest;
        head.iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn take_signed(&mut self) -> i64 {
        let mut number = 0;
        let mut shift = 0;

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
    /// Time, bits of the value, and life.
    type Item = (i64, u64, Life);

    #[inline]
    fn next(&mut self) -> Option<(i64, u64, Life)> {
        self.left = self.left.checked_sub(1)?;

        let control = self.take(1).to_le_bytes()[0];
        let width = TIME_WIDTHS
            .get(usize::from(control & 3))
            .copied()
            .unwrap_or(8);

        let state = self.state;
        let step = i64::from(state.step).wrapping_add(unzigzag(self.take(width)));

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

        self.state = FloatState::after(state.ts.wrapping_add(step), step, bits);

        if control & (START | TTL) != 0 {
            self.take_life(control, self.state.ts);
        }

        Some((self.state.ts, bits, self.life))
    }
}

/// Returns `b - a` if both are whole numbers and `a` plus the difference gives `b` back, bit for
/// bit.
#[inline]
fn whole_difference(a: u64, b: u64) -> Option<i64> {
    let from = whole(a)?;
    let to = whole(b)?;
    let difference = to - from;

    ((from as f64 + difference as f64).to_bits() == b).then_some(difference)
}

/// Returns a whole number of at most 2^53, positive or negative.
#[inline]
fn whole(bits: u64) -> Option<i64> {
    let value = f64::from_bits(bits);

    #[expect(
        clippy::cast_possible_truncation,
        reason = "saturates; the number is compared with the value"
    )]
    let number = value as i64;
    (number.unsigned_abs() <= WHOLE_MAX && number as f64 == value).then_some(number)
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
