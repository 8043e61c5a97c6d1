//! The counters of the ingester for writes.

use duramen_model::TenantName;

use super::Ingester;
use crate::head::Applied;
use crate::metrics::{RejectedLabel, TenantLabel};
use crate::rejection::Rejections;
use crate::report::WriteReport;

impl Ingester {
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

    pub(super) fn note_rejected(&self, tenant: &TenantName, report: &WriteReport) {
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
