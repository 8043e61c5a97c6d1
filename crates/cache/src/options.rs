//! The bounds of a cache.

/// The bounds of a cache on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The most bytes that all entries take of the disk.
    pub disk_bytes_max: u64,
    /// The bytes that stay free on the disk. When there are less, the cache does not grow; one of
    /// plain files shrinks.
    pub free_bytes_min: u64,
}
