//! When a failed request is sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use duramen_runtime::Clock;

/// The bounds of retrying. Retries are made in this crate and nowhere above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How often one request is sent at most, the first time included.
    pub attempts_max: u32,
    pub backoff_first: Duration,
    pub backoff_max: Duration,
    /// Retries that may be saved up and spent at once, by all requests of the process together.
    pub saved_max: u32,
    /// A success saves this part of a retry: in a long outage of parts of the store, requests grow
    /// by no more than this.
    pub saved_per_success: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        // 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 s = 6.3 s of waiting at most: longer than S3's own
        // hiccups, shorter than any time-out above.
        Self {
            attempts_max: 7,
            backoff_first: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            saved_max: 500,
            saved_per_success: 0.2,
        }
    }
}

/// The retries that a process has left. Cheap to clone; clones share.
#[derive(Clone, Debug)]
pub(crate) struct Retries {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    policy: RetryPolicy,
    clock: Arc<dyn Clock>,
    /// In thousandths of a retry.
    saved: AtomicI64,
}

const RETRY: i64 = 1_000;

impl Retries {
    pub(crate) fn new(policy: RetryPolicy, clock: Arc<dyn Clock>) -> Self {
        let saved = AtomicI64::new(i64::from(policy.saved_max) * RETRY);
        Self {
            shared: Arc::new(Shared {
                policy,
                clock,
                saved,
            }),
        }
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// Saves for a success.
    pub(crate) fn succeeded(&self) {
        let Shared { policy, saved, .. } = &*self.shared;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a saturating cast of a small number"
        )]
        let earned = (policy.saved_per_success * RETRY as f64) as i64;
        let max = i64::from(policy.saved_max) * RETRY;
        let _ = saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            Some(max.min(now + earned))
        });
    }

    /// Waits before the attempt that follows `attempts` of them, and says whether there may be one.
    pub(crate) async fn again(&self, attempts: u32) -> bool {
        let Shared {
            policy,
            clock,
            saved,
        } = &*self.shared;

        if attempts >= policy.attempts_max {
            return false;
        }

        let paid = saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            (now >= RETRY).then_some(now - RETRY)
        });
        if paid.is_err() {
            return false;
        }

        let doubled = policy
            .backoff_first
            .saturating_mul(1 << attempts.saturating_sub(1).min(20));
        let longest = doubled.min(policy.backoff_max);

        // Half of it fixed, so that there is a wait; half of it by chance, so that many who failed
        // at once do not come back at once.
        clock
            .sleep(longest.mul_f64(0.5 + 0.5 * clock.entropy().fraction()))
            .await;
        true
    }
}

/// Whether the request may have better luck the next time. Everything that the store said on
/// purpose is final; what is left are time-outs, resets, bodies cut short and answers of 5xx and 429.
pub(crate) fn is_passing(error: &object_store::Error) -> bool {
    use object_store::Error;
    matches!(error, Error::Generic { .. } | Error::JoinError { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_runtime::SystemClock;

    #[tokio::test]
    async fn a_process_that_only_fails_runs_out_of_retries() {
        let policy = RetryPolicy {
            saved_max: 3,
            backoff_first: Duration::ZERO,
            saved_per_success: 0.5,
            ..RetryPolicy::default()
        };

        let retries = Retries::new(policy, Arc::new(SystemClock::default()));
        for _ in 0..3 {
            assert!(retries.again(1).await);
        }

        assert!(!retries.again(1).await);

        retries.succeeded();
        assert!(!retries.again(1).await);

        retries.succeeded();
        assert!(retries.again(1).await);
    }

    #[tokio::test]
    async fn one_request_has_its_own_bound() {
        let policy = RetryPolicy {
            attempts_max: 2,
            backoff_first: Duration::ZERO,
            ..RetryPolicy::default()
        };

        let retries = Retries::new(policy, Arc::new(SystemClock::default()));
        assert!(retries.again(1).await);
        assert!(!retries.again(2).await);
    }
}
