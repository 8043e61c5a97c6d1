//! What the ingester tells of itself.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The metrics of one ingester. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) samples: Family<TenantLabel, Counter>,
    pub(crate) repeated: Family<TenantLabel, Counter>,
    pub(crate) rejected: Family<RejectedLabel, Counter>,
    pub(crate) exemplars_evicted: Family<TenantLabel, Counter>,
    pub(crate) exemplars_ignored: Family<TenantLabel, Counter>,
    pub(crate) metadata_ignored: Family<TenantLabel, Counter>,
    pub(crate) wal_syncs: Counter,
    pub(crate) wal_records_lost: Counter,
    pub(crate) wal_samples_lost: Counter,
    pub(crate) replayed_samples: Counter,
    pub(crate) head_series: Family<TenantLabel, Gauge>,
    pub(crate) head_bytes: Gauge,
    pub(crate) flushes: Family<ResultLabel, Counter>,
    pub(crate) flushed_samples: Counter,
    pub(crate) flushed_bytes: Counter,
    pub(crate) flushed_blocks: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct TenantLabel {
    pub(crate) tenant: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RejectedLabel {
    pub(crate) tenant: String,
    pub(crate) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ResultLabel {
    pub(crate) result: &'static str,
}

impl TenantLabel {
    pub(crate) fn of(tenant: &duramen_model::TenantName) -> Self {
        Self { tenant: tenant.as_str().to_owned() }
    }
}

impl Metrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("duramen_ingest_samples", "Samples stored", self.samples.clone());
        registry.register("duramen_ingest_repeated_samples", "Samples that were held already", self.repeated.clone());
        registry.register("duramen_ingest_rejected_samples", "Samples refused, by reason", self.rejected.clone());
        registry.register(
            "duramen_ingest_evicted_exemplars",
            "Exemplars that made room for newer ones",
            self.exemplars_evicted.clone(),
        );
        registry.register(
            "duramen_ingest_ignored_exemplars",
            "Exemplars that are not kept yet",
            self.exemplars_ignored.clone(),
        );
        registry.register(
            "duramen_ingest_ignored_metadata",
            "Metadata that is not kept yet",
            self.metadata_ignored.clone(),
        );
        registry.register("duramen_wal_syncs", "Group commits: one fdatasync each", self.wal_syncs.clone());
        registry.register(
            "duramen_wal_lost_records",
            "Records that replay found damaged",
            self.wal_records_lost.clone(),
        );
        let lost_samples = "Samples whose series was defined in a damaged record";
        registry.register("duramen_wal_lost_samples", lost_samples, self.wal_samples_lost.clone());
        registry.register("duramen_wal_replayed_samples", "Samples read back at start", self.replayed_samples.clone());
        registry.register("duramen_head_series", "Series in memory", self.head_series.clone());
        registry.register("duramen_head_bytes", "Memory of samples that are not flushed", self.head_bytes.clone());
        registry.register("duramen_flushes", "Generations flushed", self.flushes.clone());
        registry.register("duramen_flush_samples", "Samples flushed into blocks", self.flushed_samples.clone());
        registry.register("duramen_flush_bytes", "Bytes of flushed blocks", self.flushed_bytes.clone());
        registry.register("duramen_flush_blocks", "Blocks flushed", self.flushed_blocks.clone());
    }
}
