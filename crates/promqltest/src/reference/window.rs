//! A range vector's samples of one series.

use super::labels::LabelSet;
use super::value::Sample;

/// The samples of one series with `start_ms < time <= end_ms`. `edges` may add samples around
/// these.
pub(super) struct Window {
    pub(super) labels: LabelSet,
    pub(super) nameless: bool,
    pub(super) start_ms: i64,
    pub(super) end_ms: i64,
    pub(super) samples: Vec<(i64, Sample)>,
    pub(super) edges: Edges,
}

/// Which samples at the edges of a window count.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Edges {
    Plain,
    /// The window also has samples from one look-back before its start. The last one at or before
    /// the start gives the value there.
    Anchored,
    /// The window also has samples from one look-back before its start and after its end. Values at
    /// the edges are interpolated.
    Smoothed,
}
