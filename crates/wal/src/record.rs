//! The records that are written, and the records that are read back.

use duramen_model::{FamilyMetadata, Life, TenantId};

/// One write request, or a part of one. It is atomic: a replay sees all of it or nothing.
#[derive(Clone, Copy, Debug)]
pub struct WriteRecord<'a> {
    pub tenant: TenantId,
    /// The name of the tenant, so that the log alone is enough to restore it. It is written once
    /// per segment; otherwise it is empty.
    pub tenant_name: &'a str,
    /// Series that are new in this segment: a reference and the encoded labels. The caller chooses
    /// the encoding. A later definition of a reference replaces the earlier one from its record on.
    pub series: &'a [(u32, &'a [u8])],
    /// One reference per sample. Each must be defined in this segment, in this record or an earlier
    /// one. The same is true for histograms and exemplars.
    pub refs: &'a [u32],
    /// One time per sample, in milliseconds since the epoch.
    pub ts_ms: &'a [i64],
    /// One value per sample; all 64 bits are kept.
    pub values: &'a [f64],
    /// One life per sample, or none at all. If all lives are [`Life::NONE`], a replay returns none.
    pub lives: &'a [Life],
    pub histograms: &'a [HistogramRow],
    pub exemplars: &'a [ExemplarRow],
    pub metadata: &'a [FamilyMetadata],
}

impl WriteRecord<'_> {
    /// Returns an empty record.
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

/// A native histogram of a series. The caller chooses the encoding of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistogramRow {
    pub series_ref: u32,
    pub ts_ms: i64,
    pub life: Life,
    pub bytes: Vec<u8>,
}

/// An exemplar of a series. The caller chooses the encoding of its labels.
#[derive(Clone, Debug)]
pub struct ExemplarRow {
    pub series_ref: u32,
    pub ts_ms: i64,
    /// All 64 bits are kept.
    pub value: f64,
    pub labels: Vec<u8>,
}

/// A record that a replay hands over. The columns are those of [`WriteRecord`]: `refs`, `ts_ms` and
/// `values` have equal lengths, and `lives` has the same length or is empty.
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
