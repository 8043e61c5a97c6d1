//! How far a writer's log stands in blocks.

use duramen_model::{Incarnation, WriterId};
use serde::{Deserialize, Serialize};

/// How far a writer's WAL stands in blocks: everything before `position` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flushed {
    pub writer: WriterId,
    /// The process that flushed, as its writer counts them.
    pub epoch: u64,
    /// The process that flushed, and no other that counts the same.
    #[serde(default, skip_serializing_if = "Incarnation::is_unknown")]
    pub incarnation: Incarnation,
    /// The first position of the writer's WAL that is not in a block of this tenant. Never goes
    /// back.
    pub position: u64,
    /// The number of the flush, counted over all epochs of the writer. Rises with each flush of
    /// this tenant.
    pub flush: u64,
}
