//! When blocks are merged.

use std::time::Duration;

/// When blocks are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// A window is over so long after its end. By then the flushes that have its last samples are
    /// committed.
    pub settle: Duration,
    /// So many fragments of one level are merged while their window is still open. `usize::MAX`
    /// merges nothing in an open window.
    pub fragments_min: usize,
    /// A window that is over is merged as a whole if its largest output has at most so many times
    /// the bytes of the rest. So a few late samples do not write a whole day again.
    pub growth_max: u64,
    /// What is too small for `growth_max` is merged when it has stood for so long.
    pub late_wait: Duration,
    /// Blocks are written again without deleted samples so long after the deletion, if no merge has
    /// left them out before. Several deletions in this time cost as much as one.
    pub clean_wait: Duration,
    /// A merge takes at most so many blocks, but always two outputs of earlier merges or flushes.
    pub inputs_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            settle: Duration::from_mins(30),
            fragments_min: 4,
            growth_max: 8,
            late_wait: Duration::from_hours(24),
            clean_wait: Duration::from_hours(24),
            inputs_max: 256,
        }
    }
}
