//! What a GET costs on a store, measured or set.

use std::time::Duration;

/// What a GET costs on a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreCost {
    /// The time from a request to the first byte of its answer.
    pub trip: Duration,
    /// How fast the body of one answer comes.
    pub bytes_per_second: u64,
}

/// A measurement outside of these bounds says more about the moment than about the store.
const BYTES_PER_SECOND: (u64, u64) = (20_000_000, 4_000_000_000);

impl StoreCost {
    /// Computes the cost from a GET of a few bytes, which took `part`, and a GET of `bytes` bytes,
    /// which took `whole`. Pure.
    pub fn measured(part: Duration, whole: Duration, bytes: u64) -> Self {
        let body = whole.saturating_sub(part).as_micros().max(1);
        let per_second = u128::from(bytes).saturating_mul(1_000_000) / body;
        let (least, most) = BYTES_PER_SECOND;

        Self {
            trip: part,
            bytes_per_second: u64::try_from(per_second).unwrap_or(most).clamp(least, most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cost_is_the_short_get_and_what_the_long_one_took_beyond_it() {
        let check = |part_us, whole_us, expected| {
            let micros = Duration::from_micros;
            let cost = StoreCost::measured(micros(part_us), micros(whole_us), 1 << 20);
            assert_eq!(
                (cost.trip, cost.bytes_per_second),
                (micros(part_us), expected)
            );
        };

        check(63_000, 74_000, 95_325_090);
        check(50, 1_050, 1_048_576_000);

        // A moment of bad luck, and a clock that stands still.
        check(63_000, 999_000, 20_000_000);
        check(63_000, 60_000, 4_000_000_000);
        check(0, 0, 4_000_000_000);
    }
}
