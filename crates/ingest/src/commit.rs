//! The commit thread: it writes the log and applies durable records to the heads.
//!
//! It takes all waiting writes, appends them and syncs once. Only then does it apply and
//! acknowledge them. This is group commit without a timer: a group costs one write and one
//! fdatasync, whatever its number of requests.

mod carry;
mod command;
mod handle;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use duramen_model::{Labels, TenantId, TenantName};
use duramen_runtime::Clock;
use duramen_runtime::priority::step_ahead;
use duramen_wal::{Position, SegmentId, Wal, WriteRecord};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

pub(crate) use self::command::Command;
use self::command::Write;
pub(crate) use self::handle::CommitHandle;
use crate::error::Error;
use crate::head::{HeadMap, OpenSegment, Rows, Slot, TenantHead};
use crate::metrics::Metrics;
use crate::order::OrderClock;
use crate::room::Room;

/// A group ends at these limits, so that its first write does not wait too long.
const GROUP_WRITES_MAX: usize = 256;
const GROUP_ROWS_MAX: usize = 1 << 20;

/// A trim closes an open segment of more bytes if no head needs it, so that it can be deleted. A
/// new segment costs two fsyncs.
const OPEN_BYTES_KEPT: u64 = 4 << 20;
/// The limit instead of [`OPEN_BYTES_KEPT`] while the disk is nearly full.
const OPEN_BYTES_KEPT_WHEN_LOW: u64 = 64 << 10;

/// A trim also closes the open segment if this many numbers of forgotten series wait for the next
/// one. They take some ten megabytes.
const VACANT_MAX: usize = 1 << 18;

/// The state of the commit thread.
pub(crate) struct CommitLoop {
    wal: Wal,
    commands: mpsc::Receiver<Command>,
    definitions: Definitions,
    /// Bytes of the records of writes.
    written: u64,
    /// Bytes of the records that were copied for tenants in quarantine.
    carried: u64,
    heads: HeadMap,
    clock: Arc<dyn Clock>,
    orders: Arc<OrderClock>,
    metrics: Metrics,
    place: LogPlace,
}

/// The disk of the log, and the values about the log that are shared with others.
pub(crate) struct LogPlace {
    pub(crate) room: Arc<Room>,
    pub(crate) log_bytes: Arc<AtomicU64>,
    pub(crate) open_segment: OpenSegment,
}

impl CommitLoop {
    pub(crate) fn new(
        wal: Wal,
        commands: mpsc::Receiver<Command>,
        heads: HeadMap,
        clock: Arc<dyn Clock>,
        orders: Arc<OrderClock>,
        metrics: Metrics,
        place: LogPlace,
    ) -> Self {
        let definitions = Definitions::new(wal.segment());
        place.open_segment.set(wal.segment().0);

        let written = wal.bytes();
        place.log_bytes.store(written, Ordering::Relaxed);

        Self {
            wal,
            commands,
            definitions,
            written,
            carried: 0,
            heads,
            clock,
            orders,
            metrics,
            place,
        }
    }

    /// Runs until every sender of commands is gone. An error means that the log cannot be trusted
    /// any more: the process must stop.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        step_ahead();

        while let Some(first) = self.commands.blocking_recv() {
            let mut group = Vec::new();
            let mut rows = 0;
            let mut next = Some(first);

            // A freeze or a trim happens between two records, so it ends the group.
            let then = loop {
                match next {
                    Some(Command::Write(write)) => {
                        rows += write.rows.len();
                        group.push(write);
                    }
                    other => break other,
                }

                if group.len() >= GROUP_WRITES_MAX || rows >= GROUP_ROWS_MAX {
                    break None;
                }

                next = self.commands.try_recv().ok();
            };

            self.commit(group)?;

            match then {
                Some(Command::Freeze { head, done }) => {
                    self.rotate_for_room()?;

                    let end = self.wal.next_position();
                    head.freeze(end, || self.orders.next());

                    // The receiver may be gone. The generation stays frozen then, and the next
                    // flush finds it.
                    let _ = done.send(end);
                }
                Some(Command::Trim) => self.trim()?,
                Some(Command::SkipTo { position }) => self.wal.skip_to(position),
                Some(Command::Write(_)) | None => {}
            }

            self.place
                .log_bytes
                .store(self.wal.bytes(), Ordering::Relaxed);
        }

        Ok(())
    }

    #[expect(
        clippy::vec_box,
        reason = "they come boxed in commands, and are passed on as they are"
    )]
    fn commit(&mut self, group: Vec<Box<Write>>) -> Result<(), Error> {
        if group.is_empty() {
            return Ok(());
        }

        if let Err(full) = self.place.room.check(self.wal.bytes()) {
            for write in group {
                let _ = write.done.send(Err(full.into()));
            }

            return Ok(());
        }

        // A rotation syncs, and its failure would hit writes that are appended already. So it is
        // done here, before the first append.
        self.rotate_if_due()?;

        let mut appended = Vec::with_capacity(group.len());
        let mut refused = Vec::new();

        for write in group {
            match self.append_rows(&write.head, &write.rows) {
                Ok(position) => appended.push((write, position)),
                Err(e) => refused.push((write, e)),
            }
        }

        let bytes = self.wal.pending_bytes() as u64;

        match self.wal.sync() {
            Ok(_) => {
                self.written += bytes;
                self.apply(appended);
            }
            Err(e) => self.fail(appended, e)?,
        }

        for (write, e) in refused {
            let _ = write.done.send(Err(e));
        }

        Ok(())
    }

    /// Answers the writes whose records could not be synced. Returns the error if it is fatal.
    fn fail(
        &mut self,
        appended: Vec<(Box<Write>, Position)>,
        error: duramen_wal::Error,
    ) -> Result<(), Error> {
        self.definitions.forget();

        let fatal = is_fatal(&error);
        let cause = std::error::Error::source(&error);
        error!(%error, ?cause, fatal, "the write-ahead log could not be synced");

        let message = error.to_string();
        for (write, _) in appended {
            let message = message.clone();
            let _ = write.done.send(Err(Error::WalSync { message }));
        }

        if fatal { Err(error.into()) } else { Ok(()) }
    }

    fn rotate_if_due(&mut self) -> Result<(), Error> {
        if !self.wal.needs_rotation() {
            return Ok(());
        }

        let Err(error) = self.rotate_once() else {
            return Ok(());
        };

        if is_fatal(&error) {
            return Err(error.into());
        }

        if self.wal.needs_segment() {
            self.place.room.make_way();
        }

        Ok(())
    }

    fn rotate_once(&mut self) -> Result<(), duramen_wal::Error> {
        self.wal.rotate()?;
        self.place.open_segment.set(self.wal.segment().0);
        Ok(())
    }

    fn append_rows(&mut self, head: &TenantHead, rows: &Rows) -> Result<Position, Error> {
        let is_named = self.definitions.has(self.wal.segment(), head.id);
        let definitions = self
            .definitions
            .missing(self.wal.segment(), head, rows.all_slots());
        let series: Vec<(Slot, &[u8])> = definitions
            .iter()
            .map(|(slot, labels)| (*slot, labels.encoded()))
            .collect();

        let Rows {
            slots,
            ts_ms,
            values,
            lives,
            histograms,
            exemplars,
            metadata,
        } = rows;

        let name = (!is_named).then(|| head.name());
        let record = WriteRecord {
            tenant: head.id,
            tenant_name: name.as_ref().map_or("", TenantName::as_str),
            series: &series,
            refs: slots,
            ts_ms,
            values,
            lives,
            histograms,
            exemplars,
            metadata,
        };

        self.wal.append(&record).map_err(|e| {
            // The definitions of this record are not in the segment.
            self.definitions.forget();
            e.into()
        })
    }

    fn apply(&self, appended: Vec<(Box<Write>, Position)>) {
        self.metrics.wal_syncs.inc();

        let now_ms = i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX);

        for (write, position) in appended {
            let Write {
                head,
                rows,
                exemplars_max,
                permit,
                pin,
                done,
            } = *write;

            let applied = head.apply(position, now_ms, rows, exemplars_max);
            drop((permit, pin));

            // The sender may be gone. Its samples are stored all the same, as after a lost answer.
            let _ = done.send(Ok(applied));
        }
    }

    /// Starts a new segment if the disk is nearly full. Samples that are frozen now can then be
    /// deleted from the log after their upload, before the segment has grown to its full size.
    fn rotate_for_room(&mut self) -> Result<(), Error> {
        let open_bytes = self.open_bytes();
        let is_worth_it = open_bytes > OPEN_BYTES_KEPT_WHEN_LOW && open_bytes < OPEN_BYTES_KEPT;

        if is_worth_it && self.place.room.is_low(self.wal.bytes()) {
            self.rotate()
        } else {
            Ok(())
        }
    }

    /// Rotates. Goes on in the old segment if the disk has no space for a new one, even after the
    /// ballast was deleted.
    fn rotate(&mut self) -> Result<(), Error> {
        match self.rotate_once() {
            Err(e) if is_fatal(&e) => Err(e.into()),
            Err(_) if self.place.room.make_way() => match self.rotate_once() {
                Err(e) if is_fatal(&e) => Err(e.into()),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn open_bytes(&self) -> u64 {
        self.wal.segments().last().map_or(0, |open| open.bytes)
    }

    /// Deletes segments that no head needs. It asks the heads here, where the answer cannot change:
    /// every earlier write is applied, and a later one is after this command in the queue.
    fn trim(&mut self) -> Result<(), Error> {
        let is_healthy = |head: &&Arc<TenantHead>| !head.is_quarantined();
        let first_of_healthy = self
            .heads
            .read()
            .values()
            .filter(is_healthy)
            .filter_map(|head| head.first_uncommitted())
            .min();

        self.carry(first_of_healthy.unwrap_or_else(|| self.wal.next_position()))?;

        let needed = self
            .heads
            .read()
            .values()
            .filter_map(|head| head.first_uncommitted())
            .min();

        // This needs no space, so it comes before a rotation, which may fail on a full disk.
        self.trim_before(needed.unwrap_or_else(|| self.wal.next_position()))?;

        let is_low = self.place.room.is_low(self.wal.bytes());
        let kept = if is_low {
            OPEN_BYTES_KEPT_WHEN_LOW
        } else {
            OPEN_BYTES_KEPT
        };

        let is_large = needed.is_none() && self.open_bytes() > kept;
        let vacant = self
            .heads
            .read()
            .values()
            .map(|head| head.registry.read().vacant_until_rotation())
            .sum::<usize>();

        if is_large || vacant > VACANT_MAX {
            self.rotate()?;
            self.trim_before(needed.unwrap_or_else(|| self.wal.next_position()))?;
        }

        Ok(())
    }

    fn trim_before(&mut self, before: Position) -> Result<(), Error> {
        match self.wal.trim(before) {
            Ok(0) => Ok(()),
            Ok(segments) => {
                info!(segments, before = before.0, "trimmed the write-ahead log");
                Ok(())
            }
            Err(e) if is_fatal(&e) => Err(e.into()),
            Err(error) => {
                warn!(%error, "the write-ahead log could not be trimmed; it is tried again after the next flush");
                Ok(())
            }
        }
    }
}

/// Returns whether nothing may be acknowledged any more. All other errors leave the log intact.
const fn is_fatal(error: &duramen_wal::Error) -> bool {
    matches!(
        error,
        duramen_wal::Error::Disk { .. } | duramen_wal::Error::Poisoned
    )
}

/// The series that the open segment defines. Each segment has its own definitions, so that it can
/// be read alone.
#[derive(Debug)]
struct Definitions {
    segment: SegmentId,
    /// By tenant, one bit for each slot.
    defined: HashMap<TenantId, Vec<u64>>,
}

impl Definitions {
    fn new(segment: SegmentId) -> Self {
        Self {
            segment,
            defined: HashMap::new(),
        }
    }

    /// Returns whether `segment` has a record of the tenant.
    fn has(&self, segment: SegmentId, tenant: TenantId) -> bool {
        segment == self.segment && self.defined.contains_key(&tenant)
    }

    /// Forgets all definitions, so that each series is defined again with its next record. A
    /// repeated definition does no harm.
    fn forget(&mut self) {
        self.defined.clear();
    }

    /// Returns the series among `slots` that `segment` does not define yet, with their labels. They
    /// count as defined from now on.
    fn missing(
        &mut self,
        segment: SegmentId,
        head: &TenantHead,
        slots: impl Iterator<Item = Slot>,
    ) -> Vec<(Slot, Labels)> {
        if segment != self.segment {
            self.segment = segment;
            self.defined.clear();
        }

        let defined = self.defined.entry(head.id).or_default();
        let mut missing = Vec::new();

        for slot in slots {
            let word = slot as usize / 64;
            let bit = 1u64 << (slot % 64);

            if word >= defined.len() {
                defined.resize(word + 1, 0);
            }

            if defined[word] & bit == 0 {
                defined[word] |= bit;
                missing.push(slot);
            }
        }

        if missing.is_empty() {
            return Vec::new();
        }

        let registry = head.registry.read();
        missing
            .into_iter()
            .map(|slot| (slot, registry.labels(slot)))
            .collect()
    }
}
