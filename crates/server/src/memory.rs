//! The account of memory, as `/metrics` tells it.

use std::fmt;
use std::sync::Arc;

use duramen_qos::{Account, Use};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

/// Reads the account whenever it is asked, so that nothing has to be kept up to date.
#[derive(Debug)]
struct MemoryMetrics(Arc<Account>);

pub(crate) fn register(account: &Arc<Account>, registry: &mut Registry) {
    registry.register_collector(Box::new(MemoryMetrics(Arc::clone(account))));
}

impl Collector for MemoryMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Self(account) = self;

        let help = "Memory that is drawn from the account of the process, by what it is for";
        let mut used =
            encoder.encode_descriptor("duramen_memory_bytes", help, None, MetricType::Gauge)?;

        for wanted in Use::ALL {
            let bytes = ConstGauge::new(whole(account.used_by(wanted)));
            bytes.encode(used.encode_family(&[("use", wanted.name())])?)?;
        }

        let help = "The size of the account of memory";
        let max =
            encoder.encode_descriptor("duramen_memory_bytes_max", help, None, MetricType::Gauge)?;
        ConstGauge::new(whole(account.bytes_max())).encode(max)?;

        let help = "How often memory was refused since the account was too full for this use";
        let mut refused =
            encoder.encode_descriptor("duramen_memory_refused", help, None, MetricType::Counter)?;

        for wanted in Use::ALL {
            let times = ConstCounter::new(account.refusals(wanted) as u64);
            times.encode(refused.encode_family(&[("use", wanted.name())])?)?;
        }

        if let Some(bytes) = resident_bytes() {
            let help =
                "Memory of the process that is in the machine's memory, counted by the system";
            let resident = encoder.encode_descriptor(
                "duramen_memory_resident_bytes",
                help,
                None,
                MetricType::Gauge,
            )?;

            ConstGauge::new(bytes).encode(resident)?;
        }

        Ok(())
    }
}

fn whole(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// As `VmRSS`; `None` where the system does not tell.
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

        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();

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
