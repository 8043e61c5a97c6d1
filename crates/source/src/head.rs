//! What a head gives to a query: the samples that are in no committed block yet, and the position
//! of the log where they begin.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_model::{Order, TenantId, WriterId};

use crate::{Error, SeriesSource};

/// A source with its order. If two parts have different values for the same series and time, the
/// value of the smaller order wins.
#[derive(Clone, Debug)]
pub struct Part {
    pub order: Order,
    pub source: Arc<dyn SeriesSource>,
    /// Whether the source may have samples, of any time. Without any it is not asked for them.
    pub holds_samples: bool,
}

/// The data of a tenant in one head at one moment: everything that was applied up to one position
/// of its log. It has each write completely or not at all. A later read gives the same data, even
/// if the head has flushed it meanwhile, and nothing newer.
#[derive(Clone, Debug)]
pub struct HeadSnapshot {
    /// Generations in memory and staged blocks.
    pub parts: Vec<Part>,
    /// For each part, the position of the log before which all of its records are; the largest
    /// number for the generation that is still open.
    pub ends: Vec<u64>,
    /// The position up to which the head has flushed its data and dropped it.
    pub flushed: FlushedPosition,
}

/// A position in the WAL of a writer. If the flushed position of a manifest for that writer is at
/// least this one, all records before `position` are in blocks of that manifest. A query that uses
/// a snapshot of the head must use such a manifest. Otherwise samples between the two would be
/// missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlushedPosition {
    pub writer: WriterId,
    pub position: u64,
}

/// Access to the heads, in this process or in others.
#[async_trait]
pub trait Heads: Send + Sync + fmt::Debug {
    /// One snapshot for each head that may have samples of the tenant. Call it before reading the
    /// manifest.
    async fn snapshots(&self, tenant: TenantId) -> Result<Vec<HeadSnapshot>, Error>;
}
