//! The record of a block. The block's writer makes it, the manifest keeps it, queries and
//! compaction read it.

use serde::{Deserialize, Serialize};

use crate::content::Content;
use crate::order::{Order, OrderRange};
use crate::rolled::RolledDay;
use crate::{BlockId, METRIC_NAME, Matcher, TenantId, TimeRange};

/// One file of a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlockFile {
    pub name: String,
    pub bytes: u64,
}

/// The first and the last `__name__` of the series of a block, both inclusive, in the order of
/// their bytes. A series without a `__name__` counts as "".
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NameBounds {
    pub first: String,
    pub last: String,
}

impl NameBounds {
    /// Whether a series with a name in these bounds may pass all matchers. False only if none can.
    pub fn may_match(&self, matchers: &[Matcher]) -> bool {
        matchers
            .iter()
            .filter(|matcher| matcher.name == METRIC_NAME)
            .all(|matcher| matcher.may_match_within(self.first.as_bytes(), self.last.as_bytes()))
    }
}

/// Counts and sizes of a block, as its writer found them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockStats {
    pub series: u64,
    /// The number of float samples; of a rollup, the number of its rows.
    pub samples: u64,
    /// The number of native histograms.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub histograms: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub exemplars: u64,
    /// The number of metric families with metadata.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub families: u64,
    /// The longest life span of a sample ([`crate::Life::ttl_ms`]); 0 when no sample has one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ttl_max_ms: i64,
    /// The first and the last timestamp that the block holds, both inclusive.
    pub min_ts_ms: i64,
    pub max_ts_ms: i64,
    /// `None` if the block has no series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<NameBounds>,
    /// All files but `meta`.
    pub files: Vec<BlockFile>,
    /// The size of `meta`, and the CRC32C of all its bytes.
    pub meta_bytes: u64,
    pub meta_crc32c: u32,
}

/// Zeros are not written, so that the entries of most blocks stay short.
fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

impl BlockStats {
    /// The time range from the first to the last sample of the block.
    ///
    /// # Panics
    /// When `max_ts_ms < min_ts_ms`, which the manifest's decoder refuses.
    pub fn range(&self) -> TimeRange {
        TimeRange::closed(self.min_ts_ms, self.max_ts_ms)
            .expect("a block holds at least one sample")
    }

    /// The size of all files in bytes, `meta` included.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum::<u64>() + self.meta_bytes
    }
}

/// One live block of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockEntry {
    pub id: BlockId,
    pub order: OrderRange,
    /// How many merges, one after the other, made the block; 0 for a flush.
    pub level: u8,
    /// The interval of downsampled points; `None` for raw samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution_ms: Option<i64>,
    /// The class of retention. "" is the default class.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub retention: String,
    /// The tenant whose folder has the objects. `None`: the tenant of the manifest itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<TenantId>,
    /// The flushes that the block stands for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub content: Content,
    /// Which samples a rollup stands for, day by day, ascending. Empty for raw samples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rolled: Vec<RolledDay>,
    #[serde(flatten)]
    pub stats: BlockStats,
}

impl BlockEntry {
    /// Returns the entry of a block that a flush made: raw samples of the default class, in the
    /// folder of its own tenant.
    pub fn of_flush(id: BlockId, order: Order, content: Content, stats: BlockStats) -> Self {
        Self {
            id,
            order: OrderRange {
                min: order,
                max: order,
            },
            level: 0,
            resolution_ms: None,
            retention: String::new(),
            home: None,
            content,
            rolled: Vec::new(),
            stats,
        }
    }

    /// The tenant whose folder has the objects of the block. `tenant` is that of the manifest.
    pub fn home_of(&self, tenant: TenantId) -> TenantId {
        self.home.unwrap_or(tenant)
    }
}
