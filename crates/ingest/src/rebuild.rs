//! Rebuilds a generation from the log if its staged blocks are damaged.
//!
//! The log keeps every record of a generation until the manifest has its blocks, so any damage to
//! the files in between can be repaired.

use std::collections::HashMap;
use std::sync::Arc;

use duramen_model::Labels;
use duramen_wal::{OwnedRecord, Position, SegmentId, reread};

use crate::error::Error;
use crate::flusher::Flusher;
use crate::head::{Frozen, Generation, TenantHead};
use crate::logged::resolve;
use crate::references::References;

/// Reads the records of `frozen` from the log again, and puts them in memory in place of the staged
/// blocks.
///
/// # Errors
/// [`Error::LogDamaged`] if the log does not have all of it. Nothing is changed then.
pub(crate) async fn rebuild(
    flusher: &Arc<Flusher>,
    head: &Arc<TenantHead>,
    frozen: &Arc<Frozen>,
) -> Result<(), Error> {
    let reading = {
        let flusher = Arc::clone(flusher);
        let head = Arc::clone(head);
        let frozen = Arc::clone(frozen);

        tokio::task::spawn_blocking(move || read_again(&flusher, &head, &frozen))
    };

    frozen.unstage(reading.await.map_err(|_| Error::Stopped)??);
    head.report_series();
    head.report_samples();

    Ok(())
}

fn read_again(
    flusher: &Flusher,
    head: &TenantHead,
    frozen: &Frozen,
) -> Result<Arc<Generation>, Error> {
    let mut rebuilding = Rebuilding {
        head,
        generation: Generation::new(frozen.order),
        now_ms: i64::try_from(flusher.clock.monotonic().as_millis()).unwrap_or(i64::MAX),
        exemplars_max: flusher.limits.of(&head.name()).ingest.exemplars_max,
        segment: None,
        definitions: HashMap::new(),
        slots: References::default(),
        lost: 0,
    };

    let positions = frozen.positions();
    let damaged = || Error::LogDamaged {
        tenant: head.name(),
        start: positions.start,
        end: positions.end,
    };

    // Records that were copied to the end of the log during a quarantine are not found by their
    // position. The next start reads them.
    if head.has_moved(positions.start) {
        return Err(damaged());
    }

    let disk = Arc::clone(&flusher.disk);
    let report = reread(
        disk,
        &flusher.wal_dir,
        flusher.log,
        positions.clone(),
        |segment, position, record| {
            if record.tenant == head.id {
                rebuilding.take(segment, position, record, position >= positions.start);
            }

            Ok(())
        },
    )?;

    let is_ours = |damage: &duramen_wal::Damage| {
        damage.positions.start < positions.end && damage.positions.end > positions.start
    };
    if rebuilding.lost > 0 || report.damage.iter().any(is_ours) {
        return Err(damaged());
    }

    Ok(rebuilding.generation)
}

/// The generation while it is rebuilt.
struct Rebuilding<'a> {
    head: &'a TenantHead,
    generation: Arc<Generation>,
    now_ms: i64,
    exemplars_max: usize,
    segment: Option<SegmentId>,
    /// The encoded labels of the series that the segment has defined so far.
    definitions: HashMap<u32, Vec<u8>>,
    /// The slots of the series that the generation has. Other series may be forgotten by now, and
    /// stay so.
    slots: References,
    lost: u64,
}

impl Rebuilding<'_> {
    /// Takes the definitions of a record of the tenant, and its rows if it is part of the
    /// generation.
    fn take(
        &mut self,
        segment: SegmentId,
        position: Position,
        mut record: OwnedRecord,
        is_part: bool,
    ) {
        if self.segment != Some(segment) {
            self.segment = Some(segment);
            self.definitions.clear();
            self.slots = References::default();
        }

        for (reference, labels) in std::mem::take(&mut record.series) {
            self.slots.remove(reference);
            self.definitions.insert(reference, labels);
        }

        if !is_part {
            return;
        }

        self.intern(&record);

        let (rows, lost) = resolve(record, |reference| self.slots.get(reference));
        self.lost += lost;

        if !rows.metadata.is_empty() {
            self.generation.note_metadata(position, self.now_ms);
        }

        self.generation
            .apply(position, self.now_ms, rows, self.exemplars_max);
    }

    /// Finds slots for the series that a record refers to.
    fn intern(&mut self, record: &OwnedRecord) {
        let of_histograms = record.histograms.iter().map(|row| row.series_ref);
        let of_exemplars = record.exemplars.iter().map(|row| row.series_ref);

        let used = record
            .refs
            .iter()
            .copied()
            .chain(of_histograms)
            .chain(of_exemplars);

        let mut registry = self.head.registry.write();

        for reference in used {
            if self.slots.get(reference).is_some() {
                continue;
            }

            let encoded = self.definitions.get(&reference);
            if let Some(labels) = encoded.and_then(|encoded| Labels::from_encoded(encoded)) {
                self.slots.insert(reference, registry.intern(&labels));
            }
        }
    }
}
