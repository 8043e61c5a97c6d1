//! The histograms of one series in one generation.

use std::collections::BTreeMap;

use duramen_model::Life;

use super::moments::MomentNumber;

/// Histograms by their time.
#[derive(Debug, Default)]
pub(crate) struct Histograms {
    pub(super) by_time: BTreeMap<i64, StoredHistogram>,
    pub(super) bytes: usize,
}

/// One histogram.
#[derive(Debug)]
pub(crate) struct StoredHistogram {
    pub(crate) life: Life,
    /// The byte form of [`duramen_model::Histogram`].
    pub(crate) bytes: Box<[u8]>,
    /// The number of moments that had begun before it came.
    pub(super) since: MomentNumber,
}

impl Histograms {
    /// Returns their memory in bytes, roughly, beside that of this struct.
    pub(super) fn memory(&self) -> usize {
        /// An entry in the tree, with nodes two thirds full, and the head of an allocation.
        const HISTOGRAM: usize = 80;

        /// The first node of a tree, which exists from the first histogram on.
        const NODE: usize = 480;

        NODE + self.by_time.len() * HISTOGRAM + self.bytes
    }
}
