//! Encodes a page of integers in the shape in which it is smaller.

use std::mem;
use std::ops::Range;

use parquet::errors::Result;

use crate::write::delta::{self, Shape};
use crate::write::page::Compressor;

/// A page of up to this many integers is encoded in both shapes.
const WHOLE: usize = 8192;
/// Both are tried on so many integers of a larger page.
const SAMPLE: usize = 2048;
/// A sample has so many parts, spread evenly over the page.
const PARTS: usize = 4;

/// Appends `values` to `body`, which may begin with levels, in the shape in which the page is
/// smaller after compression. Returns the compressed page. What is in `scratch` is lost.
pub(crate) fn encode_smaller(
    compressor: &mut Compressor,
    values: &[i64],
    body: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) -> Result<Vec<u8>> {
    if values.len() > WHOLE {
        let shape = smaller_sample(compressor, values, scratch)?;
        delta::encode(shape, values, body);
        return compressor.compress(body);
    }

    scratch.clear();
    scratch.extend_from_slice(body);
    delta::encode(Shape::Canonical, values, body);
    delta::encode(Shape::Exact, values, scratch);

    let canonical = compressor.compress(body)?;
    if body == scratch {
        return Ok(canonical);
    }

    let exact = compressor.compress(scratch)?;
    if canonical.len() <= exact.len() {
        return Ok(canonical);
    }

    mem::swap(body, scratch);
    Ok(exact)
}

/// Returns the shape in which a sample of `values` is smaller after compression.
fn smaller_sample(
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

/// Returns the parts of `count` values, at least [`SAMPLE`], that are the sample.
fn parts(count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..PARTS).map(move |index| {
        let start = (count - SAMPLE / PARTS) * index / (PARTS - 1);
        start..start + SAMPLE / PARTS
    })
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

    /// Makes a page of some `count` integers: series of one kind, each with `samples` samples.
    fn page(random: &mut StdRng, kind: usize, count: usize, samples: usize) -> Vec<i64> {
        let mut values = Vec::new();

        for _ in 0..count.div_ceil(samples) {
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
                let values = page(&mut random, kind, 2 * WHOLE, samples);
                let exact = size(&mut compressor, Shape::Exact, &values);
                let canonical = size(&mut compressor, Shape::Canonical, &values);

                best += exact.min(canonical);
                wins[usize::from(canonical < exact)] += 1;
                chosen += match smaller_sample(&mut compressor, &values, &mut scratch).unwrap() {
                    Shape::Exact => exact,
                    Shape::Canonical => canonical,
                };
            }
        }

        assert!(wins.iter().all(|wins| *wins > 20), "{wins:?}");
        assert!((chosen - best) * 100 < best, "{chosen} instead of {best}");
    }

    #[test]
    fn a_small_page_has_the_smaller_shape_behind_its_levels() {
        let mut random = StdRng::seed_from_u64(9);
        let mut compressor = Compressor::new(3).unwrap();
        let mut wins = [0; 2];

        for count in [0, 1, 100, WHOLE - 480] {
            for kind in (0..7).cycle().take(70) {
                let values = page(&mut random, kind, count, 60);
                let [exact, canonical] = [Shape::Exact, Shape::Canonical].map(|shape| {
                    let mut body = b"levels".to_vec();
                    delta::encode(shape, &values, &mut body);
                    (compressor.compress(&body).unwrap().len(), body)
                });

                let mut body = b"levels".to_vec();
                let mut scratch = b"of the page before".to_vec();
                let packed =
                    encode_smaller(&mut compressor, &values, &mut body, &mut scratch).unwrap();
                let best = if canonical.0 <= exact.0 {
                    &canonical
                } else {
                    &exact
                };

                assert_eq!((packed.len(), &body), (best.0, &best.1));
                assert_eq!(packed, compressor.compress(&body).unwrap());
                wins[usize::from(best.1 == exact.1)] += 1;
            }
        }

        assert!(wins.iter().all(|wins| *wins > 20), "{wins:?}");
    }

    #[test]
    fn a_sample_is_a_part_of_the_page() {
        for count in [SAMPLE, SAMPLE + 1, 6000, 65_536] {
            let parts: Vec<_> = parts(count).collect();
            assert_eq!(parts.iter().map(Range::len).sum::<usize>(), SAMPLE);
            assert!(parts.iter().all(|part| part.end <= count));
            assert_eq!(parts.last().unwrap().end, count);
        }
    }
}
