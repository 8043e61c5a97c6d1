//! Chunks of floats.
//!
//! ```text
//! chunk   := samples:u16be first:zigzag-varint value:f64 [change:uvarint xored] (change-of-change xored)*
//! change-of-change := 0 | 10 14-bits | 110 17-bits | 1110 20-bits | 1111 64-bits
//! ```
//!
//! Varints are whole bytes within the bit stream. `xored` is defined in [`super::xor`].

use super::bits::{BitReader, BitWriter};
use super::varbit::{fits, signed};
use super::xor::Xored;
use super::{Chunk, Encoding, SAMPLES_MAX};

/// An unfinished chunk of floats, with at least one sample.
#[derive(Clone, Debug)]
pub(super) struct FloatChunk {
    out: BitWriter,
    samples: u16,
    first_ms: i64,
    last_ms: i64,
    change: i64,
    value: Xored,
}

impl FloatChunk {
    pub(super) fn begin(ts_ms: i64, value: f64) -> Self {
        // The number of samples is filled in at the end.
        let mut out = BitWriter::behind(vec![0, 0]);
        put_varint(&mut out, (ts_ms << 1 ^ ts_ms >> 63).cast_unsigned());
        out.put_f64(value);

        Self {
            out,
            samples: 1,
            first_ms: ts_ms,
            last_ms: ts_ms,
            change: 0,
            value: Xored::new(value),
        }
    }

    pub(super) const fn is_full(&self) -> bool {
        self.samples == SAMPLES_MAX
    }

    pub(super) fn push(&mut self, ts_ms: i64, value: f64) {
        let change = ts_ms.wrapping_sub(self.last_ms);
        if self.samples == 1 {
            put_varint(&mut self.out, change.cast_unsigned());
        } else {
            put_change(&mut self.out, change.wrapping_sub(self.change));
        }

        self.value.put(&mut self.out, value);
        self.samples += 1;
        self.change = change;
        self.last_ms = ts_ms;
    }

    pub(super) fn finish(self) -> Chunk {
        let data = with_count(self.out.into_bytes(), self.samples);
        Chunk {
            encoding: Encoding::Xor,
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            data,
        }
    }
}

/// Writes the number of samples into the first two bytes, its place in every chunk.
pub(super) fn with_count(mut data: Vec<u8>, samples: u16) -> Vec<u8> {
    if let Some(place) = data.first_chunk_mut() {
        *place = samples.to_be_bytes();
    }

    data
}

fn put_varint(out: &mut BitWriter, mut value: u64) {
    while value >= 0x80 {
        out.put_byte((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }

    out.put_byte((value & 0x7f) as u8);
}

fn put_change(out: &mut BitWriter, change: i64) {
    let (prefix, length, bits) = match change {
        0 => return out.put(0, 1),
        _ if fits(change, 14) => (0b10, 2, 14),
        _ if fits(change, 17) => (0b110, 3, 17),
        _ if fits(change, 20) => (0b1110, 4, 20),
        _ => (0b1111, 4, 64),
    };

    out.put(prefix, length);
    out.put(change.cast_unsigned(), bits);
}

/// Decodes `samples` samples from the bytes after the count. Returns `None` when the bytes are not
/// a chunk.
pub(super) fn decode(samples: u16, data: &[u8]) -> Option<Vec<(i64, f64)>> {
    let mut input = BitReader::new(data);
    let mut decoded = Vec::new();
    let mut ts_ms = 0i64;
    let mut change = 0i64;
    let mut value = Xored::new(0.0);

    for at in 0..samples {
        match at {
            0 => {
                let zigzag = take_varint(&mut input)?;
                ts_ms = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
                value = Xored::new(input.f64()?);
                decoded.push((ts_ms, value.value()));
                continue;
            }
            1 => change = take_varint(&mut input)?.cast_signed(),
            _ => change = change.wrapping_add(take_change(&mut input)?),
        }

        ts_ms = ts_ms.wrapping_add(change);
        decoded.push((ts_ms, value.take(&mut input)?));
    }

    Some(decoded)
}

fn take_varint(input: &mut BitReader<'_>) -> Option<u64> {
    let mut value = 0u64;

    for shift in (0..64).step_by(7) {
        let byte = input.take(8)?;
        value |= (byte & 0x7f) << shift;

        if byte < 0x80 {
            return Some(value);
        }
    }

    None
}

fn take_change(input: &mut BitReader<'_>) -> Option<i64> {
    for bits in [0, 14, 17, 20] {
        if !input.bit()? {
            return Some(if bits == 0 {
                0
            } else {
                signed(input.take(bits)?, bits)
            });
        }
    }

    Some(input.take(64)?.cast_signed())
}
