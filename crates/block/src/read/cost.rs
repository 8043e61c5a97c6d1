//! What a GET costs on a store, and what follows from it. Pure.

use std::time::Duration;

/// How the bytes that are wanted become GETs. It follows from what a trip to the store costs
/// against its bandwidth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetCost {
    /// Two ranges of one file are read by one GET if the gap between them is at most this long. The
    /// gap is read too. Larger: fewer requests. Smaller: fewer bytes.
    pub gap_bytes_max: u64,
    /// A longer run of bytes is read by several GETs side by side.
    pub get_bytes_max: u64,
    /// A series file of at most this size is fetched whole together with `meta`. This saves a cold
    /// reader one trip.
    pub prefetch_bytes_max: u64,
}

/// About so many GETs of a query run side by side, so one more GET costs the query this part of a
/// trip. On S3, with 63 ms and 90 MB/s, a gap of 567 kB costs as much as a GET.
const SIDE_BY_SIDE: u64 = 10;
const GAP_BYTES: (u64, u64) = (8 << 10, 1 << 20);

/// The bytes of a trip that a whole series file may take: half of what would come meanwhile. The
/// upper end is the file of the largest block, of 64 Ki series.
const PREFETCH_PART: u64 = 2;
const PREFETCH_BYTES: (u64, u64) = (64 << 10, 2 << 20);

/// One connection to S3 gets about 90 MB/s, so this takes as long as a trip and a half.
const GET_BYTES_MAX: u64 = 8 << 20;

impl GetCost {
    /// `trip` is the time from a request to the first byte of its answer.
    pub fn of(trip: Duration, bytes_per_second: u64) -> Self {
        let bytes = trip
            .as_micros()
            .saturating_mul(u128::from(bytes_per_second))
            / 1_000_000;
        let of_a_trip = u64::try_from(bytes).unwrap_or(u64::MAX);
        let clamped = |bytes: u64, (least, most): (u64, u64)| bytes.clamp(least, most);

        Self {
            gap_bytes_max: clamped(of_a_trip / SIDE_BY_SIDE, GAP_BYTES),
            get_bytes_max: GET_BYTES_MAX,
            prefetch_bytes_max: clamped(of_a_trip / PREFETCH_PART, PREFETCH_BYTES),
        }
    }
}

impl Default for GetCost {
    /// The cost of a local disk.
    fn default() -> Self {
        Self::of(Duration::from_micros(50), 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_far_store_joins_more_and_prefetches_more_than_a_near_one() {
        let check = |micros, megabytes: u64, gap, prefetch| {
            let cost = GetCost::of(Duration::from_micros(micros), megabytes * 1_000_000);
            let actual = (cost.gap_bytes_max, cost.prefetch_bytes_max);
            assert_eq!(actual, (gap, prefetch), "{micros} us, {megabytes} MB/s");
        };

        // A local disk, a store in the same room, S3, and a store on another continent.
        check(50, 1_000, 8 << 10, 64 << 10);
        check(2_000, 1_000, 200_000, 1_000_000);
        check(63_000, 90, 567_000, 2 << 20);
        check(400_000, 50, 1 << 20, 2 << 20);

        check(0, 0, 8 << 10, 64 << 10);
        assert_eq!(
            GetCost::of(Duration::MAX, u64::MAX).gap_bytes_max,
            GAP_BYTES.1
        );
    }
}
