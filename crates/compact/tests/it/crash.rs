//! A worker dies after each of its requests, and the next one goes on.

use std::sync::Arc;

use duramen_bucket::{Bucket, Config, RetryPolicy};
use duramen_compact::Policy;
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::entries::{DAY_MS, HOUR_MS};
use crate::mortal::Mortal;
use crate::store::{Answer, Process, TENANT, orphans, query};

/// A time at which the day of the flushes is over.
const OVER_MS: i64 = 2 * DAY_MS;

fn bucket(store: Arc<dyn ObjectStore>, process: &Arc<duramen_runtime::MockClock>) -> Bucket {
    let config = Config {
        retry: RetryPolicy {
            attempts_max: 1,
            ..RetryPolicy::default()
        },
        ..Config::default()
    };

    Bucket::over(
        store,
        "memory:".to_owned(),
        &config,
        Arc::clone(process) as _,
    )
}

/// A store with five flushes of one day, by two writers whose values differ.
async fn flushed() -> Arc<InMemory> {
    let store = Arc::new(InMemory::new());
    let clock = duramen_runtime::MockClock::at(HOUR_MS);
    let bucket = bucket(Arc::clone(&store) as _, &clock);
    let mut writers =
        [1, 2].map(|number| Process::new(&bucket, number, HOUR_MS, Policy::default(), 100));

    for flush in 0..5 {
        let at = |at: i64| {
            (
                (u8::try_from(at % 3).unwrap(), (flush / 2) * HOUR_MS + at),
                flush.cast_unsigned(),
            )
        };
        let samples: Answer = (0..30).map(at).collect();
        let writer = &mut writers[usize::try_from(flush % 2).unwrap()];
        writer.flush(flush, &[(0, samples)]).await;
    }

    store
}

#[tokio::test]
async fn a_worker_may_die_at_any_request() {
    let mut requests = 1;
    let mut deaths = 0;

    loop {
        let mut is_whole = false;

        for is_done in [false, true] {
            let store = flushed().await;
            let clock = duramen_runtime::MockClock::at(OVER_MS);
            let whole = bucket(Arc::clone(&store) as _, &clock);
            let observer = Process::new(&whole, 10, OVER_MS, Policy::default(), 2);
            let before = observer.state().await;
            let expected = query(&whole, &before).await;

            let mortal = Arc::new(Mortal::new(Arc::clone(&store), requests, is_done));
            let dying = bucket(Arc::clone(&mortal) as _, &clock);
            let worker = Process::new(&dying, 11, OVER_MS, Policy::default(), 2);
            let died = worker.compactor.drain(TENANT, |_| true, |_| {}).await;

            is_whole = mortal.left() > 0;
            deaths += u64::from(died.is_err());

            // Nobody sees anything of it, and no live block lacks an object.
            let after = observer.state().await;
            assert_eq!(query(&whole, &after).await, expected);
            orphans(&whole, &after).await;

            // A query that began before goes on.
            assert_eq!(query(&whole, &before).await, expected);

            let next = Process::new(&whole, 12, OVER_MS, Policy::default(), 2);
            let summary = next
                .compactor
                .drain(TENANT, |_| true, |_| {})
                .await
                .unwrap();
            assert_eq!(summary.failed, []);

            let end = observer.state().await;
            assert_eq!(query(&whole, &end).await, expected);
            assert_eq!(end.blocks.len(), 2, "two siblings of one output");
        }

        if is_whole {
            break;
        }
        requests += 1;
    }

    assert!(deaths > 40, "{deaths} deaths");
}
