//! The heads: for each tenant, its series and the samples that are not in a committed block yet.
//!
//! Rows come from `admit` through the commit thread and are applied in the order of the log.
//! Queries read views, and flushes take frozen generations. In the order of a sample:
//!
//! - `tenant.rs`: the head of one tenant: its registry, its open generation and its frozen ones.
//! - `registry.rs`: the series with their labels; `families.rs`: the metadata of metric families.
//! - `rows.rs`: the rows of one record; `generation.rs`: applies them, between two freezes.
//! - `series.rs`: the samples of one series: floats in `chunk.rs`, and `histograms.rs`;
//!   `exemplars.rs`: the exemplars of all series.
//! - `column.rs`: the lists of both, which grow without a copy.
//! - `moments.rs`: what queries see while records are applied; `snapshot.rs`, `source.rs`: the
//!   views.

use std::collections::HashMap;
use std::sync::Arc;

use duramen_model::TenantId;
use parking_lot::RwLock;

mod chunk;
mod column;
mod exemplars;
mod families;
mod generation;
mod histograms;
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

/// The heads of a process. A head is inserted before the first write to it is sent to the commit
/// thread.
pub(crate) type HeadMap = Arc<RwLock<HashMap<TenantId, Arc<TenantHead>>>>;
