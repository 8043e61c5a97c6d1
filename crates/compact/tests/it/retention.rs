//! Blocks beyond their retention go, and only those.

use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::Bucket;
use duramen_compact::Policy;
use duramen_limits::{Limits, LimitsFile, LimitsHandle};
use duramen_qos::Account;
use duramen_runtime::MockClock;
use serde_json::json;

use crate::entries::{DAY_MS, HOUR_MS};
use crate::store::{Answer, Process, orphans, query};

const NOW_MS: i64 = 100 * DAY_MS;

/// A bucket with a block of series `m0` and one of `m9` for each of some days.
async fn flushed(days: &[i64]) -> Bucket {
    let bucket = Bucket::memory(MockClock::at(NOW_MS));
    let mut writer = Process::new(&bucket, 1, HOUR_MS, Policy::default(), 100);

    for day in days {
        let of = |name: u8| -> Answer {
            let times = [day * DAY_MS, (day + 1) * DAY_MS - 1];
            times.map(|ts_ms| ((name, ts_ms), 7)).into_iter().collect()
        };

        writer.flush(day * DAY_MS, &[(0, of(0)), (1, of(9))]).await;
    }

    bucket
}

/// Returns limits that keep the data of all tenants as this part of a file says.
fn limits(retention: &serde_json::Value) -> LimitsHandle {
    let yaml = json!({"defaults": {"retention": retention}}).to_string();
    let handle = LimitsHandle::default();
    handle.adopt(LimitsFile::parse(&yaml, &Limits::default()).unwrap());
    handle
}

/// The first days of what a round leaves, by series.
async fn left(days: &[i64], retention: &serde_json::Value) -> Vec<(u8, i64)> {
    let bucket = flushed(days).await;
    let observer = Process::new(&bucket, 10, NOW_MS, Policy::default(), 100);
    let worker = Process::new(&bucket, 9, NOW_MS, Policy::default(), 100);

    let mut rounds = worker.into_rounds(false, Account::unbounded()).await;
    rounds.limits = limits(retention);
    rounds.round().await;

    let state = observer.state().await;
    let answer = query(&bucket, &state).await;
    let firsts = answer.into_keys().filter(|(_, ts_ms)| ts_ms % DAY_MS == 0);
    firsts.map(|(name, ts_ms)| (name, ts_ms / DAY_MS)).collect()
}

#[tokio::test]
async fn a_block_goes_when_all_of_it_is_too_old() {
    let days = [1, 69, 70, 71, 99];
    let all: Vec<_> = [0, 9]
        .iter()
        .flat_map(|name| days.map(|day| (*name, day)))
        .collect();

    for keeps_all in [json!({}), json!({"period": 0}), json!({"period": "100y"})] {
        assert_eq!(left(&days, &keeps_all).await, all, "{keeps_all}");
    }

    // The first millisecond of day 70 is kept, and so is what day 69 has beside its last sample.
    let month = [(0, 70), (0, 71), (0, 99), (9, 70), (9, 71), (9, 99)];
    assert_eq!(left(&days, &json!({"period": "30d"})).await, month);

    let longer = json!([{"selector": "m9", "period": 0}]);
    let rules = json!({"period": "30d", "rules": longer});
    let of_9 = [(9, 1), (9, 69), (9, 70), (9, 71), (9, 99)];
    let expected: Vec<_> = month[..3].iter().chain(&of_9).copied().collect();
    assert_eq!(left(&days, &rules).await, expected);
}

#[tokio::test]
async fn the_objects_go_after_the_grace() {
    let bucket = flushed(&[1, 99]).await;
    let observer = Process::new(&bucket, 10, NOW_MS, Policy::default(), 100);
    let worker = Process::new(&bucket, 9, NOW_MS, Policy::default(), 100);
    let clock = Arc::clone(&worker.clock);

    let mut rounds = worker.into_rounds(false, Account::unbounded()).await;
    rounds.round().await;
    let before = observer.state().await;

    rounds.limits = limits(&json!({"period": "1d"}));
    rounds.round().await;

    let after = observer.state().await;
    assert_eq!((before.blocks.len(), after.blocks.len()), (4, 2));
    assert_eq!(
        orphans(&bucket, &after).await,
        2,
        "a query may still read them"
    );

    clock.advance(Duration::from_hours(1));
    rounds.round().await;
    assert_eq!(orphans(&bucket, &after).await, 0);
}
