//! Waiting for a condition, never for a time.

#![expect(clippy::panic, reason = "a condition that never comes fails its test")]

use std::time::Duration;

use duramen_runtime::{Clock, SystemClock};

/// The time between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// Calls `look` until it returns `Some`; panics with `what` after `deadline`.
pub(crate) async fn until<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let clock = SystemClock::default();

    loop {
        if let Some(found) = look().await {
            return found;
        }

        if clock.monotonic() > deadline {
            panic!("waited {deadline:?} for {what}");
        }

        clock.sleep(PAUSE).await;
    }
}

/// Lets time pass, where that is the injected fault or the measured thing.
pub(crate) async fn pass(time: Duration) {
    SystemClock::default().sleep(time).await;
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> i64 {
    SystemClock::default().now_ms()
}
