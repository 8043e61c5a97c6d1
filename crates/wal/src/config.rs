//! The settings of a WAL.

/// How a WAL is written. Reading needs no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// When the open segment has this many bytes, the log asks for the next one. A segment may end
    /// up larger by the bytes of one sync. Smaller: disk space comes back sooner after a flush.
    /// Each segment costs a file with two syncs, and defines all series again.
    pub segment_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_bytes_max: 128 << 20,
        }
    }
}
