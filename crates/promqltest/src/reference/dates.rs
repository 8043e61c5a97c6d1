//! Converts times to seconds, and seconds to parts of a date in UTC.

use chrono::{DateTime, Datelike, Months, NaiveDate, Timelike, Utc};

/// Returns the function that takes a part of the date of a time in seconds. It ignores the
/// fraction, and returns NaN if the time is no date.
pub(super) fn part(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "minute" => |time| part_of(time, |date| date.minute()),
        "hour" => |time| part_of(time, |date| date.hour()),
        "day_of_week" => |time| part_of(time, |date| date.weekday().num_days_from_sunday()),
        "day_of_month" => |time| part_of(time, |date| date.day()),
        "day_of_year" => |time| part_of(time, |date| date.ordinal()),
        "days_in_month" => |time| part_of(time, days_in_month),
        "month" => |time| part_of(time, |date| date.month()),
        "year" => |time| date(time).map_or(f64::NAN, |date| f64::from(date.year())),
        _ => return None,
    })
}

fn part_of(time: f64, part: impl Fn(DateTime<Utc>) -> u32) -> f64 {
    date(time).map_or(f64::NAN, |date| f64::from(part(date)))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the fraction is meant to go"
)]
fn date(time: f64) -> Option<DateTime<Utc>> {
    if time.is_finite() {
        DateTime::from_timestamp(time as i64, 0)
    } else {
        None
    }
}

fn days_in_month(date: DateTime<Utc>) -> u32 {
    let first = NaiveDate::from_ymd_opt(date.year(), date.month(), 1);
    let next = first.and_then(|first| first.checked_add_months(Months::new(1)));
    next.and_then(|next| next.pred_opt())
        .map_or(0, |last| last.day())
}

/// Converts milliseconds to seconds.
pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
