//! When a tenant's manifest is looked at for what others have committed. Pure.

use std::collections::HashMap;
use std::time::Duration;

use duramen_model::TenantId;
use parking_lot::Mutex;

/// Lets one query in a while look. The others do with what is known.
#[derive(Debug)]
pub(crate) struct Looks {
    /// `None`: never.
    interval: Option<Duration>,
    /// When each tenant was last looked at, on the monotonic clock.
    last: Mutex<HashMap<TenantId, Duration>>,
}

impl Looks {
    /// One look for each tenant in `interval`; none if it is 0.
    pub(crate) fn every(interval: Duration) -> Self {
        Self {
            interval: (interval > Duration::ZERO).then_some(interval),
            last: Mutex::default(),
        }
    }

    /// Whether it is time for a look. If so, it counts as done.
    pub(crate) fn is_due(&self, tenant: TenantId, now: Duration) -> bool {
        let Some(interval) = self.interval else {
            return false;
        };

        let mut last = self.last.lock();
        // What a process knows at first, it has read from the bucket.
        let seen = last.entry(tenant).or_insert(now);
        let is_due = now.saturating_sub(*seen) >= interval;

        if is_due {
            *seen = now;
        }

        is_due
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    #[test]
    fn one_look_is_due_in_each_interval_and_tenant() {
        let looks = Looks::every(Duration::from_secs(30));
        let (a, b) = (TenantId(Ulid(1)), TenantId(Ulid(2)));
        let due = |tenant, seconds| looks.is_due(tenant, Duration::from_secs(seconds));

        let of_a = [5, 34, 35, 36, 64, 65, 200].map(|seconds| due(a, seconds));
        assert_eq!(of_a, [false, false, true, false, false, true, true]);
        assert_eq!([due(b, 200), due(b, 230)], [false, true]);

        assert!(!Looks::every(Duration::ZERO).is_due(a, Duration::from_secs(9)));
    }
}
