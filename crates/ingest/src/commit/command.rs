//! What the commit thread is to do.

use std::sync::Arc;

use duramen_wal::Position;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::head::{Applied, Frozen, Rows, SlotPin, TenantHead};
use crate::permit::MemoryPermit;

/// See the module's text.
#[derive(Debug)]
pub(crate) enum Command {
    Write(Box<Write>),
    /// Ends the tenant's open generation between two records.
    Freeze {
        head: Arc<TenantHead>,
        done: oneshot::Sender<Option<Arc<Frozen>>>,
    },
    /// Deletes the segments that no head needs any more.
    Trim,
    /// Gives no position before this one any more: a manifest has it as flushed.
    SkipTo {
        position: Position,
    },
}

/// What was admitted of one request.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) head: Arc<TenantHead>,
    pub(crate) rows: Rows,
    /// The tenant's limit when the request came.
    pub(crate) exemplars_max: usize,
    /// Ends when the rows are applied, whoever still waits for it.
    pub(crate) permit: MemoryPermit,
    /// The series in the rows keep their numbers until they are applied.
    pub(crate) pin: SlotPin,
    /// Answered once the samples are durable and readable.
    pub(crate) done: oneshot::Sender<Result<Applied, Error>>,
}
