//! Random sets of flushes, merged in any legal order, against a reference over the flushes.

use std::collections::BTreeMap;

use duramen_bucket::Bucket;
use duramen_compact::Policy;
use duramen_runtime::MockClock;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::entries::{DAY_MS, HOUR_MS, LATER_MS, NOW_MS};
use crate::store::{Answer, Process, TENANT, query};

/// How many random sets are tried. `DURAMEN_COMPACT_SETS` sets it.
fn sets() -> u64 {
    let sets = std::env::var("DURAMEN_COMPACT_SETS").ok();
    sets.and_then(|sets| sets.parse().ok()).unwrap_or(30)
}

/// Returns the samples of a flush by window, as an ingester cuts them.
fn groups(random: &mut StdRng, opened_ms: i64, value: u64) -> Vec<(i64, Answer)> {
    let mut windows: BTreeMap<i64, Answer> = BTreeMap::new();

    for _ in 0..random.random_range(1..20) {
        let back = match random.random_range(0..10) {
            0 => random.random_range(0..5) * DAY_MS,
            1 => -random.random_range(0..20) * HOUR_MS,
            _ => random.random_range(0..20) * HOUR_MS / 2,
        };

        let ts_ms = NOW_MS - back;
        let length = if ts_ms >= opened_ms - DAY_MS {
            2 * HOUR_MS
        } else {
            DAY_MS
        };
        let start = ts_ms.div_euclid(length) * length;
        let series = random.random_range(0..3);
        windows
            .entry(start)
            .or_default()
            .insert((series, ts_ms), value);
    }

    // The oldest windows may share a block.
    while windows.len() > 3 {
        let (_, oldest) = windows.pop_first().unwrap();
        let (start, mut next) = windows.pop_first().unwrap();
        next.extend(oldest);
        windows.insert(start, next);
    }

    windows.into_iter().collect()
}

/// Adds a flush to the reference: of two values for one time, that of the smaller order counts.
fn note(
    reference: &mut BTreeMap<(u8, i64), (i64, u64, u64)>,
    opened_ms: i64,
    writer: u64,
    groups: &[(i64, Answer)],
) {
    for (at, value) in groups.iter().flat_map(|(_, samples)| samples) {
        let new = (opened_ms, writer, *value);
        let first = reference.entry(*at).or_insert(new);
        if (new.0, new.1) < (first.0, first.1) {
            *first = new;
        }
    }
}

#[tokio::test]
async fn random_sets_answer_as_the_reference_before_during_and_after() {
    for seed in 0..sets() {
        let mut random = StdRng::seed_from_u64(seed);
        let bucket = Bucket::memory(MockClock::at(NOW_MS));
        let series_max = [1, 2, 100][random.random_range(0..3)];
        let policy = Policy {
            fragments_min: random.random_range(2..5),
            growth_max: random.random_range(1..9),
            inputs_max: random.random_range(2..8),
            ..Policy::default()
        };

        let mut writers =
            [1, 2, 3].map(|number| Process::new(&bucket, number, NOW_MS, policy.clone(), 100));
        let mut reference = BTreeMap::new();
        let mut opened = [0_i64; 3].map(|_| NOW_MS - DAY_MS);

        for flush in 0..random.random_range(1..16) {
            let writer = random.random_range(0..3);
            opened[writer] += random.random_range(1..10) * HOUR_MS / 2;
            let groups = groups(&mut random, opened[writer], flush);
            writers[writer].flush(opened[writer], &groups).await;
            note(&mut reference, opened[writer], writer as u64, &groups);
        }

        let expected: Answer = reference
            .into_iter()
            .map(|(at, (_, _, value))| (at, value))
            .collect();
        let worker = Process::new(&bucket, 9, NOW_MS, policy, series_max);
        let begun = worker.state().await;
        assert_eq!(
            query(&bucket, &begun).await,
            expected,
            "seed {seed}, before"
        );

        for now_ms in [NOW_MS, NOW_MS + 12 * HOUR_MS, LATER_MS] {
            worker.clock.set(now_ms);

            loop {
                let mut jobs = worker.compactor.plan(TENANT).await.unwrap();
                if jobs.is_empty() {
                    break;
                }

                let job = jobs.swap_remove(random.random_range(0..jobs.len()));
                worker.executor.run(TENANT, &job).await.unwrap();

                let state = worker.state().await;
                assert_eq!(
                    query(&bucket, &state).await,
                    expected,
                    "seed {seed}, after {}",
                    job.window
                );
            }
        }

        // A query that began before the first merge.
        assert_eq!(
            query(&bucket, &begun).await,
            expected,
            "seed {seed}, begun before"
        );
    }
}
