//! What it takes to know a series again: hashes of its label bytes.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table keyed by [`hash_labels`]: the key is its own hash.
pub(crate) type SeriesTable<V> = HashMap<u64, V, BuildHasherDefault<Identity>>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash_labels(bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

fn words(chunk: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*chunk);
    (both as u64, (both >> 64) as u64)
}

/// Multiplies and folds 16 bytes at a time: about as cheap as a hash of good quality gets.
#[inline]
pub(crate) fn hash_labels(bytes: &[u8]) -> u64 {
    const SALT: u64 = 0x8bb8_4b93_962e_acc9;

    let mix = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        product as u64 ^ (product >> 64) as u64
    };

    let (chunks, rest) = bytes.as_chunks::<16>();
    let start = bytes.len() as u64 ^ 0x2d35_8dcc_aa6c_78a5;
    let hash = chunks
        .iter()
        .map(words)
        .fold(start, |hash, (low, high)| mix(low ^ SALT, high ^ hash));

    let mut last = [0; 16];
    last[..rest.len()].copy_from_slice(rest);

    let (low, high) = words(&last);
    mix(low ^ SALT, high ^ hash)
}

/// One pass over the whole words that the compiler can vectorise: what comparing them with a
/// predicted series costs.
#[inline]
pub(crate) fn compare_cost(bytes: &[u8]) -> u64 {
    bytes
        .as_chunks::<8>()
        .0
        .iter()
        .fold(0, |sum, chunk| sum ^ u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_and_the_length_count() {
        let bytes: Vec<u8> = (0..40).collect();
        let mut seen = std::collections::HashSet::new();

        for len in 0..=40 {
            assert!(seen.insert(hash_labels(&bytes[..len])));
        }

        for at in 0..40 {
            let mut other = bytes.clone();
            other[at] ^= 1;

            assert!(seen.insert(hash_labels(&other)), "at={at}");
        }
    }
}
