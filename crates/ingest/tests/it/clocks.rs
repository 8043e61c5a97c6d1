//! A wall clock that jumps does not make a sender drop what it has.

use std::path::Path;
use std::time::Duration;

use duramen_ingest::WriteReport;
use duramen_runtime::Disk;

use crate::body::one;
use crate::system::{NOW_MS, System};

const HOUR: i64 = 3_600_000;

async fn write(system: &System, ts_ms: i64) -> WriteReport {
    system.write(&one("m", ts_ms, 1.0)).await.unwrap()
}

#[tokio::test]
async fn a_clock_that_goes_back_refuses_nothing_that_it_would_have_taken() {
    let system = System::start().await;
    system.limit(|limits| limits.age_max = Some(Duration::from_secs(3_600)));

    assert!(write(&system, NOW_MS).await.rejected.is_empty());

    system.clock.set(NOW_MS - 5 * HOUR);
    system.clock.advance(Duration::from_secs(1_800));

    assert!(write(&system, NOW_MS + HOUR / 2).await.rejected.is_empty());
    assert_eq!(
        write(&system, NOW_MS + 2 * HOUR)
            .await
            .rejected
            .lost()
            .total(),
        1,
        "it is still the future"
    );
}

#[tokio::test]
async fn a_clock_that_goes_ahead_makes_nothing_too_old() {
    let system = System::start().await;
    system.limit(|limits| limits.age_max = Some(Duration::from_secs(3_600)));
    system.clock.set(NOW_MS + 24 * HOUR);

    assert!(write(&system, NOW_MS).await.rejected.is_empty());
    assert_eq!(
        write(&system, NOW_MS - 2 * HOUR)
            .await
            .rejected
            .lost()
            .total(),
        1,
        "it is still too old"
    );
}

#[tokio::test]
async fn times_that_senders_send_move_no_limit() {
    let system = System::start().await;
    let mut furthest = NOW_MS;

    while write(&system, furthest + 60_000).await.rejected.is_empty() {
        furthest += 60_000;
    }

    assert_eq!(
        write(&system, furthest + 60_000)
            .await
            .rejected
            .lost()
            .total(),
        1
    );

    assert!(furthest - NOW_MS <= HOUR, "{}", furthest - NOW_MS);
}

#[tokio::test]
async fn what_the_clock_has_shown_is_known_after_a_restart() {
    let system = System::start().await;
    write(&system, NOW_MS).await;

    let file = Path::new("/data/clock");
    while system.disk.read(file).is_err() {
        system.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
    }

    system.clock.set(NOW_MS - 5 * HOUR);

    let system = system.crash().await;
    assert!(write(&system, NOW_MS + 1_000).await.rejected.is_empty());
}
