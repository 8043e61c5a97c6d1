//! A block of the output.

use bytes::Bytes;
use duramen_model::BlockEntry;

/// One block of the output.
#[derive(Debug)]
pub struct MergedBlock {
    pub entry: BlockEntry,
    /// The files by name, `meta` last. Empty for a block in a folder.
    pub files: Vec<(String, Bytes)>,
}
