//! Turns a record of the log into rows for a head.

use duramen_model::{Histogram, Labels};
use duramen_wal::OwnedRecord;

use crate::head::{Rows, Slot};

/// Returns the rows of a record with slots instead of references, and how many rows are lost
/// because their series is unknown. A series is unknown if the record that defines it is damaged.
pub(crate) fn resolve(record: OwnedRecord, slot_of: impl Fn(u32) -> Option<Slot>) -> (Rows, u64) {
    let OwnedRecord {
        mut refs,
        mut ts_ms,
        mut values,
        mut lives,
        mut histograms,
        mut exemplars,
        metadata,
        ..
    } = record;

    let offered = refs.len() + histograms.len() + exemplars.len();
    let mut kept = 0;

    // Nearly always all rows are kept, and then nothing moves.
    for at in 0..refs.len() {
        let Some(slot) = slot_of(refs[at]) else {
            continue;
        };

        refs[kept] = slot;
        ts_ms[kept] = ts_ms[at];
        values[kept] = values[at];

        if let Some(life) = lives.get(at).copied() {
            lives[kept] = life;
        }

        kept += 1;
    }

    refs.truncate(kept);
    ts_ms.truncate(kept);
    values.truncate(kept);
    lives.truncate(kept);

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

    let lost = offered - refs.len() - histograms.len() - exemplars.len();
    let rows = Rows {
        slots: refs,
        ts_ms,
        values,
        lives,
        histograms,
        exemplars,
        metadata,
    };

    (rows, lost as u64)
}
