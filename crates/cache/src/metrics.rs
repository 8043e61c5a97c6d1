//! The counts of a cache as metrics of the process.

use std::sync::Arc;

use duramen_metrics::{
    Collected, CollectedValue, Collector, Counter, MetricFamily, MetricKind, Number, Registry,
};

use crate::disk_cache::DiskCache;

/// Reads a cache when the metrics are collected.
#[derive(Debug)]
struct CacheMetrics(Arc<DiskCache>);

/// Adds the metrics of `cache` to `registry`, with the prefix `duramen_cache_disk`.
pub fn register(cache: &Arc<DiskCache>, registry: &mut Registry) {
    registry.register_collector(CacheMetrics(Arc::clone(cache)));
}

impl Collector for CacheMetrics {
    fn collect(&self) -> Vec<MetricFamily> {
        let Self(cache) = self;
        let counts = cache.counts();
        let held = cache.held();

        let counter = |name: &str, help: &str, counter: &Counter| {
            family(name, help, CollectedValue::Counter(counter.get()))
        };
        let gauge = |name: &str, help: &str, value: u64| {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            family(name, help, CollectedValue::Gauge(Number::Whole(value)))
        };

        vec![
            counter(
                "hits",
                "Entries that were found on the disk and verified",
                &counts.hits,
            ),
            counter("hit_bytes", "Bytes of these entries", &counts.hit_bytes),
            counter(
                "misses",
                "Entries that were not found on the disk",
                &counts.misses,
            ),
            counter("inserted", "Entries that were written", &counts.inserted),
            counter(
                "inserted_bytes",
                "Bytes of these entries",
                &counts.inserted_bytes,
            ),
            counter(
                "skipped",
                "Entries that were not written since too many waited for the disk",
                &counts.skipped,
            ),
            counter(
                "damaged",
                "Entries that were damaged on the disk and were dropped",
                &counts.damaged,
            ),
            counter("errors", "Calls of the disk that failed", &counts.errors),
            family(
                "evicted",
                "Entries that were dropped to make room",
                CollectedValue::Counter(held.evictions),
            ),
            gauge("entries", "Entries on the disk", held.entries),
            gauge(
                "bytes",
                "Space that the entries take of the disk",
                held.disk_bytes,
            ),
            gauge(
                "memory_bytes",
                "Memory of the index of the entries",
                held.memory_bytes,
            ),
            gauge(
                "off",
                "Whether the cache is left alone for a while since its disk failed",
                u64::from(!cache.is_on()),
            ),
        ]
    }
}

fn family(name: &str, help: &str, value: CollectedValue) -> MetricFamily {
    let kind = match value {
        CollectedValue::Counter(_) => MetricKind::Counter,
        _ => MetricKind::Gauge,
    };

    MetricFamily::new(
        &format!("duramen_cache_disk_{name}"),
        help,
        kind,
        [Collected::alone(value)],
    )
}
