//! Parts of a date in UTC, in the proleptic Gregorian calendar.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatePart {
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    DaysInMonth,
    Hour,
    Minute,
    Month,
    Year,
}

const DAY_SECONDS: i64 = 86_400;

impl DatePart {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "day_of_month" => Self::DayOfMonth,
            "day_of_week" => Self::DayOfWeek,
            "day_of_year" => Self::DayOfYear,
            "days_in_month" => Self::DaysInMonth,
            "hour" => Self::Hour,
            "minute" => Self::Minute,
            "month" => Self::Month,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// Returns this part of a time in seconds since the epoch. The fraction is cut off.
    pub(crate) fn of(self, seconds: f64) -> f64 {
        if !seconds.is_finite() {
            return f64::NAN;
        }

        #[expect(
            clippy::cast_possible_truncation,
            reason = "the fraction is meant to go, and the ends saturate"
        )]
        let seconds = seconds as i64;
        let days = seconds.div_euclid(DAY_SECONDS);
        let second = seconds.rem_euclid(DAY_SECONDS);
        let (year, month, day) = civil(days);

        let part = match self {
            Self::DayOfMonth => day,
            // The epoch was a Thursday.
            Self::DayOfWeek => (days + 4).rem_euclid(7),
            Self::DayOfYear => days - days_before_year(year) + 1,
            Self::DaysInMonth => days_in_month(year, month),
            Self::Hour => second / 3600,
            Self::Minute => second % 3600 / 60,
            Self::Month => month,
            Self::Year => year,
        };

        part as f64
    }
}

/// Prints a time in milliseconds as `2006-01-02T15:04:05Z`, without fractions of a second.
pub(crate) fn rfc3339(time_ms: i64) -> String {
    // Rounds towards zero as Prometheus does.
    let seconds = time_ms / 1000;
    let days = seconds.div_euclid(DAY_SECONDS);
    let second = seconds.rem_euclid(DAY_SECONDS);
    let (year, month, day) = civil(days);
    let hour = second / 3600;
    let minute = second % 3600 / 60;
    let second = second % 60;

    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Returns year, month and day of a day counted from the epoch. Inside, months are counted from
/// March, so that the leap day ends a year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };

    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Returns the days between the epoch and the first of January.
fn days_before_year(year: i64) -> i64 {
    let y = year - 1;
    365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) - 719_162
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: f64, wanted: [i32; 8]) {
        use DatePart::*;

        let parts = [
            Year,
            Month,
            DayOfMonth,
            DayOfWeek,
            DayOfYear,
            DaysInMonth,
            Hour,
            Minute,
        ];

        assert_eq!(
            parts.map(|part| part.of(seconds)),
            wanted.map(f64::from),
            "{seconds}"
        );
    }

    #[test]
    fn dates_are_taken_apart() {
        check(0.0, [1970, 1, 1, 4, 1, 31, 0, 0]);
        check(-1.0, [1969, 12, 31, 3, 365, 31, 23, 59]);
        check(1_709_208_000.9, [2024, 2, 29, 4, 60, 29, 12, 0]);
        check(1_735_689_599.0, [2024, 12, 31, 2, 366, 31, 23, 59]);
        check(951_782_400.0, [2000, 2, 29, 2, 60, 29, 0, 0]);
    }
}
