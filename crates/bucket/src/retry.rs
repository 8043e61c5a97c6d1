//! Decides when a failed request is sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use duramen_runtime::Clock;

/// The limits for retries. Only this crate retries; the code above it does not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// How often one request is sent at most, including the first time.
    pub attempts_max: u32,
    pub backoff_first: Duration,
    pub backoff_max: Duration,
    /// How many retries can be saved up. All requests of the process share them.
    pub saved_max: u32,
    /// Each success saves this part of a retry. So in a long partial outage, requests grow by at
    /// most this share.
    pub saved_per_success: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        // The waits are at most 0.1 + 0.2 + 0.4 + 0.8 + 1.6 + 3.2 s = 6.3 s. This is longer than
        // usual interruptions of S3, and shorter than any time-out of the callers.
        Self {
            attempts_max: 7,
            backoff_first: Duration::from_millis(100),
            backoff_max: Duration::from_secs(5),
            saved_max: 500,
            saved_per_success: 0.2,
        }
    }
}

/// The retries that a process has left. Cheap to clone; clones share them.
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

    /// Saves a part of a retry after a success.
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

    /// Waits before the next attempt, after `attempts` attempts. Returns whether it may be made.
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

        // Half of the wait is fixed, so that there is a wait. The other half is random, so that
        // requests that failed together do not come back together.
        clock
            .sleep(longest.mul_f64(0.5 + 0.5 * clock.entropy().fraction()))
            .await;
        true
    }
}

/// Whether the request may succeed the next time. A deliberate response of the store is final.
/// Time-outs, resets, bodies that were cut short and responses with 5xx or 429 are not.
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
