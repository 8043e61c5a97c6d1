//! The settings of the ingester.

use std::time::Duration;

use duramen_block::BlockLimits;
use duramen_proto::TypeAndUnitLabels;

/// Settings of the ingester.
#[derive(Clone, Debug)]
pub struct Config {
    /// A tenant's head is flushed this long after its first sample. Shorter: less WAL to replay and
    /// less memory. Each flush of a tenant costs three PUTs per block and one for the manifest.
    pub flush_interval: Duration,
    /// The memory of all heads at which the largest are flushed, in bytes. At twice this, writes
    /// are refused with 503 until a flush has made room.
    pub head_bytes_max: usize,
    /// The memory for the series and metadata of all heads, in bytes. Beyond it, new series are
    /// refused.
    pub series_bytes_max: usize,
    /// The largest WAL segment, in bytes.
    pub wal_segment_bytes_max: u64,
    /// Bytes of decoded requests that are handled at once. Further requests wait for up to
    /// [`Config::write_wait_max`].
    pub writes_in_flight_bytes_max: usize,
    /// How long a write waits for its permit before it is refused as overload.
    pub write_wait_max: Duration,
    /// How many tenants may exist. A write for one more is refused.
    pub tenants_max: usize,
    /// Whether type and unit of a metric, as sent with remote write 2.0, become labels of its
    /// series.
    pub type_and_unit_labels: TypeAndUnitLabels,
    /// When a block of a flush is full, and the rest of its window goes into a sibling.
    pub block_limits: BlockLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            flush_interval: Duration::from_secs(15 * 60),
            head_bytes_max: 512 << 20,
            series_bytes_max: 4 << 30,
            wal_segment_bytes_max: 128 << 20,
            writes_in_flight_bytes_max: 256 << 20,
            write_wait_max: Duration::from_secs(10),
            tenants_max: 100_000,
            type_and_unit_labels: TypeAndUnitLabels::AsSent,
            block_limits: BlockLimits::default(),
        }
    }
}
