//! What an ingester counts of the requests that it gets.

use duramen_model::TenantName;
use duramen_proto::WriteRequest;

use super::Shared;
use crate::ha::Gate;
use crate::head::Applied;
use crate::metrics::{ClusterLabel, LimitLabel, RejectedLabel, TenantLabel};
use crate::rejection::{Rejections, RequestLimit};
use crate::report::{Duplicates, WriteReport};

impl Shared {
    /// Counts what the replicas bring that are not elected.
    pub(super) fn note_duplicates(
        &self,
        tenant: &TenantName,
        gate: &Gate,
        request: &WriteRequest<'_>,
    ) -> Duplicates {
        let mut all = Duplicates::default();

        for (cluster, duplicates) in gate.duplicates(&request.series) {
            let label = ClusterLabel {
                tenant: tenant.as_str().to_owned(),
                cluster: cluster.to_owned(),
            };

            self.metrics
                .duplicates
                .get_or_create(&label)
                .inc_by(duplicates.all() as u64);

            all.add(duplicates);
        }

        all
    }

    pub(super) fn note_limited(&self, tenant: &TenantName, limit: RequestLimit) {
        let label = LimitLabel {
            tenant: tenant.as_str().to_owned(),
            limit: limit.as_str(),
        };

        self.metrics.limited.get_or_create(&label).inc();
    }

    pub(super) fn note_applied(&self, tenant: &TenantName, applied: &Applied, new_families: usize) {
        let label = TenantLabel::of(tenant);
        let repeated =
            applied.samples.repeated + applied.histograms.repeated + applied.exemplars.repeated;

        for (counter, count) in [
            (&self.metrics.samples, applied.samples.stored),
            (&self.metrics.histograms, applied.histograms.stored),
            (&self.metrics.exemplars, applied.exemplars.stored),
            (&self.metrics.exemplars_evicted, applied.exemplars_evicted),
            (&self.metrics.metadata, new_families),
            (&self.metrics.repeated, repeated),
        ] {
            counter.get_or_create(&label).inc_by(count as u64);
        }
    }

    pub(super) fn note_refused(&self, tenant: &TenantName, report: &WriteReport) {
        let all = [
            &report.rejected,
            &report.lost_exemplars,
            &report.lost_metadata,
        ];

        for (reason, count) in all.into_iter().flat_map(Rejections::counts) {
            let label = RejectedLabel {
                tenant: tenant.as_str().to_owned(),
                reason: reason.as_str(),
            };

            self.metrics
                .rejected
                .get_or_create(&label)
                .inc_by(*count as u64);
        }
    }
}
