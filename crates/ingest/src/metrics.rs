//! The metrics of the ingester.

use duramen_metrics::{Counter, Family, Gauge, Registry, label_set};

use crate::progress::ReplayProgress;

/// The metrics of one ingester. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    pub(crate) samples: Family<TenantLabel, Counter>,
    pub(crate) repeated: Family<TenantLabel, Counter>,
    pub(crate) rejected: Family<RejectedLabel, Counter>,
    pub(crate) histograms: Family<TenantLabel, Counter>,
    pub(crate) exemplars: Family<TenantLabel, Counter>,
    pub(crate) exemplars_evicted: Family<TenantLabel, Counter>,
    pub(crate) metadata: Family<TenantLabel, Counter>,
    pub(crate) limited: Family<LimitLabel, Counter>,
    pub(crate) duplicates: Family<ClusterLabel, Counter>,
    pub(crate) wal_syncs: Counter,
    pub(crate) wal_records_lost: Counter,
    pub(crate) wal_samples_lost: Counter,
    pub(crate) replayed_samples: Counter,
    /// It has no metric of its own: metrics are served after the replay.
    pub(crate) replay: ReplayProgress,
    pub(crate) forgotten_series: Counter,
    pub(crate) unknown_tenants: Counter,
    pub(crate) quarantined: Gauge,
    pub(crate) head_series: Family<TenantLabel, Gauge>,
    pub(crate) head_series_bytes: Family<TenantLabel, Gauge>,
    pub(crate) head_histograms: Family<TenantLabel, Gauge>,
    pub(crate) head_exemplars: Family<TenantLabel, Gauge>,
    pub(crate) head_families: Family<TenantLabel, Gauge>,
    pub(crate) head_bytes: Gauge,
    pub(crate) flushes: Family<ResultLabel, Counter>,
    pub(crate) flushed_samples: Counter,
    pub(crate) flushed_bytes: Counter,
    pub(crate) flushed_blocks: Counter,
    pub(crate) rebuilds: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TenantLabel {
    pub(crate) tenant: String,
}

label_set!(TenantLabel: tenant);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RejectedLabel {
    pub(crate) tenant: String,
    pub(crate) reason: &'static str,
}

label_set!(RejectedLabel: tenant, reason);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LimitLabel {
    pub(crate) tenant: String,
    pub(crate) limit: &'static str,
}

label_set!(LimitLabel: tenant, limit);

/// The limit of a tenant's clusters bounds their number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClusterLabel {
    pub(crate) tenant: String,
    pub(crate) cluster: String,
}

label_set!(ClusterLabel: tenant, cluster);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResultLabel {
    pub(crate) result: &'static str,
}

label_set!(ResultLabel: result);

impl TenantLabel {
    pub(crate) fn of(tenant: &duramen_model::TenantName) -> Self {
        Self {
            tenant: tenant.as_str().to_owned(),
        }
    }
}

impl Metrics {
    /// Returns how far the replay of the ingester with these metrics is.
    pub fn replay(&self) -> &ReplayProgress {
        &self.replay
    }

    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "duramen_ingest_samples",
            "Floats stored",
            self.samples.clone(),
        );

        registry.register(
            "duramen_ingest_repeated_samples",
            "Floats, histograms and exemplars that were held already",
            self.repeated.clone(),
        );

        registry.register(
            "duramen_ingest_rejected_samples",
            "Samples, exemplars and families refused, by reason",
            self.rejected.clone(),
        );

        registry.register(
            "duramen_ingest_histograms",
            "Native histograms stored",
            self.histograms.clone(),
        );

        registry.register(
            "duramen_ingest_exemplars",
            "Exemplars stored",
            self.exemplars.clone(),
        );

        let evicted = "Exemplars that made room for others";
        registry.register(
            "duramen_ingest_evicted_exemplars",
            evicted,
            self.exemplars_evicted.clone(),
        );

        registry.register(
            "duramen_ingest_metadata",
            "Metadata that was new, in families",
            self.metadata.clone(),
        );

        registry.register(
            "duramen_ingest_limited_requests",
            "Requests refused, by limit",
            self.limited.clone(),
        );

        registry.register(
            "duramen_ha_deduplicated_samples",
            "Samples and exemplars left out since another replica of the cluster is elected",
            self.duplicates.clone(),
        );

        registry.register(
            "duramen_wal_syncs",
            "Group commits: one fdatasync each",
            self.wal_syncs.clone(),
        );

        registry.register(
            "duramen_wal_lost_records",
            "Records that replay found damaged",
            self.wal_records_lost.clone(),
        );

        let lost_samples = "Samples whose series was defined in a damaged record";
        registry.register(
            "duramen_wal_lost_samples",
            lost_samples,
            self.wal_samples_lost.clone(),
        );

        registry.register(
            "duramen_wal_replayed_samples",
            "Samples read back at start",
            self.replayed_samples.clone(),
        );

        let forgotten = "Series forgotten after a whole flush without samples";
        registry.register(
            "duramen_head_forgotten_series",
            forgotten,
            self.forgotten_series.clone(),
        );

        let unknown = "Tenants of the log that the register did not know at start";
        registry.register(
            "duramen_wal_unknown_tenants",
            unknown,
            self.unknown_tenants.clone(),
        );

        let quarantined = "Tenants whose manifest cannot be used";
        registry.register(
            "duramen_quarantined_tenants",
            quarantined,
            self.quarantined.clone(),
        );

        registry.register(
            "duramen_head_series",
            "Series in memory",
            self.head_series.clone(),
        );

        let series_bytes = "Memory of series, their labels and index, and of metadata";
        registry.register(
            "duramen_head_series_bytes",
            series_bytes,
            self.head_series_bytes.clone(),
        );

        let histograms = "Native histograms in memory that are not flushed";
        registry.register(
            "duramen_head_histograms",
            histograms,
            self.head_histograms.clone(),
        );

        let exemplars = "Exemplars in memory that are not flushed";
        registry.register(
            "duramen_head_exemplars",
            exemplars,
            self.head_exemplars.clone(),
        );

        registry.register(
            "duramen_head_families",
            "Metric families with metadata",
            self.head_families.clone(),
        );

        let head_bytes = "Memory of samples that are not flushed, of series and of metadata";
        registry.register("duramen_head_bytes", head_bytes, self.head_bytes.clone());

        registry.register(
            "duramen_flushes",
            "Generations flushed",
            self.flushes.clone(),
        );

        registry.register(
            "duramen_flush_samples",
            "Samples flushed into blocks",
            self.flushed_samples.clone(),
        );

        registry.register(
            "duramen_flush_bytes",
            "Bytes of flushed blocks",
            self.flushed_bytes.clone(),
        );

        registry.register(
            "duramen_flush_blocks",
            "Blocks flushed",
            self.flushed_blocks.clone(),
        );

        let rebuilds = "Generations whose staged blocks were damaged and made again from the log";
        registry.register("duramen_flush_rebuilds", rebuilds, self.rebuilds.clone());
    }
}
