//! Names of entries.

use xxhash_rust::xxh3::xxh3_128;

/// Names one part of one file of a block. The folder begins with the tenant and ends with the id of
/// the block, so no tenant finds the bytes of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The file, the part and the folder.
    bytes: Box<[u8]>,
    digest: Digest,
}

/// A digest of a [`Key`]: where an engine looks for the entry. The entry itself has the whole key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(pub u128);

impl Key {
    /// Names the part `part` of the file with number `file` in the folder `folder`. Each file of a
    /// folder needs a number of its own, and must never change.
    pub fn new(folder: &str, file: u32, part: u32) -> Self {
        let mut bytes = Vec::with_capacity(8 + folder.len());
        bytes.extend_from_slice(&file.to_le_bytes());
        bytes.extend_from_slice(&part.to_le_bytes());
        bytes.extend_from_slice(folder.as_bytes());

        let digest = Digest(xxh3_128(&bytes));
        Self {
            bytes: bytes.into(),
            digest,
        }
    }

    pub const fn digest(&self) -> Digest {
        self.digest
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
