//! Blocks whose extents are on the local disk too.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use duramen_block::{Block, ExtentCache, OpenOptions, WriterOptions};
use duramen_cache::{DiskCache, EngineKind, Host, Options};
use duramen_model::{BlockStats, Matcher};
use duramen_qos::Account;
use duramen_runtime::{MockClock, RealDisk, Tasks};
use duramen_source::{Read, Reads, SeriesRequest};
use object_store::ObjectStore;

use crate::cost::{Counting, GetCounts, ten_thousand};
use crate::fixture::{Series, collect, in_memory, key, request};

const ENGINES: [EngineKind; 2] = [EngineKind::Files, EngineKind::Foyer];

/// A process that reads one block: its memory, and the disk that outlives it.
struct Reader {
    disk: Arc<DiskCache>,
    block: Arc<Block>,
    reads: Arc<Reads>,
}

impl Reader {
    async fn start(
        store: &Arc<Counting>,
        stats: &BlockStats,
        folder: &Path,
        kind: EngineKind,
        disk_bytes_max: u64,
    ) -> Self {
        let host = Host {
            disk: Arc::new(RealDisk),
            clock: MockClock::at(0),
            tasks: Tasks::default(),
            memory: Account::unbounded(),
        };

        let bounds = Options {
            disk_bytes_max,
            free_bytes_min: 0,
        };

        let disk = DiskCache::open(host, folder, kind, bounds).await.unwrap();
        let cache = ExtentCache::new(64 << 20);
        cache.put_over(Arc::clone(&disk));

        let options = OpenOptions {
            cache: Some(Arc::new(cache)),
            ..OpenOptions::default()
        };

        let reads = Arc::new(Reads::default());
        let store = Arc::clone(store) as Arc<dyn ObjectStore>;
        let block = Block::open(store, key(), stats, options, &reads)
            .await
            .unwrap();

        Self { disk, block, reads }
    }

    async fn select(&self, matchers: Vec<Matcher>) -> Vec<Series> {
        let asked = SeriesRequest {
            reads: Arc::clone(&self.reads),
            ..request(matchers)
        };

        collect(&self.block, &asked).await.unwrap()
    }

    async fn end(self) {
        self.disk.close().await;
        let weak = Arc::downgrade(&self.disk);
        drop(self);

        while weak.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn panel() -> Vec<Matcher> {
    vec![Matcher::equal("__name__", "metric_07_total")]
}

#[tokio::test]
async fn after_a_restart_what_was_read_needs_no_request() {
    let (memory, stats) = in_memory(&ten_thousand(5), WriterOptions::default()).await;

    for kind in ENGINES {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Counting::new(
            Arc::clone(&memory) as _,
            GetCounts::default(),
        ));

        let reader = Reader::start(&store, &stats, folder.path(), kind, 64 << 20).await;
        let first = reader.select(panel()).await;
        assert!(!first.is_empty());
        assert_eq!(reader.reads.get(Read::DiskHits), 0);
        reader.end().await;

        let (cold, _) = store.hook().count();
        assert!(cold >= 2);

        let reader = Reader::start(&store, &stats, folder.path(), kind, 64 << 20).await;
        assert_eq!(reader.select(panel()).await, first, "{kind:?}");
        assert_eq!(store.hook().count().0, cold, "{kind:?}: no GET more");

        let reads = &reader.reads;
        assert_eq!(reads.get(Read::Gets), 0);
        assert!(reads.get(Read::DiskHits) >= 3, "meta, series and samples");
        assert_eq!(
            reader.disk.counts().hit_bytes.get(),
            reads.get(Read::DiskBytes)
        );

        // The second selection of this process finds everything in memory.
        let hits = reads.get(Read::DiskHits);
        assert_eq!(reader.select(panel()).await, first);
        assert_eq!(reads.get(Read::DiskHits), hits);
        assert_eq!(store.hook().count().0, cold);
        reader.end().await;
    }
}

/// Changes the last half of each file in `folder`, where the payloads are.
fn damage(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damage(&path);
        } else {
            let mut bytes = fs::read(&path).unwrap();
            let half = bytes.len() / 2;
            for byte in &mut bytes[half..] {
                *byte ^= 0x10;
            }

            fs::write(&path, bytes).unwrap();
        }
    }
}

#[tokio::test]
async fn a_damaged_disk_costs_requests_and_no_wrong_answer() {
    let (memory, stats) = in_memory(&ten_thousand(5), WriterOptions::default()).await;
    let kind = EngineKind::Files;
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Counting::new(
        Arc::clone(&memory) as _,
        GetCounts::default(),
    ));

    let reader = Reader::start(&store, &stats, folder.path(), kind, 64 << 20).await;
    let first = reader.select(panel()).await;
    reader.end().await;

    let (cold, _) = store.hook().count();
    damage(&folder.path().join("entries"));

    let reader = Reader::start(&store, &stats, folder.path(), kind, 64 << 20).await;
    assert_eq!(reader.select(panel()).await, first);
    assert_eq!(reader.reads.get(Read::DiskHits), 0);
    assert!(reader.disk.counts().damaged.get() >= 1);
    assert_eq!(store.hook().count().0, 2 * cold, "as cold as at first");
    reader.end().await;

    // What was fetched again is on the disk again. The series came along with `meta`, so nobody has
    // met their damaged entries yet: the third reader does, and the fourth finds everything.
    for _ in 0..2 {
        let reader = Reader::start(&store, &stats, folder.path(), kind, 64 << 20).await;
        assert_eq!(reader.select(panel()).await, first);
        assert!(reader.reads.get(Read::DiskHits) >= 2);
        reader.end().await;
    }

    let (before, _) = store.hook().count();
    let reader = Reader::start(&store, &stats, folder.path(), kind, 64 << 20).await;
    assert_eq!(reader.select(panel()).await, first);
    assert_eq!(reader.disk.counts().damaged.get(), 0);
    assert_eq!(store.hook().count().0, before);
    reader.end().await;
}

#[tokio::test]
async fn a_scan_leaves_most_of_what_it_reads_out() {
    let (memory, stats) = in_memory(&ten_thousand(5), WriterOptions::default()).await;
    let samples: u64 = stats.files.iter().map(|file| file.bytes).sum();
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Counting::new(
        Arc::clone(&memory) as _,
        GetCounts::default(),
    ));

    // A sixteenth of this is less than the block.
    let reader = Reader::start(&store, &stats, folder.path(), EngineKind::Files, samples).await;
    let all = reader.select(vec![]).await;
    assert_eq!(all.len(), 10_000);

    reader.disk.settle().await;
    let written = reader.disk.counts().inserted_bytes.get();
    assert!(written < samples / 2, "{written} of {samples}");
    reader.end().await;
}
