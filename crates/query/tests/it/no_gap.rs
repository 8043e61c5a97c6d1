//! Queries during flushes.

use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::Bucket;
use duramen_runtime::{Clock, SystemClock};
use duramen_testkit::SimDisk;
use futures::FutureExt;
use parking_lot::Mutex;

use crate::system::{Samples, System};
use crate::turnstile::{GatedHeads, GatedStore, Turnstile};

/// The number of systems, each with fresh state, and of queries on each: 10,000 in total.
const SYSTEMS: u64 = 100;
const QUERIES: usize = 100;
const FLUSHES: i64 = 12;

/// Runs one system with one seed: a task that writes and flushes in a loop, and a task that reads
/// in a loop. Returns the number of steps.
#[expect(clippy::future_not_send, reason = "the tasks are driven on one thread")]
async fn run(seed: u64) -> usize {
    let turnstile = Turnstile::default();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let store = GatedStore {
        store: Arc::new(object_store::memory::InMemory::new()),
        turnstile: turnstile.clone(),
    };

    let config = duramen_bucket::Config::default();
    let bucket = Bucket::over(
        Arc::new(store),
        "gated".to_owned(),
        &config,
        Arc::clone(&clock),
    );

    let system = System::start(bucket, Arc::new(SimDisk::new()), Arc::clone(&clock))
        .await
        .unwrap();
    let storage = system.storage(Arc::new(GatedHeads {
        heads: system.ingester.clone(),
        turnstile: turnstile.clone(),
    }));

    let acknowledged = Mutex::new(Samples::new());
    let offered = Mutex::new(Samples::new());
    let now_ms = clock.now_ms();

    // The tenant is created before the tasks are driven. Otherwise one of them waits for a lock
    // that the other holds at a turnstile.
    system
        .write(&[("first".to_owned(), now_ms, 0.0)])
        .await
        .unwrap();

    offered
        .lock()
        .insert(("first".to_owned(), now_ms), 0.0f64.to_bits());

    let writer = async {
        for round in 0..FLUSHES {
            for series in ["a", "b", "c"] {
                // The second of two samples comes late, into the generation after the flush of its
                // neighbours.
                for ts_ms in [now_ms + round * 10, now_ms + (round - 1) * 10 + 5] {
                    let sample = (
                        series.to_owned(),
                        ts_ms,
                        f64::from(i32::try_from(round).unwrap()),
                    );

                    offered
                        .lock()
                        .insert((sample.0.clone(), ts_ms), sample.2.to_bits());

                    let report = system.write(std::slice::from_ref(&sample)).await.unwrap();
                    assert!(report.rejected.is_empty(), "{}", report.rejected);

                    acknowledged
                        .lock()
                        .insert((sample.0, ts_ms), sample.2.to_bits());
                    turnstile.pass().await;
                }
            }

            system.ingester.flush_all().await.unwrap();
            turnstile.pass().await;
        }
    };

    let reader = async {
        for _ in 0..QUERIES {
            turnstile.pass().await;

            let before = acknowledged.lock().clone();
            let seen = system.read(&storage).await.unwrap();

            for (sample, bits) in &before {
                assert_eq!(
                    seen.get(sample),
                    Some(bits),
                    "seed {seed}: {sample:?} was acknowledged and is missing"
                );
            }

            let offered = offered.lock();
            assert!(
                seen.iter()
                    .all(|(sample, bits)| offered.get(sample) == Some(bits)),
                "seed {seed}: a phantom"
            );
        }
    };

    let driven = turnstile.drive(seed, vec![writer.boxed_local(), reader.boxed_local()]);
    tokio::time::timeout(Duration::from_secs(60), driven)
        .await
        .expect("a task waits for the other outside of a turnstile")
}

#[test]
fn a_query_sees_no_gap_and_no_duplicate_while_flushes_commit_under_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();

    let steps: usize = runtime.block_on(async {
        let mut steps = 0;
        for seed in 0..SYSTEMS {
            steps += run(seed).await;
        }

        steps
    });

    println!(
        "{} queries in {steps} ordered steps",
        SYSTEMS * QUERIES as u64
    );

    assert!(steps > 10_000);
}

#[test]
fn the_order_of_steps_is_a_function_of_the_seed() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();

    let (a, b) = runtime.block_on(async { (run(7).await, run(7).await) });
    assert_eq!(a, b);
}
