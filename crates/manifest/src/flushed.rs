//! How much of a writer's log is in blocks.

use duramen_model::{Incarnation, WriterId};
use serde::{Deserialize, Serialize};

/// How much of a writer's WAL is in blocks: everything before `position`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flushed {
    pub writer: WriterId,
    /// The epoch of the process that flushed.
    pub epoch: u64,
    /// The process that flushed. It differs from other processes with the same epoch.
    pub incarnation: Incarnation,
    /// The first position of the writer's WAL that is not in a block of this tenant. It never
    /// decreases.
    pub position: u64,
    /// The number of the flush, counted over all epochs of the writer. It increases with each flush
    /// of this tenant.
    pub flush: u64,
}

/// Numbers that are 0 are not written.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
pub(crate) fn is_zero(number: &u64) -> bool {
    *number == 0
}
