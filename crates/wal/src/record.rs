//! What is written and what is read back.

use duramen_model::TenantId;

/// One write request, or a part of one. Atomic: a replay sees all of it or nothing.
#[derive(Clone, Copy, Debug)]
pub struct WriteRecord<'a> {
    pub tenant: TenantId,
    /// Series that this segment has not seen yet, as a reference and the encoded labels, whose encoding is the caller's. A later
    /// definition of a reference replaces the earlier one from this record on.
    pub series: &'a [(u32, &'a [u8])],
    /// One reference per sample; each must be defined in this segment up to and with this record.
    pub refs: &'a [u32],
    /// One time per sample, in milliseconds since the epoch.
    pub ts_ms: &'a [i64],
    /// One value per sample; all 64 bits are kept.
    pub values: &'a [f64],
}

/// A record as a replay hands it over. The columns are as in [`WriteRecord`]; `refs`, `ts_ms` and `values` have equal lengths.
#[derive(Clone, Debug)]
pub struct OwnedRecord {
    pub tenant: TenantId,
    pub series: Vec<(u32, Vec<u8>)>,
    pub refs: Vec<u32>,
    pub ts_ms: Vec<i64>,
    pub values: Vec<f64>,
}
