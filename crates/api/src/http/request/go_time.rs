//! Times and durations in the forms that the API of Prometheus reads with Go's library.

use duramen_model::duration::parse_ms;
use duramen_model::quoted::quote;

/// The times that clients of Prometheus send for the earliest and the latest time there is.
const MIN_TIME: &str = "-292273086-05-16T16:47:06Z";
const MAX_TIME: &str = "292277025-08-18T07:12:54.999999999Z";

/// Reads Unix seconds as a float (rounded to milliseconds) or an RFC 3339 time (cut off at
/// milliseconds). Returns milliseconds.
///
/// Infinity and NaN are refused. Prometheus turns them into Go's earliest time, which no client can
/// mean.
pub(crate) fn parse_time_ms(text: &str) -> Result<i64, String> {
    if let Some(seconds) = parse_float(text).filter(|seconds| seconds.is_finite()) {
        // Go converts whole seconds and the fraction apart, so that a fraction gives the same
        // milliseconds in every second.
        let ms = seconds.trunc() * 1000.0 + (seconds.fract() * 1000.0).round();

        // Times out of range are cut to the earliest or the latest time.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "saturates, which is what is wanted"
        )]
        return Ok((ms as i64).clamp(i64::MIN + 1, i64::MAX - 1));
    }

    match text {
        MIN_TIME => Ok(i64::MIN + 1),
        MAX_TIME => Ok(i64::MAX - 1),
        _ => parse_rfc3339_ms(text)
            .ok_or_else(|| format!("cannot parse {} to a valid timestamp", quote(text))),
    }
}

/// Reads seconds as a float, or a Prometheus duration. Returns milliseconds, cut off. The longest
/// duration is about 292 years.
pub(crate) fn parse_duration_ms(text: &str) -> Result<i64, String> {
    /// The end of Go's durations, which are nanoseconds in 63 bits.
    const NANOSECONDS_END: f64 = 9_223_372_036_854_775_808.0;

    if let Some(seconds) = parse_float(text) {
        let nanoseconds = seconds * 1e9;
        if !(-NANOSECONDS_END..NANOSECONDS_END).contains(&nanoseconds) {
            return Err(format!(
                "cannot parse {} to a valid duration. It overflows int64",
                quote(text)
            ));
        }

        #[expect(
            clippy::cast_possible_truncation,
            reason = "the size was just checked, and the fraction is cut off"
        )]
        let nanoseconds = nanoseconds as i64;

        // A duration below one millisecond must not become 0, which has a meaning of its own.
        let ms = nanoseconds / 1_000_000;
        return Ok(if ms == 0 { nanoseconds.signum() } else { ms });
    }

    parse_ms(text).map_err(|_| format!("cannot parse {} to a valid duration", quote(text)))
}

/// Prints a duration as Go does: `0s`, `-1m30s`, `1.5s`, `5ms`.
pub(crate) fn go_duration(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let total = ms.unsigned_abs();

    if (1..1000).contains(&total) {
        return format!("{sign}{total}ms");
    }

    let hours = total / 3_600_000;
    let minutes = total / 60_000 % 60;
    let seconds = total % 60_000;
    let fraction = format!("{:03}", seconds % 1000);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let seconds = format!("{}{point}{fraction}s", seconds / 1000);

    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}"),
        (0, _) => format!("{sign}{minutes}m{seconds}"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}"),
    }
}

/// Reads a number as `strconv.ParseFloat` does: decimal, or hexadecimal with a power of two;
/// underscores between digits; infinity and NaN by name. Returns `None` for other texts and for
/// numbers that are too large.
fn parse_float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_hexadecimal = unsigned
        .get(..2)
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x"));
    let plain = without_underscores(text, is_hexadecimal)?;

    if is_hexadecimal {
        return parse_hexadecimal(&plain);
    }

    let value: f64 = plain.parse().ok()?;
    let has_digits = plain.contains(|c: char| c.is_ascii_digit());
    (value.is_finite() || !has_digits).then_some(value)
}

/// Removes underscores. Returns `None` if one is not between two digits; the prefix of a base
/// counts as a digit.
fn without_underscores(text: &str, is_hexadecimal: bool) -> Option<String> {
    let is_digit = |byte: Option<&u8>| match byte {
        Some(b'x' | b'X') => is_hexadecimal,
        Some(byte) if is_hexadecimal => byte.is_ascii_hexdigit(),
        Some(byte) => byte.is_ascii_digit(),
        None => false,
    };

    let bytes = text.as_bytes();
    for (at, _) in text.match_indices('_') {
        let is_between = at > 0 && is_digit(bytes.get(at - 1)) && is_digit(bytes.get(at + 1));
        if !is_between {
            return None;
        }
    }

    Some(text.replace('_', ""))
}

/// Reads a number such as `0x1.8p3`. The power is required.
fn parse_hexadecimal(text: &str) -> Option<f64> {
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let digits = text.trim_start_matches(['+', '-']).get(2..)?;
    let (mantissa, power) = digits.split_once(['p', 'P'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));

    if whole.len() + fraction.len() == 0 {
        return None;
    }

    let mut value = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }

    let power: i32 = power.parse().ok()?;
    let shift = power.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    let value = sign * value * 2f64.powi(shift);

    value.is_finite().then_some(value)
}

/// Reads a time as Go's `time.RFC3339Nano` does. An hour may have one digit. A comma may replace
/// the point of a fraction, which may have any length. Offsets go up to 24:60. `t` and `z` must be
/// capitals, and there is no second 60.
fn parse_rfc3339_ms(text: &str) -> Option<i64> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    let month = digits(after(&mut rest, "-")?, 2)?;
    let day = digits(after(&mut rest, "-")?, 2)?;

    after(&mut rest, "T")?;

    let hour_digits = if rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
        2
    } else {
        1
    };

    let hour = digits(&mut rest, hour_digits)?;
    let minute = digits(after(&mut rest, ":")?, 2)?;
    let second = digits(after(&mut rest, ":")?, 2)?;
    let fraction_ms = take_fraction_ms(&mut rest)?;
    let offset_minutes = take_offset_minutes(rest)?;

    let date = chrono::NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    let time = date.and_hms_opt(hour, minute, second)?;
    Some(time.and_utc().timestamp_millis() + i64::from(fraction_ms) - offset_minutes * 60_000)
}

/// Takes exactly `count` digits.
fn digits(rest: &mut &str, count: usize) -> Option<u32> {
    let digits = rest
        .get(..count)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    *rest = &rest[count..];
    digits.parse().ok()
}

/// Takes `expected`.
fn after<'r, 't>(rest: &'r mut &'t str, expected: &str) -> Option<&'r mut &'t str> {
    *rest = rest.strip_prefix(expected)?;
    Some(rest)
}

/// Takes a fraction of a second, if there is one, cut off at milliseconds.
fn take_fraction_ms(rest: &mut &str) -> Option<u32> {
    let Some(behind) = rest.strip_prefix(['.', ',']) else {
        return Some(0);
    };
    let length = behind.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, behind) = behind.split_at(length);

    *rest = behind;

    let ms: String = fraction.chars().chain("00".chars()).take(3).collect();
    if fraction.is_empty() {
        None
    } else {
        ms.parse().ok()
    }
}

/// Reads `Z` or an offset such as `+05:30`. Nothing may follow it.
fn take_offset_minutes(rest: &str) -> Option<i64> {
    if rest == "Z" {
        return Some(0);
    }

    let sign = if rest.starts_with('-') { -1 } else { 1 };
    let mut rest = rest.strip_prefix(['+', '-'])?;
    let hours = digits(&mut rest, 2).filter(|hours| *hours <= 24)?;
    let minutes = digits(after(&mut rest, ":")?, 2).filter(|minutes| *minutes <= 60)?;

    rest.is_empty()
        .then(|| sign * i64::from(hours * 60 + minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The results of Prometheus's `parseTime` with Go 1.2x, except for infinity and NaN.
    const TIMES: [(&str, Option<i64>); 74] = [
        ("1.5", Some(1_500)),
        ("1e3", Some(1_000_000)),
        ("1E3", Some(1_000_000)),
        ("1.5e-3", Some(2)),
        ("+5", Some(5_000)),
        ("-.5", Some(-500)),
        (".5", Some(500)),
        ("5.", Some(5_000)),
        ("0x10", None),
        ("0x1p4", Some(16_000)),
        ("0X1P-2", Some(250)),
        ("1_000", Some(1_000_000)),
        ("0x_1p0", Some(1_000)),
        ("0x1_0p0", Some(16_000)),
        ("1e400", None),
        ("-1e400", None),
        ("1e", None),
        ("e1", None),
        (" 1", None),
        ("1 ", None),
        ("0b1", None),
        ("0o7", None),
        ("1f", None),
        ("1d", None),
        ("2015-06-03T13:21:58Z", Some(1_433_337_718_000)),
        ("2015-06-03t13:21:58Z", None),
        ("2015-06-03T13:21:58z", None),
        ("2015-06-03 13:21:58Z", None),
        ("2015-06-03T13:21:58.5Z", Some(1_433_337_718_500)),
        ("2015-06-03T13:21:58,5Z", Some(1_433_337_718_500)),
        ("2015-06-03T13:21:58.123456789123Z", Some(1_433_337_718_123)),
        ("2015-06-03T13:21:58.Z", None),
        ("2015-06-03T1:21:58Z", Some(1_433_294_518_000)),
        ("2015-06-03T13:1:58Z", None),
        ("2015-06-03T13:21:8Z", None),
        ("2015-6-3T13:21:58Z", None),
        ("2015-06-03T13:21:58+01:00", Some(1_433_334_118_000)),
        ("2015-06-03T13:21:58+0100", None),
        ("2015-06-03T13:21:58+01", None),
        ("2015-06-03T13:21:58+24:00", Some(1_433_251_318_000)),
        ("2015-06-03T13:21:58+25:00", None),
        ("2015-06-03T13:21:58+24:60", Some(1_433_247_718_000)),
        ("2015-06-03T13:21:58-00:61", None),
        ("2015-06-03T13:21:58-23:59", Some(1_433_424_058_000)),
        ("2015-06-03T24:00:00Z", None),
        ("2015-06-03T23:59:60Z", None),
        ("2015-02-29T00:00:00Z", None),
        ("2016-02-29T00:00:00Z", Some(1_456_704_000_000)),
        ("2015-13-01T00:00:00Z", None),
        ("2015-00-01T00:00:00Z", None),
        ("2015-01-00T00:00:00Z", None),
        ("2015-04-31T00:00:00Z", None),
        ("0000-01-01T00:00:00Z", Some(-62_167_219_200_000)),
        ("0000-02-29T00:00:00Z", Some(-62_162_121_600_000)),
        ("9999-12-31T23:59:59.999Z", Some(253_402_300_799_999)),
        ("-0001-01-01T00:00:00Z", None),
        ("10000-01-01T00:00:00Z", None),
        ("1969-12-31T23:59:59.9999Z", Some(-1)),
        ("2015-06-03T13:21:58", None),
        ("2015-06-03", None),
        ("2015-06-03T13:21:58Zx", None),
        ("2015-06-03T13:21:58+01:00 ", None),
        ("2015-06-03T13:21:58 Z", None),
        ("2015-06-03T13:21:58-07:00", Some(1_433_362_918_000)),
        ("2015-06-03T13:21:58.1234567891Z", Some(1_433_337_718_123)),
        ("2015-06-03T13:21:58.0009Z", Some(1_433_337_718_000)),
        ("1900-02-29T00:00:00Z", None),
        ("2000-02-29T00:00:00Z", Some(951_782_400_000)),
        ("2015-06-03T13:21Z", None),
        ("2015-06-03T13:21:58.5+05:30", Some(1_433_317_918_500)),
        ("2015-06-03T13:21:58−01:00", None),
        ("2015-06-03T13:60:58Z", None),
        ("2015-06-03T013:21:58Z", None),
        ("2015-06-03T9:05:58.5Z", Some(1_433_322_358_500)),
    ];

    #[test]
    fn times_are_read_as_go_reads_them() {
        for (text, expected) in TIMES {
            assert_eq!(parse_time_ms(text).ok(), expected, "{text}");
        }

        assert_eq!(parse_time_ms(MIN_TIME), Ok(i64::MIN + 1));
        assert_eq!(parse_time_ms(MAX_TIME), Ok(i64::MAX - 1));

        for text in ["", "now", "30s", "NaN", "nan", "Inf", "+Inf", "-infinity"] {
            assert!(parse_time_ms(text).is_err(), "{text}");
        }

        assert_eq!(
            parse_time_ms("a\"b").unwrap_err(),
            "cannot parse \"a\\\"b\" to a valid timestamp"
        );
    }

    #[test]
    fn floats_are_milliseconds_of_their_own() {
        for (text, expected) in [
            ("1700000000.1234", 1_700_000_000_123),
            ("1.0005", 1_000),
            ("1.0015", 1_002),
        ] {
            assert_eq!(parse_time_ms(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn durations_are_seconds_or_prometheus_durations() {
        for (text, expected) in [
            ("15", 15_000),
            ("0.5", 500),
            ("-2", -2_000),
            ("1e1", 10_000),
            ("0x1p3", 8_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("0", 0),
            ("0.0001", 1),
            ("-0.0001", -1),
        ] {
            assert_eq!(parse_duration_ms(text), Ok(expected), "{text}");
        }

        for text in ["1e10", "-1e10", "NaN", "+Inf", "-Inf", "1e300"] {
            let expected = format!("cannot parse {text:?} to a valid duration. It overflows int64");
            assert_eq!(parse_duration_ms(text), Err(expected));
        }

        for text in ["", "soon", "-5m", "5 m", "1m1h"] {
            assert_eq!(
                parse_duration_ms(text),
                Err(format!("cannot parse {text:?} to a valid duration"))
            );
        }
    }

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        for (ms, expected) in [
            (0, "0s"),
            (-5_000, "-5s"),
            (-1_500, "-1.5s"),
            (-1, "-1ms"),
            (-61_000, "-1m1s"),
            (-5_400_000, "-1h30m0s"),
            (-360_000_000, "-100h0m0s"),
            (-3_600_005, "-1h0m0.005s"),
        ] {
            assert_eq!(go_duration(ms), expected);
        }
    }
}
