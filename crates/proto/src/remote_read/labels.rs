//! Encodes labels as both answers carry them: as field 1 of their message, in name order.

use duramen_model::labels::LabelsIter;

use crate::wire::{put_bytes, put_varint};

/// Appends the labels of an encoded form, as field 1.
pub(super) fn put_labels(out: &mut Vec<u8>, encoded: &[u8]) {
    for (name, value) in LabelsIter::over(encoded) {
        let length = text_bytes(name) + text_bytes(value);
        put_varint(out, 1 << 3 | 2);
        put_varint(out, length as u64);
        put_bytes(out, 1, name.as_bytes());
        put_bytes(out, 2, value.as_bytes());
    }
}

/// The size of a text field in bytes: tag, length and text.
const fn text_bytes(text: &str) -> usize {
    1 + varint_bytes(text.len() as u64) + text.len()
}

/// The size of a varint in bytes.
pub(super) const fn varint_bytes(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}
