//! Limits a rate: a burst at once, and an average per second.

use std::time::Duration;

/// The rate that a [`TokenBucket`] enforces. It may change from call to call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    pub per_second: f64,
    /// How many tokens may be taken at once.
    pub burst: u64,
}

/// Why no tokens were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The request will pass after this time, if nobody else takes tokens meanwhile.
    For(Duration),
    /// The request is larger than the burst, so it never passes.
    Forever,
}

/// Limits the tokens that are taken: at most `burst + t * per_second` in any `t` seconds. A new
/// bucket is full.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenBucket {
    /// How many tokens are missing from a full bucket. Counted in this way, a change of the burst
    /// applies at once.
    missing: f64,
    /// The time for which `missing` was calculated.
    as_of: Duration,
}

/// A smaller lack of tokens is a rounding error.
const ROUNDING: f64 = 1e-6;

impl TokenBucket {
    /// Takes `count` tokens or none. `now` comes from a clock that never goes back.
    pub fn take(&mut self, now: Duration, count: u64, rate: Rate) -> Result<(), Refused> {
        if count > rate.burst {
            return Err(Refused::Forever);
        }

        let elapsed = now.saturating_sub(self.as_of).as_secs_f64();
        self.missing = (self.missing - elapsed * rate.per_second).max(0.0);
        self.as_of = self.as_of.max(now);

        let lacking = self.missing + count as f64 - rate.burst as f64;
        if lacking > ROUNDING {
            let wait = Duration::try_from_secs_f64(lacking / rate.per_second);
            return Err(Refused::For(wait.unwrap_or(Duration::MAX)));
        }

        self.missing += count as f64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate {
        per_second: 10.0,
        burst: 100,
    };

    #[test]
    fn a_burst_passes_at_once_and_then_the_rate() {
        let mut bucket = TokenBucket::default();
        let second = Duration::from_secs;

        assert_eq!(bucket.take(second(5), 101, RATE), Err(Refused::Forever));
        assert_eq!(bucket.take(second(5), 100, RATE), Ok(()));
        assert_eq!(
            bucket.take(second(5), 5, RATE),
            Err(Refused::For(Duration::from_millis(500)))
        );

        assert_eq!(bucket.take(second(6), 10, RATE), Ok(()));
        assert_eq!(
            bucket.take(second(6), 1, RATE),
            Err(Refused::For(Duration::from_millis(100)))
        );

        assert_eq!(bucket.take(second(1_000), 100, RATE), Ok(()));
        assert_eq!(
            bucket.take(second(1_000), 100, RATE),
            Err(Refused::For(second(10)))
        );
    }

    #[test]
    fn another_rate_applies_from_the_next_call_on() {
        let mut bucket = TokenBucket::default();
        let now = Duration::from_secs(5);

        assert_eq!(bucket.take(now, 100, RATE), Ok(()));
        assert_eq!(bucket.take(now, 20, Rate { burst: 120, ..RATE }), Ok(()));

        let halved = Rate {
            per_second: 5.0,
            burst: 50,
        };

        assert_eq!(
            bucket.take(now, 10, halved),
            Err(Refused::For(Duration::from_secs(16)))
        );

        assert_eq!(
            bucket.take(
                now,
                1,
                Rate {
                    per_second: 0.0,
                    burst: 50
                }
            ),
            Err(Refused::For(Duration::MAX))
        );
    }

    proptest! {
        #[test]
        fn no_stretch_of_time_sees_more_than_its_share_and_who_waits_as_told_passes(
            asked in prop::collection::vec((0..2_000u64, 0..120u64), 1..60),
            per_second in 1..500u32,
        ) {
            let rate = Rate { per_second: f64::from(per_second), burst: 100 };
            let mut bucket = TokenBucket::default();
            let mut now = Duration::ZERO;
            let mut taken = Vec::new();

            for (pause_ms, count) in asked {
                now += Duration::from_millis(pause_ms);

                match bucket.take(now, count, rate) {
                    Ok(()) => taken.push((now, count)),
                    Err(Refused::Forever) => prop_assert!(count > 100),
                    Err(Refused::For(wait)) => {
                        prop_assert!(wait > Duration::ZERO);

                        let mut later = bucket;
                        prop_assert_eq!(later.take(now + wait, count, rate), Ok(()));
                    }
                }
            }

            for (at, (from, _)) in taken.iter().enumerate() {
                let mut sum = 0;
                for (to, count) in &taken[at..] {
                    sum += count;

                    let share = 100.0 + (*to - *from).as_secs_f64() * rate.per_second;
                    prop_assert!(sum as f64 <= share + 1e-3, "{sum} of {share}");
                }
            }
        }
    }
}
