//! The metric families of blocks.
//!
//! A flush writes either all families that its head knows, or none. So the newest block of a writer
//! with any families has all of them, and older blocks need not be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_block::{Block, BlockSource, OpenOptions};
use duramen_bucket::{Bucket, keys};
use duramen_model::{BlockEntry, FamilyMetadata, TenantId, WriterId};
use duramen_source::{Error, Reads, SeriesSource};

/// Returns the newest block with metadata of each writer.
pub fn newest<'a>(
    blocks: impl Iterator<Item = &'a Arc<BlockEntry>>,
) -> BTreeMap<WriterId, Arc<BlockEntry>> {
    let mut newest: BTreeMap<WriterId, Arc<BlockEntry>> = BTreeMap::new();

    for entry in blocks.filter(|entry| entry.stats.families > 0) {
        let last = newest
            .entry(entry.order.max.writer)
            .or_insert_with(|| Arc::clone(entry));

        if (entry.order.max, entry.id) > (last.order.max, last.id) {
            *last = Arc::clone(entry);
        }
    }

    newest
}

/// Returns the metric families of a block. The block does not stay open.
///
/// Two trips: 1 GET of `meta` (with 1 of a series file up to 64 KiB), and 1 of the metadata.
pub async fn read(
    bucket: &Bucket,
    tenant: TenantId,
    entry: &BlockEntry,
) -> Result<Vec<FamilyMetadata>, Error> {
    let directory = keys::block(tenant, entry);
    let block = Block::open(
        bucket.store(),
        directory.clone(),
        &entry.stats,
        OpenOptions::default(),
        &Reads::default(),
    )
    .await
    .map_err(|error| error.of_block(&directory))?;

    BlockSource::new(block).metadata().await
}

#[cfg(test)]
mod tests {
    use duramen_model::{BlockId, BlockStats, Content, Order, OrderRange};
    use ulid::Ulid;

    use super::*;

    /// Makes a block of flush `flush` of `writer`.
    fn block(id: u128, writer: u128, flush: u64, families: u64) -> Arc<BlockEntry> {
        let order = Order {
            opened: flush,
            writer: WriterId(Ulid(writer)),
            flush,
        };

        let stats = BlockStats {
            series: 1,
            samples: 1,
            histograms: 0,
            exemplars: 0,
            families,
            ttl_max_ms: 0,
            min_ts_ms: 0,
            max_ts_ms: 0,
            names: None,
            files: vec![],
            meta_bytes: 0,
            meta_crc32c: 0,
        };

        let id = BlockId(Ulid(id));
        let order = OrderRange {
            min: order,
            max: order,
        };

        Arc::new(BlockEntry {
            id,
            order,
            level: 0,
            resolution_ms: None,
            retention: String::new(),
            home: None,
            content: Content::default(),
            rolled: Vec::new(),
            stats,
        })
    }

    #[test]
    fn metadata_is_read_from_the_last_block_of_each_writer_that_has_any() {
        let blocks = [
            block(1, 1, 5, 2),
            block(2, 1, 7, 2),
            block(3, 1, 8, 0),
            block(4, 2, 1, 3),
            block(5, 3, 9, 0),
        ];

        let newest = newest(blocks.iter());
        assert_eq!(
            newest
                .values()
                .map(|entry| entry.id.0.0)
                .collect::<Vec<_>>(),
            [2, 4]
        );
    }
}
