//! The metrics of the account of memory.

use std::sync::Arc;

use duramen_metrics::{
    Collected, CollectedValue, Collector, MetricFamily, MetricKind, Number, Registry,
};
use duramen_qos::{Account, Use};

/// Reads the account when the metrics are collected, so nothing has to be kept up to date.
#[derive(Debug)]
struct MemoryMetrics(Arc<Account>);

pub(crate) fn register(account: &Arc<Account>, registry: &mut Registry) {
    registry.register_collector(MemoryMetrics(Arc::clone(account)));
}

impl Collector for MemoryMetrics {
    fn collect(&self) -> Vec<MetricFamily> {
        let Self(account) = self;

        let used = Use::ALL.map(|wanted| {
            let bytes = CollectedValue::Gauge(whole(account.used_by(wanted)));
            Collected::with("use", wanted.name(), bytes)
        });

        let refused = Use::ALL.map(|wanted| {
            let times = CollectedValue::Counter(account.refusals(wanted) as u64);
            Collected::with("use", wanted.name(), times)
        });

        let max = Collected::alone(CollectedValue::Gauge(whole(account.bytes_max())));
        let resident = resident_bytes()
            .map(|bytes| Collected::alone(CollectedValue::Gauge(Number::Whole(bytes))));

        vec![
            MetricFamily::new(
                "duramen_memory_bytes",
                "Memory that is drawn from the account of the process, by what it is for",
                MetricKind::Gauge,
                used,
            ),
            MetricFamily::new(
                "duramen_memory_bytes_max",
                "The size of the account of memory",
                MetricKind::Gauge,
                [max],
            ),
            MetricFamily::new(
                "duramen_memory_refused",
                "How often memory was refused since the account was too full for this use",
                MetricKind::Counter,
                refused,
            ),
            MetricFamily::new(
                "duramen_memory_resident_bytes",
                "Memory of the process that is in the machine's memory, counted by the system",
                MetricKind::Gauge,
                resident,
            ),
        ]
    }
}

fn whole(bytes: usize) -> Number {
    Number::Whole(i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// Returns the process's resident bytes (`VmRSS`), or `None` if the system does not tell.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;

    let kibibytes: i64 = resident
        .trim()
        .strip_suffix("kB")?
        .trim_end()
        .parse()
        .ok()?;

    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_told_by_use() {
        let account = Account::new(1000);
        let mut registry = Registry::default();
        register(&account, &mut registry);

        let _held = account.take(Use::Query, 300).unwrap();
        account.take(Use::Cache, 900).unwrap_err();

        let text = duramen_metrics::text(&registry.collect());

        for line in [
            "duramen_memory_bytes{use=\"query\"} 300",
            "duramen_memory_bytes{use=\"head\"} 0",
            "duramen_memory_bytes_max 1000",
            "duramen_memory_refused_total{use=\"cache\"} 1",
            "duramen_memory_refused_total{use=\"query\"} 0",
        ] {
            assert!(text.lines().any(|held| held == line), "{line}: {text}");
        }
    }
}
