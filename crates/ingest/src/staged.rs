//! Blocks on the local disk that are on their way to the bucket.

use std::path::PathBuf;
use std::sync::Arc;

use duramen_block::BlockSource;
use duramen_model::BlockEntry;
use duramen_source::SeriesSource;

/// A block that is complete in a directory of its own and is read there until the manifest has it.
///
/// It need not survive a loss of power: until the commit the WAL holds its samples, and a start throws staged blocks away.
#[derive(Clone, Debug)]
pub(crate) struct StagedBlock {
    pub(crate) entry: BlockEntry,
    pub(crate) directory: PathBuf,
    pub(crate) source: BlockSource,
}

impl StagedBlock {
    pub(crate) fn source(&self) -> Arc<dyn SeriesSource> {
        Arc::new(self.source.clone())
    }
}
