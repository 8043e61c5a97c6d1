//! Integers, encoded as the change of their change.

use super::bits::{BitReader, BitWriter};
use super::varbit::{put_int, take_int};

/// A number and its last change. Overflows wrap around, both when writing and when reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delta {
    value: i64,
    change: i64,
}

impl Delta {
    pub(super) const fn new(first: i64) -> Self {
        Self {
            value: first,
            change: 0,
        }
    }

    pub(super) const fn value(self) -> i64 {
        self.value
    }

    /// Appends `value` and continues from it.
    pub(super) fn put(&mut self, out: &mut BitWriter, value: i64) {
        let change = value.wrapping_sub(self.value);
        put_int(out, change.wrapping_sub(self.change));
        *self = Self { value, change };
    }

    /// Reads the next value and continues from it.
    pub(super) fn take(&mut self, input: &mut BitReader<'_>) -> Option<i64> {
        self.change = self.change.wrapping_add(take_int(input)?);
        self.value = self.value.wrapping_add(self.change);
        Some(self.value)
    }
}
