//! A block that is merged, before and after it is opened.

use std::sync::Arc;

use duramen_block::BlockSource;
use duramen_metrics::Counter;
use duramen_model::BlockEntry;
use duramen_source::Part;
use object_store::ObjectStore;
use object_store::path::Path;

/// A block to merge, and where its files are.
#[derive(Clone, Debug)]
pub struct MergeInput {
    pub entry: BlockEntry,
    pub store: Arc<dyn ObjectStore>,
    pub directory: Path,
}

/// An input that is open.
pub(super) struct OpenInput {
    pub(super) entry: BlockEntry,
    pub(super) source: BlockSource,
    /// The samples of the block that lost against a different value.
    pub(super) conflicts: Counter,
}

impl OpenInput {
    /// Returns the samples of the block with their order.
    pub(super) fn part(&self) -> Part {
        Part {
            order: self.entry.order.min,
            source: Arc::new(self.source.clone()),
            holds_samples: true,
        }
    }
}
