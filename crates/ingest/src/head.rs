//! What is in memory: the series of each tenant and the samples that are not in a committed block.

use std::collections::HashMap;
use std::sync::Arc;

use duramen_model::TenantId;
use parking_lot::RwLock;

mod chunk;
mod exemplars;
mod families;
mod generation;
mod moments;
mod registry;
mod rows;
mod series;
mod snapshot;
mod source;
mod tenant;

pub(crate) use families::Families;
pub use generation::Kept;
pub(crate) use generation::{Applied, Conflict, Generation, Samples};
pub(crate) use moments::NOW;
pub(crate) use registry::{OpenSegment, Registry, Slot, SlotPin};
pub(crate) use rows::Rows;
pub(crate) use series::SeriesAt;
pub(crate) use tenant::{Frozen, FrozenSamples, Past, TenantHead};

/// The heads of a process. A head is put in before the first write to it is sent to the commit
/// thread.
pub(crate) type HeadMap = Arc<RwLock<HashMap<TenantId, Arc<TenantHead>>>>;
