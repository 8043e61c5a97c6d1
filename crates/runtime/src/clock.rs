//! The only source of time. A clock also gives access to randomness, so code with a clock has both.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;
use ulid::Ulid;

use crate::entropy::Entropy;

/// Wall time, monotonic time, sleep, and the randomness of the same run.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// Milliseconds since the Unix epoch by the wall clock, which may jump either way.
    fn now_ms(&self) -> i64;

    /// Time since an arbitrary start. It never goes back.
    fn monotonic(&self) -> Duration;

    /// Returns when `duration` has passed on the monotonic clock.
    async fn sleep(&self, duration: Duration);

    /// The randomness for ids and random waits.
    fn entropy(&self) -> &Entropy;

    /// A new id with the present time. No id is given twice.
    fn new_ulid(&self) -> Ulid {
        self.entropy().ulid(self.now_ms())
    }
}

/// The clock of the machine.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    entropy: Entropy,
}

impl Default for SystemClock {
    fn default() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock that others are sent to"
        )]
        Self {
            start: Instant::now(),
            entropy: Entropy::system(),
        }
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock that others are sent to"
        )]
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock that others are sent to"
        )]
        tokio::time::sleep(duration).await;
    }

    fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct MockClock {
    now: Mutex<(i64, Duration)>,
    moved: Notify,
    entropy: Entropy,
}

impl MockClock {
    /// A clock with ids that no other clock gives.
    pub fn at(now_ms: i64) -> Arc<Self> {
        Self::with(now_ms, Entropy::system())
    }

    /// A clock whose ids and numbers come from `entropy`.
    pub fn with(now_ms: i64, entropy: Entropy) -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new((now_ms, Duration::ZERO)),
            moved: Notify::new(),
            entropy,
        })
    }

    /// Advances wall and monotonic time, and wakes the sleepers whose time has come.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock();
        now.0 = now
            .0
            .saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX));
        now.1 += by;
        drop(now);
        self.moved.notify_waiters();
    }

    /// Sets only the wall clock, forward or back.
    pub fn set(&self, now_ms: i64) {
        self.now.lock().0 = now_ms;
    }
}

#[async_trait]
impl Clock for MockClock {
    fn now_ms(&self) -> i64 {
        self.now.lock().0
    }

    fn monotonic(&self) -> Duration {
        self.now.lock().1
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.monotonic() + duration;

        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();

            if self.monotonic() >= until {
                return;
            }

            moved.await;
        }
    }

    fn entropy(&self) -> &Entropy {
        &self.entropy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mock_sleep_ends_when_the_clock_is_moved_past_it() {
        let clock = MockClock::at(1_000);
        let mut sleeper = clock.sleep(Duration::from_secs(2));

        assert!(!is_over(&mut sleeper).await);

        clock.advance(Duration::from_secs(1));
        assert!(!is_over(&mut sleeper).await);

        clock.advance(Duration::from_secs(1));
        assert!(is_over(&mut sleeper).await);
        assert_eq!(clock.now_ms(), 3_000);
    }

    /// Polls the future once. Returns whether it is ready.
    async fn is_over<F: Future<Output = ()> + Unpin>(future: &mut F) -> bool {
        tokio::select! { biased; () = future => true, () = std::future::ready(()) => false }
    }
}
