//! A past state has what the bucket had then, without what was deleted since.

use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::{Bucket, keys};
use duramen_model::{AsOf, BlockId, Deletion, ErrorKind, Matcher, TimeRange};
use duramen_query::Storage;
use duramen_runtime::{Clock, MockClock};
use duramen_testkit::SimDisk;

use crate::system::{Samples, System, tenant};

const START_MS: i64 = 1_700_000_000_000;

struct World {
    clock: Arc<MockClock>,
    bucket: Bucket,
    system: System,
    storage: Storage,
}

impl World {
    async fn new() -> Self {
        let clock = MockClock::at(START_MS);
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let bucket = Bucket::memory(Arc::clone(&shared));
        let system = System::start(bucket.clone(), Arc::new(SimDisk::new()), shared);
        let system = system.await.unwrap();
        let storage = system.storage(Arc::new(system.ingester.clone()));

        Self {
            clock,
            bucket,
            system,
            storage,
        }
    }

    /// Writes a sample of series `a`, flushes it, and waits a minute.
    async fn flush(&self, ts_ms: i64, value: f64) {
        self.write(ts_ms, value).await;
        self.system.ingester.flush_all().await.unwrap();
        self.clock.advance(Duration::from_mins(1));
    }

    async fn write(&self, ts_ms: i64, value: f64) {
        let sample = ("a".to_owned(), START_MS + ts_ms, value);
        self.system.write(&[sample]).await.unwrap();
    }

    async fn then(&self, as_of: AsOf) -> Samples {
        let then = self.system.read_as_of(&self.storage, Some(&as_of));
        then.await.unwrap()
    }

    fn sequence(&self) -> u64 {
        let state = self.system.manifests.cached(self.system.tenant_id());
        state.unwrap().sequence
    }
}

fn samples(of: &[(i64, f64)]) -> Samples {
    let sample = |(ts_ms, value): &(i64, f64)| {
        let key = ("a".to_owned(), START_MS + ts_ms);
        (key, value.to_bits())
    };

    of.iter().map(sample).collect()
}

#[tokio::test]
async fn a_past_state_has_what_was_committed_then() {
    let world = World::new().await;
    world.flush(0, 1.0).await;
    let first_ms = world.clock.now_ms();
    let first = world.sequence();

    world.flush(1, 2.0).await;
    let second_ms = world.clock.now_ms();

    // What is in memory alone is part of the present only.
    world.write(2, 3.0).await;
    let all = samples(&[(0, 1.0), (1, 2.0), (2, 3.0)]);
    assert_eq!(world.system.read(&world.storage).await.unwrap(), all);

    let none = Samples::new();
    assert_eq!(world.then(AsOf::Time(START_MS - 1)).await, none);
    assert_eq!(world.then(AsOf::Sequence(0)).await, none);

    let one = samples(&[(0, 1.0)]);
    assert_eq!(world.then(AsOf::Time(first_ms - 1)).await, one);
    assert_eq!(world.then(AsOf::Sequence(first)).await, one);

    let two = samples(&[(0, 1.0), (1, 2.0)]);
    assert_eq!(world.then(AsOf::Time(second_ms)).await, two);
    assert_eq!(world.then(AsOf::Sequence(world.sequence())).await, two);
}

#[tokio::test]
async fn what_was_deleted_since_does_not_come_back() {
    let world = World::new().await;
    world.flush(0, 1.0).await;
    world.flush(1, 2.0).await;
    let before = world.sequence();

    let deletion = Deletion {
        selectors: vec![vec![Matcher::equal("series", "a")]],
        range: TimeRange::closed(START_MS, START_MS).unwrap(),
        value: None,
    };

    let name = tenant();
    let deleted = world.system.ingester.delete(&name, deletion, String::new());
    deleted.await.unwrap().unwrap();

    let left = samples(&[(1, 2.0)]);
    assert_eq!(world.then(AsOf::Sequence(before)).await, left);
}

#[tokio::test]
async fn a_replaced_block_is_read_until_it_is_deleted_and_then_the_answer_says_why() {
    let world = World::new().await;
    world.flush(0, 1.0).await;
    let before = world.sequence();
    let tenant = world.system.tenant_id();

    let state = world.system.manifests.cached(tenant).unwrap();
    let ids: Vec<BlockId> = state.blocks.keys().copied().collect();
    let entry = Arc::clone(state.blocks.values().next().unwrap());
    let removed = duramen_manifest::Commit::replace(ids, Vec::new());
    world
        .system
        .manifests
        .commit(tenant, removed)
        .await
        .unwrap();

    assert_eq!(
        world.then(AsOf::Sequence(before)).await,
        samples(&[(0, 1.0)])
    );

    for name in ["meta", "series.parquet", "samples.parquet"] {
        let key = keys::block(tenant, &entry).join(name);
        world.bucket.delete(&key).await.unwrap();
    }

    // Another process, which has not opened the block.
    let storage = world
        .system
        .storage(Arc::new(world.system.ingester.clone()));
    let as_of = AsOf::Sequence(before);
    let gone = world
        .system
        .read_as_of(&storage, Some(&as_of))
        .await
        .unwrap_err();

    let error = gone.downcast_ref::<duramen_source::Error>().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(format!("{gone:#}").contains("compact.history"), "{gone:#}");
}

#[tokio::test]
async fn a_state_of_the_future_is_refused() {
    let world = World::new().await;
    world.flush(0, 1.0).await;

    let as_of = AsOf::Sequence(1_000);
    let refused = world.system.read_as_of(&world.storage, Some(&as_of)).await;
    let refused = refused.unwrap_err();

    let error = refused.downcast_ref::<duramen_source::Error>().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(format!("{refused:#}").contains("seq:1000"), "{refused:#}");
}
