//! The commands of the commit thread.

use std::sync::Arc;

use duramen_wal::Position;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::head::{Applied, Rows, SlotPin, TenantHead};
use crate::permit::MemoryPermit;

/// A command for the commit thread.
#[derive(Debug)]
pub(crate) enum Command {
    Write(Box<Write>),
    /// Ends the tenant's open generation between two records. The answer is the position of the
    /// next record.
    Freeze {
        head: Arc<TenantHead>,
        done: oneshot::Sender<Position>,
    },
    /// Deletes the segments that no head needs any more.
    Trim,
    /// Gives no record a position before this one: a manifest names these positions as flushed.
    SkipTo {
        position: Position,
    },
}

/// The admitted part of one request.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) head: Arc<TenantHead>,
    pub(crate) rows: Rows,
    /// The tenant's limit at the time of the request.
    pub(crate) exemplars_max: usize,
    /// Ends when the rows are applied, even if the request was given up.
    pub(crate) permit: MemoryPermit,
    /// The series in the rows keep their numbers until the rows are applied.
    pub(crate) pin: SlotPin,
    /// Gets the answer once the samples are durable and readable.
    pub(crate) done: oneshot::Sender<Result<Applied, Error>>,
}
