//! What was deleted is in no answer, wherever it lies, and what is written later is.

use std::collections::BTreeSet;
use std::sync::Arc;

use duramen_bucket::Bucket;
use duramen_model::{Deletion, Matcher, TimeRange};
use duramen_query::Storage;
use duramen_runtime::{Clock, SystemClock};
use duramen_source::{Columns, SeriesRequest};
use duramen_testkit::SimDisk;
use futures::TryStreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::system::{Samples, System, tenant};

const SERIES: [&str; 3] = ["a", "b", "c"];
const TIMES: i64 = 8;

/// A system whose process can be started again.
struct World {
    disk: SimDisk,
    bucket: Bucket,
    clock: Arc<dyn Clock>,
    system: System,
    storage: Storage,
    base_ms: i64,
    /// What must be found.
    visible: Samples,
    written: f64,
}

impl World {
    async fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let disk = SimDisk::new();
        let bucket = Bucket::memory(Arc::clone(&clock));
        let base_ms = clock.now_ms() - 3_600_000;
        let (system, storage) = start(&bucket, &disk, &clock).await;

        Self {
            disk,
            bucket,
            clock,
            system,
            storage,
            base_ms,
            visible: Samples::new(),
            written: 0.0,
        }
    }

    /// Writes a sample, unless there is one of its series and time.
    async fn write(&mut self, series: &str, time: i64) {
        let key = (series.to_owned(), self.base_ms + time);
        if self.visible.contains_key(&key) {
            return;
        }

        self.written += 1.0;
        let sample = (key.0.clone(), key.1, self.written);
        self.system.write(&[sample]).await.unwrap();
        self.visible.insert(key, self.written.to_bits());
    }

    async fn flush(&self) {
        self.system.ingester.flush_all().await.unwrap();
    }

    async fn delete(&mut self, series: &[&str], from: i64, to: i64) {
        let range = TimeRange::closed(self.base_ms + from, self.base_ms + to).unwrap();
        let selectors = series
            .iter()
            .map(|series| vec![Matcher::equal("series", *series)])
            .collect();

        let deletion = Deletion {
            selectors,
            range,
            value: None,
        };

        let (ingester, name) = (&self.system.ingester, tenant());
        let deleted = ingester.delete(&name, deletion, "test".to_owned());
        deleted.await.unwrap().unwrap();

        self.visible
            .retain(|(of, ts_ms), _| !series.contains(&of.as_str()) || !range.contains(*ts_ms));
    }

    /// Starts a new process on the same disk and bucket. The old one has flushed nothing.
    async fn restart(&mut self) {
        let (system, storage) = start(&self.bucket, &self.disk, &self.clock).await;
        self.system = system;
        self.storage = storage;
    }

    async fn check(&self) {
        assert_eq!(self.system.read(&self.storage).await.unwrap(), self.visible);

        let view = self.system.view(&self.storage).await.unwrap();
        let request = SeriesRequest {
            matchers: Arc::new([]),
            range: TimeRange::ALL,
            columns: Columns::Labels,
            batch_series_max: 10,
            reads: Arc::default(),
        };

        let series: BTreeSet<String> = self.visible.keys().map(|(of, _)| of.clone()).collect();
        let values = view.label_values(&request, "series").await.unwrap();
        assert_eq!(values, series);

        let batches: Vec<_> = view
            .select(&request)
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        let rows: usize = batches.iter().map(duramen_source::SeriesBatch::len).sum();
        assert_eq!(rows, series.len());

        let summaries = view.summaries(&request).await.unwrap();
        assert_eq!(summaries.len(), series.len());

        let names = view.label_names(&request).await.unwrap();
        assert_eq!(names.contains("series"), !series.is_empty());
    }
}

async fn start(bucket: &Bucket, disk: &SimDisk, clock: &Arc<dyn Clock>) -> (System, Storage) {
    let disk = Arc::new(disk.clone());
    let system = System::start(bucket.clone(), disk, Arc::clone(clock));
    let system = system.await.unwrap();
    let storage = system.storage(Arc::new(system.ingester.clone()));

    (system, storage)
}

#[tokio::test]
async fn what_was_deleted_can_be_written_again() {
    let mut world = World::new().await;

    // One sample in a block, one in a generation that was flushed half, one in memory.
    world.write("a", 0).await;
    world.flush().await;
    world.write("a", 1).await;
    world.write("b", 1).await;

    world.delete(&["a"], 0, 9).await;
    world.check().await;

    world.write("a", 0).await;
    world.write("a", 1).await;
    world.check().await;

    world.restart().await;
    world.check().await;

    world.flush().await;
    world.check().await;
}

#[tokio::test]
async fn random_deletions_hide_what_was_before_them_and_nothing_else() {
    for seed in 0..40 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = World::new().await;
        world.write("first", 0).await;

        for _ in 0..40 {
            match rng.random_range(0..12) {
                0 => world.flush().await,
                1 => world.restart().await,
                2 | 3 => {
                    let from = rng.random_range(0..TIMES);
                    let to = rng.random_range(from..TIMES);
                    let first = rng.random_range(0..SERIES.len());
                    let end = rng.random_range(first..SERIES.len()) + 1;
                    world.delete(&SERIES[first..end], from, to).await;
                }
                _ => {
                    let series = SERIES[rng.random_range(0..SERIES.len())];
                    world.write(series, rng.random_range(0..TIMES)).await;
                }
            }

            world.check().await;
        }
    }
}
