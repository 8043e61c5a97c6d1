//! Keeps the records of tenants in quarantine without keeping the log of all other tenants.

use std::collections::HashMap;
use std::sync::Arc;

use duramen_model::{Labels, TenantId};
use duramen_wal::Position;
use tracing::{info, warn};

use super::{CommitLoop, is_fatal};
use crate::error::Error;
use crate::head::TenantHead;
use crate::logged::resolve;

impl CommitLoop {
    /// Copies the records of tenants in quarantine from the oldest segment to the end of the log,
    /// so that the segment can be deleted. All other tenants have flushed up to `needed`.
    ///
    /// Copies one segment per call, and in total no more bytes than others have written since the
    /// start, so the log writes at most twice the bytes. A call reads the segment and does one
    /// write and one fdatasync. Writes wait for it.
    pub(super) fn carry(&mut self, needed: Position) -> Result<(), Error> {
        let segments = self.wal.segments();
        let [oldest, next, ..] = segments.as_slice() else {
            return Ok(());
        };
        let end = next.first_position;

        if end > needed || self.written < self.carried {
            return Ok(());
        }

        let waits = |head: &Arc<TenantHead>| {
            head.is_quarantined() && head.first_uncommitted().is_some_and(|first| first < end)
        };
        let heads: HashMap<TenantId, Arc<TenantHead>> = self
            .heads
            .read()
            .values()
            .filter(|head| waits(head))
            .map(|head| (head.id, Arc::clone(head)))
            .collect();

        if heads.is_empty() {
            return Ok(());
        }

        let mut slots = HashMap::new();
        let mut kept = Vec::new();

        self.wal.read(oldest.id, &mut |position, record| {
            let Some(head) = heads.get(&record.tenant) else {
                return;
            };
            let mut registry = head.registry.write();

            for (reference, encoded) in &record.series {
                if let Some(labels) = Labels::from_encoded(encoded) {
                    slots.insert((record.tenant, *reference), registry.intern(&labels));
                }
            }

            drop(registry);
            if position >= head.flushed() {
                let tenant = record.tenant;
                let (rows, _lost) =
                    resolve(record, |reference| slots.get(&(tenant, reference)).copied());
                kept.push((Arc::clone(head), rows));
            }
        })?;

        if self.wal.needs_rotation() {
            self.rotate()?;
        }

        let appended = kept
            .iter()
            .try_for_each(|(head, rows)| self.append_rows(head, rows).map(|_| ()));
        let bytes = self.wal.pending_bytes();

        if let Err(error) = self.wal.sync() {
            self.definitions.forget();
            warn!(%error, "records of a tenant in quarantine could not be moved; the log stays as long as it is");

            return if is_fatal(&error) {
                Err(error.into())
            } else {
                Ok(())
            };
        }

        self.carried += bytes as u64;
        if let Err(error) = appended {
            warn!(%error, "records of a tenant in quarantine could not be moved; the log stays as long as it is");
            return Ok(());
        }

        heads.values().for_each(|head| head.moved(end));
        info!(
            records = kept.len(),
            bytes, "moved records of tenants in quarantine to the end of the log"
        );

        Ok(())
    }
}
