//! The parts that flushes use: the heads, the disk of the log, staging and the bucket.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use duramen_blocks::{Publisher, Staging};
use duramen_bucket::Bucket;
use duramen_limits::LimitsHandle;
use duramen_model::WriterId;
use duramen_runtime::{Clock, Disk};

use crate::commit::CommitHandle;
use crate::config::Config;
use crate::error::Error;
use crate::head::{Rows, TenantHead};
use crate::heads::TenantHeads;
use crate::metrics::Metrics;
use crate::room::Room;

/// The parts that flushes use, shared by all of them.
#[derive(Debug)]
pub(crate) struct Flusher {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: LimitsHandle,
    pub(crate) metrics: Metrics,
    pub(crate) bucket: Bucket,
    pub(crate) publisher: Publisher,
    pub(crate) heads: Arc<TenantHeads>,
    pub(crate) commit: CommitHandle,
    /// The disk and the directory of the log, and the writer in its segments.
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) wal_dir: PathBuf,
    pub(crate) log: WriterId,
    pub(crate) room: Arc<Room>,
    /// The size of the log in bytes, as the commit thread reports it.
    pub(crate) wal_bytes: Arc<AtomicU64>,
    pub(crate) staging: Staging,
    /// Whether this process must publish nothing any more.
    pub(crate) closed: AtomicBool,
    /// The reason, if another process has published under this one's name.
    pub(crate) fenced: OnceLock<String>,
}

impl Flusher {
    /// Returns whether the log should free space on its disk.
    pub(crate) fn is_disk_low(&self) -> bool {
        self.room.is_low(self.wal_bytes.load(Ordering::Relaxed))
    }

    /// Deletes the ballast, the space that is reserved for a full disk.
    pub(crate) async fn make_way(&self) {
        let room = Arc::clone(&self.room);
        let _ = tokio::task::spawn_blocking(move || room.make_way()).await;
    }

    /// Creates the ballast again once there is space.
    pub(crate) async fn settle_disk(&self) {
        let room = Arc::clone(&self.room);
        let _ = tokio::task::spawn_blocking(move || room.settle()).await;
    }

    /// Logs all metadata of the tenant again. It is in the open generation when this returns.
    pub(crate) async fn log_families(&self, head: &Arc<TenantHead>) -> Result<(), Error> {
        let rows = Rows {
            metadata: head.all_families(),
            ..Rows::default()
        };

        let permit = self.heads.intake.memory.permit_for_own_rows().await?;
        let pin = head.registry.read().pin();

        self.commit.write(head, rows, 0, permit, pin).await?;
        Ok(())
    }
}
