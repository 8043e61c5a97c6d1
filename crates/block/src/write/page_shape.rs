//! Decides in which of the two shapes a page of integers is smaller.

use std::ops::Range;

use parquet::errors::Result;

use crate::write::delta::{self, Shape};
use crate::write::page::Compressor;

/// A page of up to this many integers is tried as a whole.
const SAMPLE: usize = 2048;
/// A sample of a larger page has so many parts, spread evenly.
const PARTS: usize = 4;

/// Returns the smaller shape, after compression, of a page with `values`. It tries both on a sample
/// of the page.
pub(crate) fn smaller(
    compressor: &mut Compressor,
    values: &[i64],
    scratch: &mut Vec<u8>,
) -> Result<Shape> {
    let mut size = |shape| -> Result<usize> {
        scratch.clear();
        for part in parts(values.len()) {
            delta::encode(shape, &values[part], scratch);
        }
        Ok(compressor.compress(scratch)?.len())
    };

    if size(Shape::Canonical)? <= size(Shape::Exact)? {
        Ok(Shape::Canonical)
    } else {
        Ok(Shape::Exact)
    }
}

/// Returns the sample of `count` values.
fn parts(count: usize) -> impl Iterator<Item = Range<usize>> {
    let whole = (count <= SAMPLE).then_some(0..count);
    let part = move |index| {
        let start = (count - SAMPLE / PARTS) * index / (PARTS - 1);
        start..start + SAMPLE / PARTS
    };

    let spread = (whole.is_none()).then(|| (0..PARTS).map(part));
    whole.into_iter().chain(spread.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Returns the size of a page in `shape`.
    fn size(compressor: &mut Compressor, shape: Shape, values: &[i64]) -> usize {
        let mut encoded = Vec::new();
        delta::encode(shape, values, &mut encoded);
        compressor.compress(&encoded).unwrap().len()
    }

    /// Makes a page of about 6,000 integers: some series of one kind, each with `samples` samples.
    fn page(random: &mut StdRng, kind: usize, samples: usize) -> Vec<i64> {
        let mut values = Vec::new();

        for _ in 0..6000usize.div_ceil(samples) {
            let mut at = random.random_range(0..1_000_000_000i64);
            let rate = random.random_range(1..5000);

            for sample in 0..samples {
                at += match kind {
                    0 => 0,
                    1 => random.random_range(0..rate),
                    2 => random.random_range(-rate..rate),
                    3 => i64::from(sample % 4 == 0) * rate,
                    4 => [0, 0, 0, 1, 4096, 8192][random.random_range(0..6)],
                    5 => 15_000 + i64::from(random.random_range(0..50) == 0),
                    _ => (random.random_range(0..rate) * random.random_range(0..rate)) >> 8,
                };
                values.push(at);
            }
        }

        values
    }

    #[test]
    fn a_sample_loses_less_than_a_hundredth() {
        let mut random = StdRng::seed_from_u64(8);
        let mut compressor = Compressor::new(3).unwrap();
        let mut scratch = Vec::new();
        let mut best = 0;
        let mut chosen = 0;
        let mut wins = [0; 2];

        for samples in [60, 480, 5760] {
            for kind in (0..7).cycle().take(70) {
                let values = page(&mut random, kind, samples);
                let exact = size(&mut compressor, Shape::Exact, &values);
                let canonical = size(&mut compressor, Shape::Canonical, &values);

                best += exact.min(canonical);
                wins[usize::from(canonical < exact)] += 1;
                chosen += match smaller(&mut compressor, &values, &mut scratch).unwrap() {
                    Shape::Exact => exact,
                    Shape::Canonical => canonical,
                };
            }
        }

        assert!(wins.iter().all(|wins| *wins > 20), "{wins:?}");
        assert!((chosen - best) * 100 < best, "{chosen} instead of {best}");
    }

    #[test]
    fn a_sample_is_a_part_of_the_page() {
        for count in [0, 1, SAMPLE, SAMPLE + 1, 6000, 65_536] {
            let parts: Vec<_> = parts(count).collect();
            assert_eq!(
                parts.iter().map(Range::len).sum::<usize>(),
                count.min(SAMPLE)
            );
            assert!(parts.iter().all(|part| part.end <= count));
            assert_eq!(parts.last().unwrap().end, count);
        }
    }
}
