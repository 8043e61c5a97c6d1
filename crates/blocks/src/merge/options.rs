//! How blocks are merged.

use duramen_block::BlockLimits;

/// How blocks are merged.
#[derive(Clone, Debug)]
pub struct MergeOptions {
    /// The memory of a merge, whatever comes in. A merge that would need more fails. This can only
    /// happen if one series, or one batch of large histograms, takes more than about a quarter of
    /// it in all inputs together: at 16 bytes a sample, 8 million samples in 512 MiB.
    pub memory_bytes_max: usize,
    /// When an output is cut into siblings. The limit of labels is lowered if the memory is small.
    pub limits: BlockLimits,
}

impl Default for MergeOptions {
    fn default() -> Self {
        Self {
            memory_bytes_max: 512 << 20,
            limits: BlockLimits::default(),
        }
    }
}
