//! A query sees one moment, even while others write.

use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::Bucket;
use duramen_limits::LimitsHandle;
use duramen_model::{Matcher, TimeRange};
use duramen_promql::{Engine, EngineConfig, SampleValue, Value};
use duramen_query::{Config, Parts, Querier, Query, QueryOptions, Reader, Selection};
use duramen_runtime::{Clock, MockClock, SystemClock, Tasks, Workers};
use duramen_source::Columns;
use duramen_testkit::SimDisk;
use futures::TryStreamExt;
use tokio::sync::Semaphore;

use crate::system::{System, tenant};

const NOW_MS: i64 = 1_760_400_000_000;
/// More series than a batch has.
const SERIES: usize = 1500;
/// The number of writes during each query.
const WRITES: usize = 4;

/// Starts a system and a querier over it.
async fn start() -> (Arc<System>, Arc<Querier>) {
    let clock: Arc<dyn Clock> = MockClock::at(NOW_MS);
    let bucket = Bucket::memory(Arc::clone(&clock));
    let system = System::start(bucket, Arc::new(SimDisk::new()), Arc::clone(&clock))
        .await
        .unwrap();
    let heads = Arc::new(system.ingester.clone());
    let engine = Engine::new(EngineConfig::default(), Arc::clone(&clock));

    let querier = Querier::new(Parts {
        engine,
        source: Arc::new(system.storage(heads)),
        register: system.tenants(),
        clock: Arc::new(SystemClock::default()),
        workers: Workers::start("queries").unwrap(),
        limits: LimitsHandle::default(),
        config: Config::default(),
        metrics: duramen_query::Metrics::default(),
    });

    (Arc::new(system), Arc::new(querier))
}

/// Sets all series to `value` in one request, at a new time.
async fn set_all(system: &System, value: i32) {
    let samples: Vec<_> = (0..SERIES)
        .map(|at| {
            (
                format!("{at:04}"),
                NOW_MS + i64::from(value),
                f64::from(value),
            )
        })
        .collect();

    system.write(&samples).await.unwrap();
}

async fn values(querier: &Querier, query: &str) -> Vec<f64> {
    let query = Query::new(query);
    let answer = querier
        .instant(&tenant(), &query, NOW_MS + 60_000, QueryOptions::default())
        .await
        .unwrap();

    let Value::Vector(series) = answer.into_parts().0.value.value else {
        unreachable!("a vector is asked for")
    };
    let float = |value| match value {
        SampleValue::Float(value) => value,
        SampleValue::Histogram(_) => f64::NAN,
    };

    series
        .into_iter()
        .map(|series| float(series.value))
        .collect()
}

/// Reads all samples of a selection twice, one after the other.
async fn twice(reader: Reader) -> Result<[Vec<f64>; 2], duramen_query::Error> {
    let range = TimeRange::ALL;
    let selection = Selection {
        matchers: vec![Matcher::equal("__name__", "m")],
        range,
        columns: Columns::Samples,
    };

    let mut passes = [Vec::new(), Vec::new()];
    for pass in &mut passes {
        let mut batches = reader.select(&selection).await?;
        while let Some(batch) = batches.try_next().await? {
            pass.extend((0..batch.len()).flat_map(|row| batch.samples_at(row).1.to_vec()));
        }
    }

    Ok(passes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_beside_writes_sees_each_of_them_whole_or_not_at_all() {
    let (system, querier) = start().await;
    set_all(&system, 0).await;

    let turns = Arc::new(Semaphore::new(0));
    let writer = Arc::clone(&system);
    let taken = Arc::clone(&turns);

    let writing = Workers::default().spawn(async move {
        for value in 1.. {
            let Ok(turn) = taken.acquire().await else {
                break;
            };
            turn.forget();
            set_all(&writer, value).await;

            // A flush moves what queries read to the disk and to the bucket.
            if value % 10 == 0 {
                writer.ingester.flush(&tenant()).await.unwrap();
            }
        }
    });

    for _ in 0..4 {
        turns.add_permits(WRITES);

        let differences = values(&querier, "m - m").await;
        assert_eq!(differences.len(), SERIES);
        assert!(
            differences.iter().all(|difference| *difference == 0.0),
            "two equal selectors differ"
        );

        turns.add_permits(WRITES);

        let counts = values(&querier, "count_values(\"v\", m)").await;
        assert_eq!(counts, [SERIES as f64], "a write is seen in part");

        turns.add_permits(WRITES);

        let rests = values(&querier, "sum(count_over_time(m[1h])) % 1500").await;
        assert_eq!(rests, [0.0], "a write is seen in part");

        turns.add_permits(WRITES);

        let ([first, second], _turn) = querier
            .read(&tenant(), None, twice)
            .await
            .unwrap()
            .into_parts();
        assert!(first == second, "two passes of one reader differ");
        assert_eq!(first.len() % SERIES, 0, "a write is seen in part");
    }

    turns.close();
    writing.await.unwrap();
}

/// What another process commits is seen by a later query, and no query waits for it.
#[tokio::test]
async fn what_others_commit_is_looked_for_now_and_then() {
    let clock = MockClock::at(NOW_MS);
    let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let bucket = Bucket::memory(Arc::clone(&as_clock));
    let start =
        |disk: SimDisk| System::start(bucket.clone(), Arc::new(disk), Arc::clone(&as_clock));
    let one = start(SimDisk::new()).await.unwrap();
    let other = start(SimDisk::new()).await.unwrap();

    let sample = |at_ms: i64| vec![("0".to_owned(), NOW_MS + at_ms, 1.0)];
    one.write(&sample(0)).await.unwrap();
    other.write(&sample(1)).await.unwrap();

    let storage = one.storage(Arc::new(one.ingester.clone()));
    let storage = storage.looking_every(Duration::from_secs(30), &Tasks::default());
    let count = async || one.contents(&storage).await.unwrap().samples.len();
    assert_eq!(count().await, 1);

    other.ingester.flush(&tenant()).await.unwrap();
    clock.advance(Duration::from_secs(29));
    assert_eq!(count().await, 1);

    let before = one.manifests.cached(one.tenant_id()).unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(count().await, 1, "no query waits");

    // The look goes on behind it.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let after = one.manifests.cached(one.tenant_id()).unwrap();
    assert!(after.sequence > before.sequence);
    assert_eq!(count().await, 2);
}
