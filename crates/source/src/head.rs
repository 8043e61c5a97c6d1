//! What a head tells a query: the samples that no committed block has yet, and from where on that
//! is so.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_model::{Order, TenantId, WriterId};

use crate::{Error, SeriesSource};

/// A source whose values stand at one place among all values for one (series, time): of two
/// different ones the smaller order wins.
#[derive(Clone, Debug)]
pub struct Part {
    pub order: Order,
    pub source: Arc<dyn SeriesSource>,
}

/// What one head holds of a tenant at one moment: all that was applied up to one position of its
/// log, each write whole or not at all. Reading it later gives what was held then and nothing that
/// came since, wherever it has gone meanwhile.
#[derive(Clone, Debug)]
pub struct HeadSnapshot {
    /// Generations in memory and staged blocks.
    pub parts: Vec<Part>,
    /// What the head has given up.
    pub flushed: FlushedPosition,
}

/// All of a writer's WAL records before `position` are in blocks of every manifest whose own
/// flushed position for that writer is at least this one. A query that saw the head uses such a
/// manifest, or samples would be missing between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushedPosition {
    pub writer: WriterId,
    pub position: u64,
}

/// The way to the heads, in this process or in others.
#[async_trait]
pub trait Heads: Send + Sync + fmt::Debug {
    /// One snapshot for each head that may hold samples of the tenant. Asked before the manifest
    /// is.
    async fn snapshots(&self, tenant: TenantId) -> Result<Vec<HeadSnapshot>, Error>;
}
