//! Which blocks are beyond their retention. Pure.

use std::sync::Arc;

use duramen_model::{BlockEntry, BlockId};
use duramen_source::Retention;

/// Returns the blocks whose last sample is not kept any more, whatever series it belongs to.
///
/// If series are kept for different times, the longest one that a series of the block may have
/// counts: its samples lie beside those of others.
pub fn expired<'a>(
    blocks: impl IntoIterator<Item = &'a Arc<BlockEntry>>,
    retention: &Retention,
) -> Vec<BlockId> {
    let is_expired = |entry: &&Arc<BlockEntry>| {
        let names = entry.stats.names.as_ref();
        entry.stats.max_ts_ms < retention.earliest_within_ms(names)
    };

    let expired = blocks.into_iter().filter(is_expired);
    expired.map(|entry| entry.id).collect()
}
