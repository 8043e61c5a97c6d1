//! Times in seconds, and parts of dates, UTC.

use chrono::{DateTime, Datelike, Months, NaiveDate, Timelike, Utc};

/// A part of the date that a time in seconds is, of which the fraction does not count. NaN where no
/// date is.
pub(super) fn part(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "minute" => |time| of(time, |date| date.minute()),
        "hour" => |time| of(time, |date| date.hour()),
        "day_of_week" => |time| of(time, |date| date.weekday().num_days_from_sunday()),
        "day_of_month" => |time| of(time, |date| date.day()),
        "day_of_year" => |time| of(time, |date| date.ordinal()),
        "days_in_month" => |time| of(time, days_in_month),
        "month" => |time| of(time, |date| date.month()),
        "year" => |time| date(time).map_or(f64::NAN, |date| f64::from(date.year())),
        _ => return None,
    })
}

fn of(time: f64, part: impl Fn(DateTime<Utc>) -> u32) -> f64 {
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

/// Of milliseconds.
pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
