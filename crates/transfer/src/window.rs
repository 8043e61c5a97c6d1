//! The windows that an export is cut into. Pure.

use std::collections::BTreeSet;

use duramen_model::TimeRange;

use crate::error::Error;

pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// So many days are more than any store has; each is a question to the source.
const DAYS_MAX: usize = 100_000;

/// Returns the days of UTC that overlap any of `held`, each cut to `wanted`, the oldest first.
pub(crate) fn days(held: &[TimeRange], wanted: TimeRange) -> Result<Vec<TimeRange>, Error> {
    let mut days = BTreeSet::new();

    for range in held.iter().filter_map(|range| range.intersect(wanted)) {
        let first = range.start_ms().div_euclid(DAY_MS);
        let last = (range.end_ms() - 1).div_euclid(DAY_MS);

        if last - first >= DAYS_MAX as i64 || days.len() >= DAYS_MAX {
            return Err(Error::unfit(format!(
                "the data covers more than {DAYS_MAX} days: --from and --to say which to take"
            )));
        }

        days.extend(first..=last);
    }

    let cut = |day: i64| {
        let start_ms = day.saturating_mul(DAY_MS);
        let end_ms = start_ms.saturating_add(DAY_MS);
        TimeRange::new(start_ms, end_ms)?.intersect(wanted)
    };

    Ok(days.into_iter().filter_map(cut).collect())
}

/// Returns the range from the first time of `held` to the last, cut to `wanted`.
pub(crate) fn span(held: &[TimeRange], wanted: TimeRange) -> Option<TimeRange> {
    let start_ms = held.iter().map(|range| range.start_ms()).min()?;
    let end_ms = held.iter().map(|range| range.end_ms()).max()?;
    TimeRange::new(start_ms, end_ms)?.intersect(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start_ms: i64, end_ms: i64) -> TimeRange {
        TimeRange::new(start_ms, end_ms).expect("a range")
    }

    #[test]
    fn only_days_with_data_are_asked_for() {
        let held = [
            range(5, 10),
            range(3 * DAY_MS, 3 * DAY_MS + 1),
            range(-1, 1),
        ];
        let wanted = range(-10, 3 * DAY_MS + 10);

        assert_eq!(
            days(&held, wanted).expect("few days"),
            [
                range(-10, 0),
                range(0, DAY_MS),
                range(3 * DAY_MS, 3 * DAY_MS + 10)
            ]
        );
    }

    #[test]
    fn a_range_of_all_times_is_refused() {
        let error = days(&[range(i64::MIN, i64::MAX)], TimeRange::ALL).expect_err("many days");
        assert!(error.to_string().contains("days"), "{error}");
    }
}
