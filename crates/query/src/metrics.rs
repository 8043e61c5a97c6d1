//! The metrics of the querier.

use std::time::Duration;

use duramen_metrics::{Counter, Family, Histogram, Registry, label_set};
use duramen_model::{TenantId, TenantName};

use crate::budgets::Budgets;

/// The metrics of one querier. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    queries: Family<ResultLabel, Counter>,
    seconds: Histogram,
    conflicts: Family<TenantLabel, Counter>,
    limited: Family<LimitLabels, Counter>,
    partial: Counter,
    left_out: Counter,
    pub(crate) budgets: Budgets,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LimitLabels {
    tenant: String,
    limit: &'static str,
}

label_set!(LimitLabels: tenant, limit);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TenantLabel {
    tenant_id: String,
}

label_set!(TenantLabel: tenant_id);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ResultLabel {
    result: &'static str,
}

label_set!(ResultLabel: result);

impl Default for Metrics {
    fn default() -> Self {
        let bounds = [
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
            60.0, 120.0,
        ];

        Self {
            queries: Family::default(),
            seconds: Histogram::new(bounds),
            conflicts: Family::default(),
            limited: Family::default(),
            partial: Counter::default(),
            left_out: Counter::default(),
            budgets: Budgets::default(),
        }
    }
}

impl Metrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register("duramen_queries", "Queries evaluated", self.queries.clone());

        let conflicts = "Samples read that lost against another value for their time";
        registry.register(
            "duramen_query_conflicting_samples",
            conflicts,
            self.conflicts.clone(),
        );

        let limited = "Queries without an answer because of a limit";
        registry.register("duramen_query_limited", limited, self.limited.clone());

        let partial = "Answers that left out blocks";
        registry.register("duramen_query_partial", partial, self.partial.clone());

        let left_out = "Blocks that answers left out because they could not be read";
        registry.register(
            "duramen_query_blocks_left_out",
            left_out,
            self.left_out.clone(),
        );

        registry.register_collector(self.budgets.clone());

        registry.register(
            "duramen_query_seconds",
            "Time from the turn of a query to its answer",
            self.seconds.clone(),
        );
    }

    /// Returns the counter of duplicate samples that a merge drops. For several tenants, the
    /// counter has an empty tenant label.
    pub(crate) fn conflicts(&self, tenants: &[TenantId]) -> Counter {
        let tenant_id = if let [tenant] = tenants {
            tenant.to_string()
        } else {
            String::new()
        };

        self.conflicts
            .get_or_create(&TenantLabel { tenant_id })
            .clone()
    }

    /// Counts a query that has reached a limit. A tenant that has never written gets an empty
    /// label, so that clients cannot create labels.
    pub(crate) fn limited(&self, tenant: Option<&TenantName>, limit: &'static str) {
        let tenant = tenant.map_or_else(String::new, |name| name.as_str().to_owned());
        self.limited
            .get_or_create(&LimitLabels { tenant, limit })
            .inc();
    }

    /// Counts an answer that leaves out so many blocks.
    pub(crate) fn observe_left_out(&self, blocks: usize) {
        self.partial.inc();
        self.left_out.inc_by(blocks as u64);
    }

    pub(crate) fn observe(&self, succeeded: bool, took: Duration) {
        let result = if succeeded { "success" } else { "failure" };
        self.queries.get_or_create(&ResultLabel { result }).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}
