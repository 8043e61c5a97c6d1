//! What a merge makes.

use duramen_model::{RolledDay, TimeRange};

/// What a merge makes of its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeTask {
    /// Whether the samples themselves are written.
    pub writes_samples: bool,
    pub rollups: Option<RollupTask>,
}

/// The rollups that are made of the samples of one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupTask {
    /// The day, and what its samples are.
    pub day: RolledDay,
    /// One output for each.
    pub resolutions_ms: Vec<i64>,
}

impl MergeTask {
    /// Writes the samples, and makes no rollups.
    pub const SAMPLES: Self = Self {
        writes_samples: true,
        rollups: None,
    };

    /// The times of which samples are read.
    pub(super) fn range(&self) -> TimeRange {
        match &self.rollups {
            Some(rollups) if !self.writes_samples => rollups.day.range(),
            _ => TimeRange::ALL,
        }
    }
}
