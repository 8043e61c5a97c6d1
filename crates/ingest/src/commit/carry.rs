//! Keeps the records of tenants in quarantine without keeping the log of all other tenants.

use std::collections::HashMap;
use std::sync::Arc;

use duramen_model::{Labels, TenantId};
use duramen_wal::{Position, SegmentId};
use tracing::{info, warn};

use super::{CommitLoop, is_fatal};
use crate::error::Error;
use crate::head::{Rows, TenantHead};
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

        let heads = self.quarantined_before(end);
        if heads.is_empty() {
            return Ok(());
        }

        let records = self.read_records(oldest.id, &heads)?;
        if self.wal.needs_rotation() {
            self.rotate()?;
        }

        if let Some(bytes) = self.append_again(&records)? {
            heads.values().for_each(|head| head.moved(end));
            info!(
                records = records.len(),
                bytes, "moved records of tenants in quarantine to the end of the log"
            );
        }

        Ok(())
    }

    /// Returns the heads in quarantine that need records before `end`.
    fn quarantined_before(&self, end: Position) -> HashMap<TenantId, Arc<TenantHead>> {
        let needs_records = |head: &&Arc<TenantHead>| {
            head.is_quarantined() && head.first_uncommitted().is_some_and(|first| first < end)
        };

        self.heads
            .read()
            .values()
            .filter(needs_records)
            .map(|head| (head.id, Arc::clone(head)))
            .collect()
    }

    /// Reads the records of `heads` in a segment that are not flushed.
    fn read_records(
        &self,
        segment: SegmentId,
        heads: &HashMap<TenantId, Arc<TenantHead>>,
    ) -> Result<Vec<(Arc<TenantHead>, Rows)>, Error> {
        let mut slots = HashMap::new();
        let mut records = Vec::new();

        self.wal.read(segment, &mut |position, record| {
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
                records.push((Arc::clone(head), rows));
            }
        })?;

        Ok(records)
    }

    /// Appends and syncs records. Returns the bytes, or `None` if it did not work and the log is
    /// intact.
    fn append_again(&mut self, records: &[(Arc<TenantHead>, Rows)]) -> Result<Option<u64>, Error> {
        let appended = records
            .iter()
            .try_for_each(|(head, rows)| self.append_rows(head, rows).map(|_| ()));
        let bytes = self.wal.pending_bytes() as u64;

        if let Err(error) = self.wal.sync() {
            self.definitions.forget();
            warn!(%error, "records of a tenant in quarantine could not be moved; the log does not get shorter");

            return if is_fatal(&error) {
                Err(error.into())
            } else {
                Ok(None)
            };
        }

        self.carried += bytes;
        if let Err(error) = appended {
            warn!(%error, "records of a tenant in quarantine could not be moved; the log does not get shorter");
            return Ok(None);
        }

        Ok(Some(bytes))
    }
}
