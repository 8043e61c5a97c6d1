//! Turns a record of the log into rows for a head.

use duramen_model::{Histogram, Labels};
use duramen_wal::OwnedRecord;

use crate::head::{Rows, Slot};

/// Returns the rows of a record with slots instead of references, and how many rows are lost
/// because their series is unknown. A series is unknown if the record that defines it is damaged.
pub(crate) fn resolve(record: OwnedRecord, slot_of: impl Fn(u32) -> Option<Slot>) -> (Rows, u64) {
    let OwnedRecord {
        refs,
        ts_ms,
        values,
        lives,
        mut histograms,
        mut exemplars,
        metadata,
        ..
    } = record;

    let offered = refs.len() + histograms.len() + exemplars.len();
    let mut rows = Rows::default();

    for (at, ((reference, ts_ms), value)) in refs.into_iter().zip(ts_ms).zip(values).enumerate() {
        if let Some(slot) = slot_of(reference) {
            rows.push(
                slot,
                ts_ms,
                value,
                lives.get(at).copied().unwrap_or_default(),
            );
        }
    }

    let known = |reference: &mut u32| {
        let slot = slot_of(*reference);
        *reference = slot.unwrap_or(*reference);
        slot.is_some()
    };

    histograms.retain_mut(|row| {
        Histogram::from_bytes(&row.bytes).is_some() && known(&mut row.series_ref)
    });
    exemplars.retain_mut(|row| {
        Labels::from_encoded(&row.labels).is_some() && known(&mut row.series_ref)
    });

    let lost = offered - rows.slots.len() - histograms.len() - exemplars.len();
    (
        Rows {
            histograms,
            exemplars,
            metadata,
            ..rows
        },
        lost as u64,
    )
}
