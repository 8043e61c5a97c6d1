//! What of the ingester can be set.

use std::time::Duration;

/// Settings of the ingester.
#[derive(Clone, Debug)]
pub struct Config {
    /// A tenant's head is flushed this long after its first sample. Shorter: less WAL to replay and less memory, at three PUTs a block
    /// and one a manifest edit for each tenant and flush.
    pub flush_interval: Duration,
    /// The memory of all heads at which the largest are flushed, in bytes. At twice this, writes are refused
    /// with 503 until a flush has made room.
    pub head_bytes_max: usize,
    /// The largest WAL segment, in bytes.
    pub wal_segment_bytes_max: u64,
    /// Bytes of decoded requests that are in work at once; more wait for up to [`Config::write_wait_max`].
    pub writes_in_flight_bytes_max: usize,
    /// How long a write waits for its turn before it is refused as overload.
    pub write_wait_max: Duration,
    /// How many tenants may exist. A write for one more is refused.
    pub tenants_max: usize,
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            flush_interval: Duration::from_secs(15 * 60),
            head_bytes_max: 512 << 20,
            wal_segment_bytes_max: 128 << 20,
            writes_in_flight_bytes_max: 256 << 20,
            write_wait_max: Duration::from_secs(10),
            tenants_max: 100_000,
            limits: Limits::default(),
        }
    }
}

/// What one tenant may send.
#[derive(Clone, Debug)]
pub struct Limits {
    /// A request's body after snappy, in bytes.
    pub decoded_body_bytes_max: usize,
    pub label_name_bytes_max: usize,
    pub label_value_bytes_max: usize,
    /// Labels of one series, `__name__` included.
    pub labels_per_series_max: usize,
    /// How far ahead of the clock a sample may be.
    pub future_max: Duration,
    /// Series of one tenant in the head.
    pub series_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            decoded_body_bytes_max: 32 << 20,
            label_name_bytes_max: 1024,
            label_value_bytes_max: 2048,
            labels_per_series_max: 60,
            future_max: Duration::from_secs(10 * 60),
            series_max: 5_000_000,
        }
    }
}
