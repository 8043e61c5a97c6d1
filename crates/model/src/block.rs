//! What is recorded of a block: made by the block's writer, kept by the manifest, read by queries
//! and compaction.

use serde::{Deserialize, Serialize};

use crate::{BlockId, TimeRange, WriterId};

/// Where a flush stands among all others: of two values for one (series, time) the one of the
/// smaller order wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Order {
    /// When the generation that was flushed began to take samples: a hybrid logical clock,
    /// milliseconds in the upper 48 bits, a counter in the lower 16.
    pub opened: u64,
    pub writer: WriterId,
    /// Counts the generations of this writer, over all its epochs.
    pub flush: u64,
}

/// The orders `[min, max]` that went into a block; equal ends for a block that came from one flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrderRange {
    pub min: Order,
    pub max: Order,
}

/// One file of a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockFile {
    pub name: String,
    pub bytes: u64,
}

/// What the writer of a block says of its contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockStats {
    pub series: u64,
    /// Floats.
    pub samples: u64,
    /// Native histograms.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub histograms: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub exemplars: u64,
    /// Metric families with metadata.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub families: u64,
    /// The longest life span of a sample ([`crate::Life::ttl_ms`]); 0 when none has one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ttl_max_ms: i64,
    /// The first and the last timestamp that the block holds, both inclusive.
    pub min_ts_ms: i64,
    pub max_ts_ms: i64,
    /// All files but `meta`.
    pub files: Vec<BlockFile>,
    /// The size of `meta`, and the CRC32C of all its bytes.
    pub meta_bytes: u64,
    pub meta_crc32c: u32,
}

/// Most blocks have none: their entries stay short.
fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

impl BlockStats {
    /// The times that the block really holds.
    ///
    /// # Panics
    /// When `max_ts_ms < min_ts_ms`, which the manifest's decoder refuses.
    pub fn range(&self) -> TimeRange {
        TimeRange::closed(self.min_ts_ms, self.max_ts_ms)
            .expect("a block holds at least one sample")
    }

    /// The size of everything, `meta` included.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum::<u64>() + self.meta_bytes
    }
}

/// One live block of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockEntry {
    pub id: BlockId,
    pub order: OrderRange,
    /// How many merges lie behind it; 0 for a flush.
    pub level: u8,
    /// The distance of downsampled points; `None` for raw samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution_ms: Option<i64>,
    #[serde(flatten)]
    pub stats: BlockStats,
}
