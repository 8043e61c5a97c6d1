//! When blocks are merged.

use std::time::Duration;

use duramen_model::BlockId;
use duramen_source::rollup::RESOLUTIONS_MS;

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
    /// The resolutions of the rollups that are made of each day, ascending.
    pub rollups_ms: Vec<i64>,
}

impl Policy {
    /// The default, with rollups or without.
    #[must_use]
    pub fn with_rollups(rollups: bool) -> Self {
        Self {
            rollups_ms: match rollups {
                true => RESOLUTIONS_MS.to_vec(),
                false => Vec::new(),
            },
            ..Self::default()
        }
    }

    /// Whether a block was made so long ago that it is merged even if it is small.
    pub(crate) fn has_waited(&self, block: BlockId, now_ms: i64) -> bool {
        let wait_ms = i64::try_from(self.late_wait.as_millis()).unwrap_or(i64::MAX);
        let made_ms = i64::try_from(block.0.timestamp_ms()).unwrap_or(i64::MAX);
        made_ms.saturating_add(wait_ms) <= now_ms
    }
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
            rollups_ms: Vec::new(),
        }
    }
}
