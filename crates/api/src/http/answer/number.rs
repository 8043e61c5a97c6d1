//! Numbers and times in the form of the API.

use serde_json::Value as Json;

/// Appends a sample value in Go's shortest form: digits, or below 1e-6 and from 1e21 on an exponent
/// of at least two digits.
pub(crate) fn put_value(out: &mut Vec<u8>, value: f64) {
    use std::io::Write;

    let written = if value.is_nan() {
        out.write_all(b"NaN")
    } else if value.is_infinite() {
        out.write_all(if value > 0.0 { b"+Inf" } else { b"-Inf" })
    } else if value != 0.0 && !(1e-6..1e21).contains(&value.abs()) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent
            .strip_prefix('-')
            .map_or(('+', exponent), |e| ('-', e));

        write!(out, "{digits}e{sign}{exponent:0>2}")
    } else {
        write!(out, "{value}")
    };

    written.expect("a Vec takes every write");
}

/// Appends a value that is not a sample, such as a scalar. It never has an exponent.
pub(crate) fn put_scalar(out: &mut Vec<u8>, value: f64) {
    use std::io::Write;
    if value.is_finite() {
        write!(out, "{value}").expect("a Vec takes every write");
    } else {
        put_value(out, value);
    }
}

/// Appends the time of a value that is not a sample, such as a scalar: seconds with as many digits
/// as needed.
pub(crate) fn put_short_time(out: &mut Vec<u8>, ts_ms: i64) {
    use std::io::Write;
    write!(out, "{}", ts_ms as f64 / 1000.0).expect("a Vec takes every write");
}

/// Appends the time of a sample: seconds, with a fraction of three digits if there is one.
pub(crate) fn put_time(out: &mut Vec<u8>, ts_ms: i64) {
    use std::io::Write;

    let sign = if ts_ms < 0 { "-" } else { "" };
    let ms = ts_ms.unsigned_abs();
    let written = match ms % 1000 {
        0 => write!(out, "{sign}{}", ms / 1000),
        fraction => write!(out, "{sign}{}.{fraction:03}", ms / 1000),
    };

    written.expect("a Vec takes every write");
}

/// Returns the least number of bytes that [`put_time`] writes for this time or a later one.
pub(crate) const fn time_len(ts_ms: i64) -> usize {
    if ts_ms < 1000 {
        1
    } else {
        (ts_ms / 1000).ilog10() as usize + 1
    }
}

/// Returns a time as a JSON number: seconds, with a fraction only if there is one.
pub(crate) fn seconds(ms: i64) -> Json {
    if ms % 1000 == 0 {
        Json::from(ms / 1000)
    } else {
        Json::from(ms as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_go_writes_them() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (1e-7, "1e-07"),
            (-1.5e-10, "-1.5e-10"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];

        for (value, expected) in cases {
            let mut out = Vec::new();
            put_value(&mut out, value);

            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn times_have_three_digits_of_fraction_or_none() {
        for (ts_ms, expected) in [
            (1_100, "1.100"),
            (2_000, "2"),
            (-1, "-0.001"),
            (-1_500, "-1.500"),
            (0, "0"),
        ] {
            let mut out = Vec::new();
            put_time(&mut out, ts_ms);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn times_are_seconds_to_the_millisecond() {
        for (ms, text) in [
            (0, "0"),
            (-1, "-0.001"),
            (1_600_096_945_479, "1600096945.479"),
            (1_600_096_945_000, "1600096945"),
            (1_600_096_945_479_001, "1600096945479.001"),
        ] {
            assert_eq!(seconds(ms).to_string(), text);
        }
    }
}
