//! Blocks of 1,024 integers in 16 lanes, delta per lane, packed at one width: what a wide processor
//! likes to decode.
//!
//! Lane `l` holds the values `l * 64 .. l * 64 + 64`, so that a delta is to the value before it in
//! time. Row `r` has the `r`-th delta of all lanes side by side; the first of a lane is 0.

pub(crate) const BLOCK_VALUES: usize = 1024;
const LANES: usize = 16;
const ROWS: usize = 64;
/// Bytes of a block beside its words, as a format would need: width, scale, smallest delta, first
/// values by delta.
const HEAD_BYTES: usize = 48;

/// Where a block is, and what it takes to decode it.
struct Block {
    at: usize,
    width: usize,
    /// The smallest delta, which is taken off all.
    base: i64,
    first: [i64; LANES],
    divisor: f64,
    /// The last value, to check.
    last: i64,
}

/// Packed blocks, one after the other.
#[derive(Default)]
pub(crate) struct Packed {
    words: Vec<u64>,
    blocks: Vec<Block>,
}

impl Packed {
    pub(crate) fn values(&self) -> usize {
        self.blocks.len() * BLOCK_VALUES
    }

    pub(crate) fn bytes(&self) -> usize {
        self.words.len() * 8 + self.blocks.len() * HEAD_BYTES
    }

    /// Appends the whole blocks of a series; the rest is left out.
    pub(crate) fn push(&mut self, integers: &[i64], decimals: i32) {
        for values in integers.as_chunks::<BLOCK_VALUES>().0 {
            self.push_block(values, 10f64.powi(decimals));
        }
    }

    fn push_block(&mut self, values: &[i64; BLOCK_VALUES], divisor: f64) {
        let first = std::array::from_fn(|lane| values[lane * ROWS]);
        let mut deltas = [0; BLOCK_VALUES];

        for lane in 0..LANES {
            for row in 1..ROWS {
                deltas[row * LANES + lane] =
                    values[lane * ROWS + row].wrapping_sub(values[lane * ROWS + row - 1]);
            }
        }

        let base = deltas.iter().copied().min().unwrap_or(0);
        let offsets = deltas.map(|delta| delta.wrapping_sub(base) as u64);

        let width = offsets
            .iter()
            .map(|offset| 64 - offset.leading_zeros() as usize)
            .max()
            .unwrap_or(0);

        let at = self.words.len();
        self.words.resize(at + width * LANES, 0);

        let words = &mut self.words[at..];

        for (i, offset) in offsets.into_iter().enumerate().filter(|_| width > 0) {
            let row = i / LANES;
            let lane = i % LANES;
            let word = row * width / 64;
            let shift = row * width % 64;

            words[word * LANES + lane] |= offset << shift;
            if shift + width > 64 {
                words[(word + 1) * LANES + lane] |= offset >> (64 - shift);
            }
        }

        self.blocks.push(Block {
            at,
            width,
            base,
            first,
            divisor,
            last: values[BLOCK_VALUES - 1],
        });
    }

    /// Adds the words that decoding reads ahead of the last block.
    pub(crate) fn seal(&mut self) {
        self.words.resize(self.words.len() + 2 * LANES, 0);
    }

    /// Decodes everything into one buffer; returns how many blocks were not what was packed.
    pub(crate) fn decode_all(&self, out: &mut [f64; BLOCK_VALUES]) -> usize {
        let mut bad = 0;
        for block in &self.blocks {
            block.decode(&self.words, out);
            bad += usize::from(out[BLOCK_VALUES - 1] != block.last as f64 / block.divisor);
        }

        bad
    }
}

impl Block {
    #[inline]
    fn decode(&self, words: &[u64], out: &mut [f64; BLOCK_VALUES]) {
        let mask = if self.width == 64 {
            u64::MAX
        } else {
            (1 << self.width) - 1
        };

        let mut values = self.first;

        for row in 0..ROWS {
            let word = row * self.width / 64;
            let shift = row * self.width % 64;
            let at = self.at + word * LANES;
            let low = &words[at..at + LANES];
            let rows = &mut out[row * LANES..(row + 1) * LANES];

            if shift + self.width <= 64 {
                for lane in 0..LANES {
                    let offset = (low[lane] >> shift) & mask;
                    values[lane] = values[lane]
                        .wrapping_add(offset as i64)
                        .wrapping_add(self.base);
                    rows[lane] = values[lane] as f64 / self.divisor;
                }
            } else {
                let high = &words[at + LANES..at + 2 * LANES];
                for lane in 0..LANES {
                    let offset = ((low[lane] >> shift) | (high[lane] << (64 - shift))) & mask;
                    values[lane] = values[lane]
                        .wrapping_add(offset as i64)
                        .wrapping_add(self.base);
                    rows[lane] = values[lane] as f64 / self.divisor;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_all_widths_come_back() {
        let mut packed = Packed::default();
        for bits in 0..62 {
            let values: Vec<i64> = (0..BLOCK_VALUES as i64)
                .map(|i| i * 7 + ((i % 3 - 1) << bits))
                .collect();
            packed.push(&values, bits % 4);
        }

        packed.push(&[5; BLOCK_VALUES], 0);
        packed.push(&[5; BLOCK_VALUES - 1], 0);
        packed.seal();

        assert_eq!(packed.values(), 63 * BLOCK_VALUES);
        assert_eq!(packed.decode_all(&mut [0.0; BLOCK_VALUES]), 0);
    }

    #[test]
    fn each_value_has_its_place() {
        let mut packed = Packed::default();
        let values: Vec<i64> = (0..BLOCK_VALUES as i64)
            .map(|i| i * i % 977 - 400)
            .collect();
        packed.push(&values, 1);
        packed.seal();

        let mut out = [0.0; BLOCK_VALUES];
        packed.decode_all(&mut out);

        for (i, value) in values.iter().enumerate() {
            assert_eq!(
                out[i % ROWS * LANES + i / ROWS],
                *value as f64 / 10.0,
                "i={i}"
            );
        }
    }
}
