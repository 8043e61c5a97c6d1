//! The ranks of flushes, which decide between two values of one time.

use serde::{Deserialize, Serialize};

use crate::WriterId;

/// The rank of a flush among all flushes. When two flushes have a value for the same series and
/// time, the value of the smaller order wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Order {
    /// When the flushed generation began to take samples. A hybrid logical clock: milliseconds in
    /// the upper 48 bits, a counter in the lower 16.
    pub opened: u64,
    pub writer: WriterId,
    /// The number of the generation. A writer counts its generations over all its epochs.
    pub flush: u64,
}

/// The smallest and the largest order of the flushes in a block, both inclusive. They are equal
/// when the block came from one flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrderRange {
    pub min: Order,
    pub max: Order,
}
