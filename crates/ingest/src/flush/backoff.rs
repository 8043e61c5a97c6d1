//! The wait after a failed flush, for each tenant.

use std::collections::HashMap;
use std::time::Duration;

use duramen_model::TenantId;

use crate::error::Error;

/// A tenant waits for one second, and twice as long after each further failure, up to a minute.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    /// When the wait ends, and how long it is.
    waiting: HashMap<TenantId, (Duration, Duration)>,
}

impl Backoff {
    const FIRST: Duration = Duration::from_secs(1);
    const MAX: Duration = Duration::from_secs(60);
    /// The longest wait while a disk is full: it may have space again at any time.
    const FULL: Duration = Duration::from_secs(5);

    /// Returns whether the tenant may be flushed at `now`.
    pub(crate) fn is_over(&self, tenant: TenantId, now: Duration) -> bool {
        self.waiting
            .get(&tenant)
            .is_none_or(|(until, _)| now >= *until)
    }

    /// Notes how a flush at `now` ended.
    pub(crate) fn note(&mut self, tenant: TenantId, now: Duration, error: Option<&Error>) {
        let Some(error) = error else {
            self.waiting.remove(&tenant);
            return;
        };

        let max = if error.is_full() {
            Self::FULL
        } else {
            Self::MAX
        };

        let wait = self
            .waiting
            .get(&tenant)
            .map_or(Self::FIRST, |(_, last)| (*last * 2).min(max));

        self.waiting.insert(tenant, (now + wait, wait));
    }
}
