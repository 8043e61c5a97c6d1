//! The knobs of a WAL.

/// How a WAL is written. Reading needs no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// A segment of at least this many bytes asks for the next one. It may end up larger by what
    /// one sync writes. Smaller: disk space comes back sooner after a flush, at one file with two
    /// syncs, and all series defined again, per segment.
    pub segment_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_bytes_max: 128 << 20,
        }
    }
}
