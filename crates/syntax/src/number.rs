//! Parses and prints numbers by the rules of Go.

use crate::quoted::quote;

/// Parses a number that the lexer has found. Integers may have a prefix for hexadecimal, octal or
/// binary, or a leading 0 for octal. Everything else is decimal. Underscores may stand between
/// digits.
///
/// # Errors
///
/// The message of upstream.
pub(crate) fn parse_number(text: &str) -> Result<f64, String> {
    if let Some(integer) = parse_integer(text) {
        // The cast rounds to the nearest float, as Go does.
        return Ok(integer as f64);
    }

    let fault = |what: &str| format!("strconv.ParseFloat: parsing {}: {what}", quote(text));
    if has_misplaced_underscore(text) || text.starts_with("0x") || text.starts_with("0X") {
        return Err(fault("invalid syntax"));
    }

    let value: f64 = text
        .replace('_', "")
        .parse()
        .map_err(|_| fault("invalid syntax"))?;

    if value.is_infinite() && text.contains(|c: char| c.is_ascii_digit()) {
        return Err(fault("value out of range"));
    }

    Ok(value)
}

/// Returns `None` when the text is not an integer of 63 bits.
fn parse_integer(text: &str) -> Option<i64> {
    if has_misplaced_underscore(text) {
        return None;
    }

    let lower = text.to_ascii_lowercase().replace('_', "");
    let (digits, radix) = match lower.get(..2) {
        Some("0x") => (&lower[2..], 16),
        Some("0b") => (&lower[2..], 2),
        Some("0o") => (&lower[2..], 8),
        _ if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };

    if !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }

    i64::from_str_radix(digits, radix).ok()
}

/// Whether an underscore stands anywhere else than between digits, or between the prefix of the
/// base and a digit.
fn has_misplaced_underscore(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let prefixed = ["0x", "0b", "0o"]
        .iter()
        .any(|prefix| lower.starts_with(prefix));
    let hexadecimal = lower.starts_with("0x");
    let mut after_digit = prefixed;
    let mut after_underscore = false;

    for c in lower.chars().skip(if prefixed { 2 } else { 0 }) {
        if c == '_' {
            if !after_digit {
                return true;
            }

            (after_digit, after_underscore) = (false, true);
        } else if c.is_ascii_digit() || (hexadecimal && c.is_ascii_hexdigit()) {
            (after_digit, after_underscore) = (true, false);
        } else if after_underscore {
            return true;
        } else {
            after_digit = false;
        }
    }

    after_underscore
}

/// The shortest decimal that reads back as `value`, never with an exponent.
pub(crate) fn format_decimal(value: f64) -> String {
    if value.is_infinite() {
        format_infinity(value)
    } else {
        format!("{value}")
    }
}

/// Like [`format_decimal`], but very large and very small numbers have an exponent.
pub(crate) fn format_general(value: f64) -> String {
    const EXPONENT_FROM: i32 = 21;
    if !value.is_finite() || value == 0.0 {
        return format_decimal(value);
    }

    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();

    if (-4..EXPONENT_FROM).contains(&exponent) {
        return format_decimal(value);
    }

    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// The number with six digits after the point.
pub(crate) fn format_fixed(value: f64) -> String {
    if value.is_infinite() {
        format_infinity(value)
    } else {
        format!("{value:.6}")
    }
}

fn format_infinity(value: f64) -> String {
    if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_go() {
        for (text, value) in [
            ("1", 1.0),
            ("0x1F", 31.0),
            ("0x_1f", 31.0),
            ("0755", 493.0),
            ("0_755", 493.0),
            ("08", 8.0),
            ("08.5", 8.5),
            ("1_000", 1000.0),
            ("1_000.5", 1000.5),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e3", 1000.0),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("Inf", f64::INFINITY),
        ] {
            assert_eq!(parse_number(text), Ok(value), "{text}");
        }

        assert!(parse_number("NaN").expect("a number").is_nan());
    }

    #[test]
    fn numbers_that_are_none_say_why() {
        for (text, what) in [
            ("1e999", "value out of range"),
            ("1_.5", "invalid syntax"),
            ("0x", "invalid syntax"),
            ("0xffffffffffffffffff", "invalid syntax"),
        ] {
            let message = format!("strconv.ParseFloat: parsing \"{text}\": {what}");
            assert_eq!(parse_number(text), Err(message));
        }
    }

    #[test]
    fn numbers_print_as_in_go() {
        assert_eq!(format_decimal(1e21), "1000000000000000000000");
        assert_eq!(format_decimal(f64::INFINITY), "+Inf");
        assert_eq!(format_decimal(-0.0), "-0");
        assert_eq!(format_general(1e21), "1e+21");
        assert_eq!(format_general(1.5e-7), "1.5e-07");
        assert_eq!(format_general(123_456_789.0), "123456789");
        assert_eq!(format_fixed(f64::NAN), "NaN");
        assert_eq!(format_fixed(1.5), "1.500000");
    }
}
