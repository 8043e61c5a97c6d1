//! What is written and what is read back.

use duramen_model::{FamilyMetadata, Life, TenantId};

/// One write request, or a part of one. Atomic: a replay sees all of it or nothing.
#[derive(Clone, Copy, Debug)]
pub struct WriteRecord<'a> {
    pub tenant: TenantId,
    /// What the tenant is called, once in a segment, so that the log alone can bring it back; empty
    /// for nothing said.
    pub tenant_name: &'a str,
    /// Series that this segment has not seen yet, as a reference and the encoded labels, whose
    /// encoding is the caller's. A later definition of a reference replaces the earlier one from
    /// this record on.
    pub series: &'a [(u32, &'a [u8])],
    /// One reference per sample; each must be defined in this segment up to and with this record.
    /// So must those of histograms and exemplars.
    pub refs: &'a [u32],
    /// One time per sample, in milliseconds since the epoch.
    pub ts_ms: &'a [i64],
    /// One value per sample; all 64 bits are kept.
    pub values: &'a [f64],
    /// One per sample, or none at all. When no sample says anything, none come back.
    pub lives: &'a [Life],
    pub histograms: &'a [HistogramRow],
    pub exemplars: &'a [ExemplarRow],
    pub metadata: &'a [FamilyMetadata],
}

impl WriteRecord<'_> {
    /// A record with nothing in it.
    pub const fn empty(tenant: TenantId) -> Self {
        Self {
            tenant,
            tenant_name: "",
            series: &[],
            refs: &[],
            ts_ms: &[],
            values: &[],
            lives: &[],
            histograms: &[],
            exemplars: &[],
            metadata: &[],
        }
    }
}

/// A native histogram of a series. Its bytes are the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramRow {
    pub series_ref: u32,
    pub ts_ms: i64,
    pub life: Life,
    pub bytes: Vec<u8>,
}

/// An exemplar of a series. The encoding of its labels is the caller's.
#[derive(Clone, Debug)]
pub struct ExemplarRow {
    pub series_ref: u32,
    pub ts_ms: i64,
    /// All 64 bits are kept.
    pub value: f64,
    pub labels: Vec<u8>,
}

/// A record as a replay hands it over. The columns are as in [`WriteRecord`]; `refs`, `ts_ms` and
/// `values` have equal lengths, and `lives` has theirs or none.
#[derive(Clone, Debug)]
pub struct OwnedRecord {
    pub tenant: TenantId,
    pub tenant_name: String,
    pub series: Vec<(u32, Vec<u8>)>,
    pub refs: Vec<u32>,
    pub ts_ms: Vec<i64>,
    pub values: Vec<f64>,
    pub lives: Vec<Life>,
    pub histograms: Vec<HistogramRow>,
    pub exemplars: Vec<ExemplarRow>,
    pub metadata: Vec<FamilyMetadata>,
}
