//! What is in memory: the series of each tenant and the samples that are not in a committed block.

mod chunk;
mod generation;
mod registry;
mod source;
mod tenant;

pub(crate) use generation::{Applied, Conflict, Generation};
pub(crate) use registry::Slot;
pub(crate) use tenant::{Frozen, Held, TenantHead};
