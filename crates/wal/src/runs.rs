//! A column of integers as runs of equal steps.
//!
//! The references of a request often rise by one, and the samples of one scrape share a time, so a
//! column of thousands is often a single run. A run has two varints: the step from one value to the
//! next (the first value starts from 0) in zigzag form, and its length.

#![deny(clippy::indexing_slicing)]

use crate::varint::{Input, put_varint, unzigzag, zigzag};

pub(crate) fn put_runs(out: &mut Vec<u8>, column: impl Iterator<Item = i64>) {
    let mut previous = 0i64;
    let mut step = 0i64;
    let mut length = 0u64;

    for value in column {
        let next_step = value.wrapping_sub(previous);
        previous = value;

        if length > 0 && next_step != step {
            put_run(out, step, length);
            length = 0;
        }

        step = next_step;
        length += 1;
    }

    if length > 0 {
        put_run(out, step, length);
    }
}

fn put_run(out: &mut Vec<u8>, step: i64, length: u64) {
    put_varint(out, zigzag(step));
    put_varint(out, length);
}

/// Hands `count` values to `each`. Returns `None` if the runs have more or fewer values, or if
/// `each` refuses one.
pub(crate) fn take_runs(
    input: &mut Input<'_>,
    count: usize,
    mut each: impl FnMut(i64) -> Option<()>,
) -> Option<()> {
    let mut value = 0i64;
    let mut left = count;

    while left > 0 {
        let step = unzigzag(input.varint()?);
        let length = input.length()?;

        if length == 0 || length > left {
            return None;
        }

        for _ in 0..length {
            value = value.wrapping_add(step);
            each(value)?;
        }

        left -= length;
    }

    Some(())
}
