//! Chunks as Prometheus keeps them: delta of deltas of the timestamps, XOR of the values. Bits are
//! packed low end first.

use crate::bits::{BitReader, BitWriter};

/// Samples in a full chunk.
pub(crate) const CHUNK_SAMPLES: usize = 120;

/// Bits of the XOR that the previous value had in use: `leading` zeros, then `len` bits.
#[derive(Clone, Copy, Default)]
struct Window {
    leading: usize,
    len: usize,
}

impl Window {
    fn trailing(self) -> usize {
        64 - self.leading - self.len
    }

    fn of(xor: u64) -> Self {
        let leading = (xor.leading_zeros() as usize).min(31);
        Self {
            leading,
            len: 64 - leading - xor.trailing_zeros() as usize,
        }
    }

    fn holds(self, other: Self) -> bool {
        self.len > 0 && other.leading >= self.leading && other.trailing() >= self.trailing()
    }
}

/// Appends one chunk of as many samples as there are, one at least.
pub(crate) fn encode(out: &mut BitWriter, ts_ms: &[i64], values: &[f64]) {
    let mut last_ts = ts_ms[0];
    let mut last_delta = 0;
    let mut window = Window::default();
    let mut last_bits = values[0].to_bits();

    out.put(last_ts as u64, 64);
    out.put(last_bits, 64);

    for (&ts, value) in ts_ms.iter().zip(values).skip(1) {
        let delta = ts.wrapping_sub(last_ts);
        put_timestamp(out, delta.wrapping_sub(last_delta));
        (last_ts, last_delta) = (ts, delta);
        put_value(out, value.to_bits() ^ last_bits, &mut window);
        last_bits = value.to_bits();
    }
}

fn put_timestamp(out: &mut BitWriter, delta_of_delta: i64) {
    match delta_of_delta {
        0 => out.put(0, 1),
        -8191..=8192 => {
            out.put(1, 2);
            out.put((delta_of_delta + 8191) as u64, 14);
        }
        _ => {
            out.put(3, 2);
            out.put(delta_of_delta as u64, 64);
        }
    }
}

fn put_value(out: &mut BitWriter, xor: u64, window: &mut Window) {
    if xor == 0 {
        return out.put(0, 1);
    }

    let own = Window::of(xor);
    if window.holds(own) {
        out.put(1, 2);
        return out.put(xor >> window.trailing(), window.len);
    }

    *window = own;
    out.put(3, 2);
    out.put(own.leading as u64, 5);
    out.put(own.len as u64 % 64, 6);
    out.put(xor >> own.trailing(), own.len);
}

/// Decodes a chunk of as many samples as `ts_ms` and `values` are long.
pub(crate) fn decode(input: &mut BitReader<'_>, ts_ms: &mut [i64], values: &mut [f64]) {
    let mut ts = input.get(64) as i64;
    let mut delta = 0i64;
    let mut bits = input.get(64);
    let mut window = Window::default();

    (ts_ms[0], values[0]) = (ts, f64::from_bits(bits));

    for (ts_out, value_out) in ts_ms.iter_mut().zip(values).skip(1) {
        if input.get(1) == 1 {
            let change = if input.get(1) == 0 {
                input.get(14) as i64 - 8191
            } else {
                input.get(64) as i64
            };

            delta = delta.wrapping_add(change);
        }

        ts = ts.wrapping_add(delta);

        if input.get(1) == 1 {
            if input.get(1) == 1 {
                window.leading = input.get(5) as usize;
                window.len = match input.get(6) {
                    0 => 64,
                    len => len as usize,
                };
            }

            bits ^= input.get(window.len) << window.trailing();
        }

        (*ts_out, *value_out) = (ts, f64::from_bits(bits));
    }
}

/// Bits that the values of a series take, without their timestamps.
pub(crate) fn value_bits(values: &[f64]) -> u64 {
    values.chunks(CHUNK_SAMPLES).map(chunk_value_bits).sum()
}

fn chunk_value_bits(values: &[f64]) -> u64 {
    let mut window = Window::default();
    let mut bits = 64;

    for pair in values.windows(2) {
        let xor = pair[0].to_bits() ^ pair[1].to_bits();
        bits += match Window::of(xor) {
            _ if xor == 0 => 1,
            own if window.holds(own) => 2 + window.len as u64,
            own => {
                window = own;
                2 + 5 + 6 + own.len as u64
            }
        };
    }

    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_come_back_bit_for_bit() {
        let ts: Vec<i64> = vec![-5, 10, 25, 41, i64::MAX, i64::MIN];
        let bits = [
            0x3ff8 << 48,
            0x3ff8 << 48,
            1 << 63,
            crate::wire::STALE_NAN,
            0,
            1 << 63 | 1,
        ];

        let values = bits.map(f64::from_bits);
        let mut out = BitWriter::default();
        encode(&mut out, &ts, &values);

        let words = out.into_words();
        let mut ts_back = vec![0; 6];
        let mut values_back = vec![0.0; 6];

        decode(
            &mut BitReader::new(&words, 0),
            &mut ts_back,
            &mut values_back,
        );

        assert_eq!(ts_back, ts);
        assert!(
            values
                .iter()
                .zip(&values_back)
                .all(|(a, b)| a.to_bits() == b.to_bits())
        );
    }
}
