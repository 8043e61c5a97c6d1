//! The tiers of the cache in memory as metrics of the process.

use std::sync::Arc;

use duramen_block::{OpenOptions, TierCounts};
use duramen_metrics::{Collected, CollectedValue, Collector, MetricFamily, MetricKind, Number};

use crate::open_blocks::OpenBlocks;

/// Reads the tiers when the metrics are collected.
#[derive(Debug)]
pub(crate) struct MemoryTiers {
    pub(crate) options: OpenOptions,
    pub(crate) open: Arc<OpenBlocks>,
}

/// A tier by the name that its metrics have.
struct Tier {
    name: &'static str,
    counts: TierCounts,
    bytes: usize,
}

impl MemoryTiers {
    fn read(&self) -> Vec<Tier> {
        let Self { options, open } = self;
        let tier = |name, counts, bytes| Tier {
            name,
            counts,
            bytes,
        };

        let extents = options.cache.iter();
        let indexes = options.indexes.iter();
        let matchers = options.matched.iter();

        extents
            .map(|held| tier("extents", held.counts(), held.bytes()))
            .chain(indexes.map(|held| tier("series_indexes", held.counts(), held.bytes())))
            .chain(matchers.map(|held| tier("matchers", held.counts(), held.bytes())))
            .chain([tier("open_blocks", open.counts(), open.bytes())])
            .collect()
    }
}

impl Collector for MemoryTiers {
    fn collect(&self) -> Vec<MetricFamily> {
        let tiers = self.read();

        let counter = |name: &str, help: &str, count: fn(&TierCounts) -> u64| {
            let counted = tiers.iter().map(|tier| {
                let value = CollectedValue::Counter(count(&tier.counts));
                Collected::with("tier", tier.name, value)
            });

            family(name, help, MetricKind::Counter, counted)
        };

        let held = tiers.iter().map(|tier| {
            let bytes = i64::try_from(tier.bytes).unwrap_or(i64::MAX);
            let value = CollectedValue::Gauge(Number::Whole(bytes));
            Collected::with("tier", tier.name, value)
        });

        vec![
            counter("hits", "Entries that were found in memory", |counts| {
                counts.hits
            }),
            counter(
                "misses",
                "Entries that were not found in memory",
                |counts| counts.misses,
            ),
            counter(
                "evicted",
                "Entries that were dropped to make room or since others needed the memory",
                |counts| counts.evicted,
            ),
            family(
                "bytes",
                "Memory that the entries take",
                MetricKind::Gauge,
                held,
            ),
        ]
    }
}

fn family(
    name: &str,
    help: &str,
    kind: MetricKind,
    metrics: impl Iterator<Item = Collected>,
) -> MetricFamily {
    MetricFamily::new(&format!("duramen_cache_memory_{name}"), help, kind, metrics)
}
