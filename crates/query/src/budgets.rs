//! The budgets of memory of all tenants' queries.

use std::collections::HashMap;
use std::sync::Arc;

use duramen_limits::QueryLimits;
use duramen_metrics::{Collected, CollectedValue, Collector, MetricFamily, MetricKind, Number};
use duramen_model::TenantName;
use duramen_qos::{Account, Budget, Use};
use parking_lot::Mutex;

/// The budget of each tenant that has written and has asked. A clone is cheap, and clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budgets(Arc<Mutex<HashMap<TenantName, Budget>>>);

impl Budgets {
    /// Returns the budget of a tenant, with the size that `limits` say now.
    pub(crate) fn of(
        &self,
        tenant: &TenantName,
        account: &Arc<Account>,
        limits: &QueryLimits,
    ) -> Budget {
        let Self(tenants) = self;
        let max = bytes_max(account, limits);

        let mut tenants = tenants.lock();
        let known = tenants.get(tenant).cloned();
        let budget = known.unwrap_or_else(|| {
            let budget = Budget::of_tenant(account, max);
            tenants.insert(tenant.clone(), budget.clone());
            budget
        });
        drop(tenants);

        budget.resize(max);
        budget
    }
}

/// How much all queries of a tenant may hold. Unless the limits say it, this is half of what all
/// queries may hold: one tenant leaves as much to the others as it can take itself.
pub(crate) fn bytes_max(account: &Account, limits: &QueryLimits) -> usize {
    let half = account.mark(Use::Query) / 2;
    limits.tenant_memory_bytes_max.unwrap_or(half)
}

/// Reads the budgets when the metrics are collected, so nothing has to be kept up to date.
impl Collector for Budgets {
    fn collect(&self) -> Vec<MetricFamily> {
        let Self(tenants) = self;

        let mut budgets: Vec<_> = {
            let tenants = tenants.lock();
            let copy = |(name, budget): (&TenantName, &Budget)| (name.clone(), budget.clone());
            tenants.iter().map(copy).collect()
        };
        budgets.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));

        let with = |value: fn(&Budget) -> CollectedValue| {
            let of = |(name, budget): &(TenantName, Budget)| {
                Collected::with("tenant", name.as_str(), value(budget))
            };
            budgets.iter().map(of).collect::<Vec<_>>()
        };

        vec![
            MetricFamily::new(
                "duramen_query_memory_bytes",
                "Memory that the queries of a tenant hold",
                MetricKind::Gauge,
                with(|budget| {
                    let held = i64::try_from(budget.held()).unwrap_or(i64::MAX);
                    CollectedValue::Gauge(Number::Whole(held))
                }),
            ),
            MetricFamily::new(
                "duramen_query_memory_refused",
                "How often memory was refused since the queries of the tenant held all of its own",
                MetricKind::Counter,
                with(|budget| CollectedValue::Counter(budget.refusals() as u64)),
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_one_budget_whose_size_follows_its_limits() {
        let account = Account::new(1000);
        let budgets = Budgets::default();
        let tenant = TenantName::parse("a").unwrap();
        let of = |tenant_memory_bytes_max| {
            let limits = QueryLimits {
                tenant_memory_bytes_max,
                ..QueryLimits::default()
            };
            budgets.of(&tenant, &account, &limits)
        };

        let first = of(None);
        assert_eq!(first.max(), 400, "half of what queries may hold");

        let _held = first.reserve(300).unwrap();
        let second = of(Some(350));
        assert_eq!((second.max(), second.held()), (350, 300));
        assert!(first.reserve(100).is_err());

        let mut registry = duramen_metrics::Registry::default();
        registry.register_collector(budgets.clone());
        let text = duramen_metrics::text(&registry.collect());

        for line in [
            "duramen_query_memory_bytes{tenant=\"a\"} 300\n",
            "duramen_query_memory_refused_total{tenant=\"a\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
