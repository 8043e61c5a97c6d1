//! What the start times of counters say about resets.

/// Returns whether a counter was reset between two samples, each given as start time and time. A
/// start time of 0 is unknown.
///
/// A sample that starts at the time of the previous one is a delta, which starts from zero, unless
/// the start time of the previous one is unknown.
pub(crate) fn is_reset(
    (start_before_ms, before_ms): (i64, i64),
    (start_ms, ts_ms): (i64, i64),
) -> bool {
    if start_ms == 0 || start_ms >= ts_ms || start_ms < before_ms {
        return false;
    }

    start_ms > before_ms || start_before_ms != 0 && start_before_ms < before_ms
}

/// Returns whether a sample starts before the previous sample, and at another time than that one.
pub(crate) fn overlaps(start_before_ms: i64, before_ms: i64, start_ms: i64) -> bool {
    start_ms != 0 && start_ms < before_ms && start_ms != start_before_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_begins_anew_behind_the_sample_before_or_as_a_delta() {
        assert!(is_reset((0, 10), (15, 20)));
        assert!(is_reset((5, 10), (10, 20)));

        assert!(
            !is_reset((0, 10), (10, 20))
                && !is_reset((10, 10), (10, 20))
                && !is_reset((11, 10), (10, 20))
        );

        assert!(
            !is_reset((5, 10), (5, 20))
                && !is_reset((5, 10), (0, 20))
                && !is_reset((5, 10), (20, 20))
        );

        assert!(
            overlaps(1, 10, 5)
                && !overlaps(5, 10, 5)
                && !overlaps(1, 10, 10)
                && !overlaps(1, 10, 0)
        );
    }
}
