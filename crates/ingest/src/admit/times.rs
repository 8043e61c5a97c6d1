//! The limits on the time of a sample and on its life span.

use std::time::Duration;

use duramen_limits::IngestLimits;
use duramen_model::Life;

use crate::rejection::Rejection;
use crate::seen::Now;

/// The earliest time that is accepted: the year 1, in milliseconds since the epoch. Earlier times
/// have no form in RFC 3339 and no value in SQL engines.
pub const TS_MS_MIN: i64 = -62_135_596_800_000;

/// The limits of time for one request.
pub(super) struct Times {
    earliest_ms: i64,
    latest_ms: i64,
    future_max_ms: i64,
    age_max_ms: Option<i64>,
    ttl_max_ms: i64,
}

impl Times {
    pub(super) fn new(now: Now, limits: &IngestLimits) -> Self {
        let future_max_ms = whole_ms(limits.future_max);
        let age_max_ms = limits.age_max.map(whole_ms);
        let oldest_ms = age_max_ms.map_or(TS_MS_MIN, |age| now.earliest_ms.saturating_sub(age));

        Self {
            earliest_ms: oldest_ms.max(TS_MS_MIN),
            latest_ms: now.latest_ms.saturating_add(future_max_ms),
            future_max_ms,
            age_max_ms,
            ttl_max_ms: whole_ms(limits.ttl_max),
        }
    }

    #[inline]
    pub(super) const fn check(&self, ts_ms: i64) -> Result<(), Rejection> {
        if self.earliest_ms <= ts_ms && ts_ms <= self.latest_ms {
            Ok(())
        } else {
            Err(self.refuse(ts_ms))
        }
    }

    #[cold]
    const fn refuse(&self, ts_ms: i64) -> Rejection {
        let Self {
            earliest_ms,
            latest_ms,
            future_max_ms,
            ..
        } = *self;

        if ts_ms > latest_ms {
            return Rejection::FarFuture {
                ts_ms,
                latest_ms,
                future_max_ms,
            };
        }

        match self.age_max_ms {
            Some(age_max_ms) if earliest_ms > TS_MS_MIN => Rejection::TooOld {
                ts_ms,
                earliest_ms,
                age_max_ms,
            },
            _ => Rejection::FarPast { ts_ms, earliest_ms },
        }
    }

    pub(super) fn check_life(&self, life: Life) -> Result<(), Rejection> {
        let ttl_ms = life.ttl_ms;
        let max_ms = self.ttl_max_ms;

        if (0..=max_ms).contains(&ttl_ms) {
            Ok(())
        } else {
            Err(Rejection::Ttl { ttl_ms, max_ms })
        }
    }
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
