//! The output of a merge.

use bytes::Bytes;
use duramen_block::Sibling;
use duramen_model::{BlockEntry, BlockId};

use crate::merge::entry::OutputEntry;
use crate::merge::report::MergeReport;

/// The output of a merge: one block or several siblings, in order.
#[derive(Debug, Default)]
pub struct Merged {
    pub blocks: Vec<MergedBlock>,
    pub report: MergeReport,
}

/// One block of the output.
#[derive(Debug)]
pub struct MergedBlock {
    pub entry: BlockEntry,
    /// The files by name, `meta` last. Empty for a block in a folder.
    pub files: Vec<(String, Bytes)>,
}

impl MergedBlock {
    pub(super) fn of(entry: &OutputEntry, sibling: Sibling<BlockId>) -> Self {
        Self {
            entry: entry.of_block(sibling.place, sibling.stats),
            files: sibling.files,
        }
    }
}
