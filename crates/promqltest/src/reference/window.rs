//! What a range vector has of one series.

use super::labels::LabelSet;
use super::value::Sample;

/// One series of a range vector: its samples with `start_ms < time <= end_ms`.
pub(super) struct Window {
    pub(super) labels: LabelSet,
    pub(super) nameless: bool,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) samples: Vec<(i64, Sample)>,
    pub(super) edges: Edges,
}

/// What counts at the edges of a window.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Edges {
    Plain,
    /// Samples as old as the look-back stand in the window as well, so that the last one before the
    /// start says what was then.
    Anchored,
    /// Samples of the look-back to both sides stand in it, so that values at the edges lie on the
    /// line between two.
    Smoothed,
}
