//! What the tiers in memory count.

use std::sync::Arc;

use duramen_blocks::Blocks;
use duramen_bucket::{Bucket, Config};
use duramen_metrics::Registry;
use duramen_model::{BlockEntry, Matcher, TimeRange};
use duramen_qos::{Account, Use};
use duramen_source::{Columns, Read, Reads, SeriesRequest, SeriesSource};
use futures::TryStreamExt;

use crate::world::{PausedClock, stored, tenant};

/// The blocks of a process, and its metrics.
struct Process {
    blocks: Blocks,
    entry: BlockEntry,
    registry: Registry,
    memory: Arc<Account>,
}

/// The figures of a tier, as the metrics tell them.
#[derive(Debug, PartialEq, Eq)]
struct Tier {
    hits: u64,
    misses: u64,
    evicted: u64,
    bytes: u64,
}

impl Process {
    async fn start() -> Self {
        let (store, mut entries) = stored().await;
        let clock = PausedClock::new(1);
        let bucket = Bucket::over(store, "memory:".to_owned(), &Config::default(), clock);

        let memory = Account::new(64 << 20);
        let blocks = Blocks::new(bucket, 16 << 20, 10, Arc::clone(&memory));
        let mut registry = Registry::default();
        blocks.register(&mut registry);

        Self {
            blocks,
            entry: entries.remove(0),
            registry,
            memory,
        }
    }

    /// Reads the samples of one metric, and returns what that took.
    async fn query(&self) -> Arc<Reads> {
        let reads = Arc::new(Reads::default());
        let source = self.blocks.source(tenant(), &self.entry, &reads);
        let request = SeriesRequest {
            matchers: [Matcher::equal("__name__", "metric_1")].into(),
            range: TimeRange::ALL,
            columns: Columns::Samples,
            batch_series_max: 100,
            reads: Arc::clone(&reads),
        };

        let batches = source.await.unwrap().select(&request).await.unwrap();
        let batches: Vec<_> = batches.try_collect().await.unwrap();
        assert_eq!(batches.iter().map(|batch| batch.len()).sum::<usize>(), 8);

        reads
    }

    fn tier(&self, tier: &str) -> Tier {
        let text = duramen_metrics::text(&self.registry.collect());
        let figure = |name: &str| {
            let series = format!("duramen_cache_memory_{name}{{tier=\"{tier}\"}} ");
            let found = text.lines().find_map(|line| line.strip_prefix(&series));
            found.expect(&text).parse().unwrap()
        };

        Tier {
            hits: figure("hits_total"),
            misses: figure("misses_total"),
            evicted: figure("evicted_total"),
            bytes: figure("bytes"),
        }
    }
}

/// How often a selection found an open block, its index, and its answer to the matchers.
fn hits(reads: &Reads) -> [u64; 3] {
    [Read::OpenHits, Read::IndexHits, Read::MatcherHits].map(|what| reads.get(what))
}

#[tokio::test(start_paused = true)]
async fn each_tier_in_memory_counts_its_hits_its_misses_and_what_it_dropped() {
    let process = Process::start().await;
    let tiers =
        || ["extents", "series_indexes", "matchers", "open_blocks"].map(|name| process.tier(name));

    for tier in tiers() {
        assert_eq!((tier.hits, tier.misses, tier.bytes), (0, 0, 0));
    }

    // The series file comes along with `meta`, so the first query makes the index.
    let reads = process.query().await;
    assert_eq!(hits(&reads), [0, 0, 0]);
    let cold = tiers();

    for tier in &cold {
        assert!(tier.misses > 0 && tier.bytes > 0, "{cold:?}");
        assert_eq!((tier.hits, tier.evicted), (0, 0), "{cold:?}");
    }

    let reads = process.query().await;
    assert_eq!(hits(&reads), [1, 1, 1]);
    assert_eq!(reads.get(Read::Gets), 0);
    let warm = tiers();

    for (cold, warm) in cold.iter().zip(&warm) {
        assert!(warm.hits > 0, "{warm:?}");
        assert_eq!((warm.misses, warm.bytes), (cold.misses, cold.bytes));
    }

    let [extents, indexes, matchers, open] = &warm;
    assert_eq!(extents.hits, reads.get(Read::CacheHits));
    assert_eq!((indexes.hits, matchers.hits, open.hits), (1, 1, 1));

    // A query takes all of the memory.
    let query = process
        .memory
        .take(Use::Query, process.memory.mark(Use::Query));
    let _query = query.unwrap();

    for tier in tiers() {
        assert!(tier.evicted > 0, "{tier:?}");
        assert_eq!(tier.bytes, 0);
    }
}
