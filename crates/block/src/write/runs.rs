//! Values that repeat, as runs, and Parquet's RLE form of them.

use std::ops::Range;

/// A bit-packed part of the RLE form has at most this many groups of eight values, as the library
/// writes it.
const GROUPS_MAX: usize = 63;

/// A column of small numbers, each with how often it repeats.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// Each value, and the row at which its run ends.
    runs: Vec<(u8, usize)>,
}

impl Runs {
    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.runs.last().map_or(0, |(_, end)| *end)
    }

    /// Appends `rows` rows with `value`.
    pub(crate) fn push(&mut self, value: u8, rows: usize) {
        match self.runs.last_mut() {
            Some((last, end)) if *last == value => *end += rows,
            _ if rows == 0 => {}
            _ => self.runs.push((value, self.rows() + rows)),
        }
    }

    /// Returns the values of `rows`, each with how often it repeats.
    pub(crate) fn within(&self, rows: &Range<usize>) -> impl Iterator<Item = (u8, usize)> + '_ {
        let first = self.runs.partition_point(|(_, end)| *end <= rows.start);
        let end = rows.end;
        let mut at = rows.start;

        self.runs[first..]
            .iter()
            .map_while(move |(value, run_end)| {
                let rows = (*run_end)
                    .min(end)
                    .checked_sub(at)
                    .filter(|rows| *rows > 0)?;
                at += rows;
                Some((*value, rows))
            })
    }

    pub(crate) fn clear(&mut self) {
        self.runs.clear();
    }
}

/// Appends the RLE form of numbers of `width` bits, at least 1: repeats as a number and a count,
/// other parts packed.
pub(crate) fn encode(width: usize, runs: impl Iterator<Item = (u8, usize)>, out: &mut Vec<u8>) {
    let mut packed = Vec::new();

    for (value, mut rows) in runs {
        // A packed part has groups of eight.
        let fill = rows.min(packed.len().next_multiple_of(8) - packed.len());
        packed.resize(packed.len() + fill, value);
        rows -= fill;

        if rows >= 8 {
            push_packed(width, &mut packed, out);
            push_varint((rows as u64) << 1, out);
            out.push(value);
        } else {
            packed.resize(packed.len() + rows, value);
        }
    }

    push_packed(width, &mut packed, out);
}

/// Appends `values` packed, and clears them.
fn push_packed(width: usize, values: &mut Vec<u8>, out: &mut Vec<u8>) {
    for part in values.chunks(GROUPS_MAX * 8) {
        push_varint((part.len().div_ceil(8) as u64) << 1 | 1, out);

        for group in part.chunks(8) {
            let mut bits = 0u64;
            for (index, value) in group.iter().enumerate() {
                bits |= u64::from(*value) << (index * width);
            }
            out.extend_from_slice(&bits.to_le_bytes()[..width]);
        }
    }

    values.clear();
}

/// Appends `value` in groups of seven bits, the lowest first.
pub(crate) fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }

    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn decode(width: usize, rows: usize, mut bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();

        while out.len() < rows {
            let mut header = 0u64;
            for shift in (0..).step_by(7) {
                let byte = bytes[0];
                bytes = &bytes[1..];
                header |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }

            let count = usize::try_from(header >> 1).unwrap();
            if header & 1 == 0 {
                out.resize(out.len() + count, bytes[0]);
                bytes = &bytes[1..];
                continue;
            }

            for _ in 0..count {
                let mut word = [0; 8];
                word[..width].copy_from_slice(&bytes[..width]);
                bytes = &bytes[width..];

                let word = u64::from_le_bytes(word);
                let value =
                    |index: usize| (word >> (index * width)).to_le_bytes()[0] & ((1 << width) - 1);
                out.extend((0..8).map(value));
            }
        }

        assert!(bytes.is_empty());
        out.truncate(rows);
        out
    }

    #[test]
    fn runs_come_back_whole_and_in_part() {
        let mut random = StdRng::seed_from_u64(4);

        for width in 1..=5 {
            let mut runs = Runs::default();
            let mut all = Vec::new();

            for _ in 0..300 {
                let value = random.random_range(0..1 << width);
                let rows = [0, 1, 2, 3, 7, 8, 9, 700][random.random_range(0..8)];

                runs.push(value, rows);
                all.resize(all.len() + rows, value);
            }

            assert_eq!(runs.rows(), all.len());

            for rows in [0..all.len(), 0..1, 5..13, 100..1000, 999..all.len(), 40..40] {
                let mut out = Vec::new();
                encode(width, runs.within(&rows), &mut out);
                assert_eq!(decode(width, rows.len(), &out), all[rows], "width {width}");
            }
        }
    }

    #[test]
    fn a_long_run_is_a_number_and_a_count() {
        let mut out = Vec::new();
        encode(1, [(1, 100)].into_iter(), &mut out);
        assert_eq!(out, [200, 1, 1]);
    }
}
