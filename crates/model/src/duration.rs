//! Durations as text, as Prometheus writes them: `1h30m`.

use crate::quoted::quote;

/// Why a text is not a duration. The texts are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    #[error("empty duration string")]
    Empty,
    #[error("not a valid duration string: {}", quote(text))]
    Malformed { text: String },
    #[error("unknown unit {} in duration {}", quote(unit), quote(text))]
    UnknownUnit { unit: String, text: String },
    #[error("duration out of range")]
    OutOfRange,
}

/// Units from large to small, in milliseconds. A year has 365 days.
const UNITS: [(&str, i64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration: 63 bits of nanoseconds, about 292 years.
const DURATION_MS_MAX: i64 = i64::MAX / 1_000_000;

/// Parses a duration such as `1h30m`. Returns milliseconds. Each unit may occur once, from large to
/// small; `0` needs no unit.
///
/// # Errors
///
/// When the text is not a duration, and when the duration is longer than about 292 years.
pub fn parse_ms(text: &str) -> Result<i64, DurationError> {
    if text == "0" {
        return Ok(0);
    }

    if text.is_empty() {
        return Err(DurationError::Empty);
    }

    let malformed = || DurationError::Malformed {
        text: text.to_owned(),
    };
    let mut total_ms: i64 = 0;
    let mut units_left = UNITS.as_slice();
    let mut rest = text;

    while !rest.is_empty() {
        let (digits, after_digits) = split_while(rest, |c| c.is_ascii_digit());
        let (unit, after_unit) = split_while(after_digits, |c| !c.is_ascii_digit());

        // A number over 64 bits is reported as malformed, not as out of range.
        let count: u64 = digits.parse().map_err(|_| malformed())?;
        if unit.is_empty() {
            return Err(malformed());
        }

        if !UNITS.iter().any(|(known, _)| *known == unit) {
            return Err(DurationError::UnknownUnit {
                unit: unit.to_owned(),
                text: text.to_owned(),
            });
        }

        let at = units_left
            .iter()
            .position(|(known, _)| *known == unit)
            .ok_or_else(malformed)?;

        let (found, smaller) = units_left.split_at(at + 1);
        units_left = smaller;

        total_ms = found
            .last()
            .and_then(|(_, unit_ms)| i64::try_from(count).ok()?.checked_mul(*unit_ms))
            .and_then(|ms| total_ms.checked_add(ms))
            .filter(|ms| *ms <= DURATION_MS_MAX)
            .ok_or(DurationError::OutOfRange)?;

        rest = after_unit;
    }

    Ok(total_ms)
}

/// Writes a duration in the shortest mix of units: `90m` becomes `1h30m`. Years and weeks are used
/// only if nothing remains, because `90d` reads better than `12w6d`. A negative duration gets a
/// minus sign.
pub fn format_ms(duration_ms: i64) -> String {
    let mut rest = duration_ms.unsigned_abs();
    if rest == 0 {
        return "0s".to_owned();
    }

    let mut text = String::new();
    if duration_ms < 0 {
        text.push('-');
    }

    for (unit, unit_ms) in UNITS {
        let unit_ms = unit_ms.unsigned_abs();
        let whole_only = matches!(unit, "y" | "w");

        if rest < unit_ms || (whole_only && !rest.is_multiple_of(unit_ms)) {
            continue;
        }

        text.push_str(&format!("{}{unit}", rest / unit_ms));
        rest %= unit_ms;
    }

    text
}

fn split_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_reads_and_prints_the_same() {
        for (text, ms) in [
            ("0s", 0),
            ("5ms", 5),
            ("1s500ms", 1_500),
            ("90d", 7_776_000_000),
            ("2w", 1_209_600_000),
            ("1y", 31_536_000_000),
            ("292y", 9_208_512_000_000),
        ] {
            assert_eq!(parse_ms(text), Ok(ms), "{text}");
            assert_eq!(format_ms(ms), text);
        }

        assert_eq!(format_ms(parse_ms("90m").expect("valid")), "1h30m");

        assert_eq!(format_ms(-5_000), "-5s");
        assert_eq!(format_ms(i64::MIN).chars().next(), Some('-'));
    }

    #[test]
    fn a_text_that_is_no_duration_says_why() {
        for (text, message) in [
            ("", "empty duration string"),
            ("1", "not a valid duration string: \"1\""),
            ("-1s", "not a valid duration string: \"-1s\""),
            ("1h1d", "not a valid duration string: \"1h1d\""),
            ("1m1m", "not a valid duration string: \"1m1m\""),
            (
                "1fortnight",
                "unknown unit \"fortnight\" in duration \"1fortnight\"",
            ),
            (
                "99999999999999999999s",
                "not a valid duration string: \"99999999999999999999s\"",
            ),
            ("293y", "duration out of range"),
            ("9999999999999999y", "duration out of range"),
        ] {
            assert_eq!(parse_ms(text).expect_err(text).to_string(), message);
        }
    }
}
