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
