//! Numbers and times as texts.
//!
//! A float has the shortest digits that read back as the same number. The text `NaN` is the NaN
//! that Prometheus uses. Others exist, and a form whose texts are ours keeps their bits: `StaleNaN`
//! is the stale marker, and `NaN(7ff8000000000000)` any other.

use duramen_model::STALE_NAN_BITS;

/// The NaN that Prometheus makes of the text `NaN`.
pub(crate) const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// Appends a float. Every NaN is `NaN`.
pub(crate) fn put_float(value: f64, out: &mut Vec<u8>) {
    if !value.is_finite() {
        let text: &[u8] = match value {
            value if value.is_nan() => b"NaN",
            f64::INFINITY => b"+Inf",
            _ => b"-Inf",
        };

        out.extend_from_slice(text);
        return;
    }

    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
}

/// Appends a float so that its bits come back.
pub(crate) fn put_bits(value: f64, out: &mut Vec<u8>) {
    match value.to_bits() {
        STALE_NAN_BITS => out.extend_from_slice(b"StaleNaN"),
        bits if value.is_nan() && bits != NORMAL_NAN_BITS => {
            out.extend_from_slice(format!("NaN({bits:016x})").as_bytes());
        }
        _ => put_float(value, out),
    }
}

/// Reads a float of [`put_bits`], or any text of a float.
pub(crate) fn float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;

    if text == "StaleNaN" {
        return Some(f64::from_bits(STALE_NAN_BITS));
    }

    if let Some(bits) = text.strip_prefix("NaN(") {
        let bits = u64::from_str_radix(bits.strip_suffix(')')?, 16).ok()?;
        return Some(f64::from_bits(bits)).filter(|value| value.is_nan());
    }

    let value: f64 = text.parse().ok()?;
    let is_nan = value.is_nan();
    Some(if is_nan {
        f64::from_bits(NORMAL_NAN_BITS)
    } else {
        value
    })
}

/// Appends a time in seconds, with milliseconds if there are any.
pub(crate) fn put_seconds(ms: i64, out: &mut Vec<u8>) {
    if ms < 0 {
        out.push(b'-');
    }

    let ms = ms.unsigned_abs();
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(ms / 1000).as_bytes());

    let rest = ms % 1000;
    if rest > 0 {
        let digits = 1000 + rest;
        out.push(b'.');
        out.extend_from_slice(
            buffer
                .format(digits)
                .as_bytes()
                .get(1..)
                .unwrap_or_default(),
        );
    }
}

/// Reads a time in seconds as milliseconds. What is below a millisecond is cut off.
pub(crate) fn seconds(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };

    let point = digits.iter().position(|byte| *byte == b'.');
    let (whole, part) = match point {
        Some(at) => (digits.get(..at)?, digits.get(at + 1..)?),
        None => (digits, [].as_slice()),
    };

    let all_digits = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
    if whole.is_empty() || !all_digits(whole) || !all_digits(part) {
        return exponential(text);
    }

    let mut ms: i64 = 0;
    let places = part.iter().chain([b'0'; 3].iter()).take(3);

    for digit in whole.iter().chain(places) {
        ms = ms.checked_mul(10)?;
        ms = if is_negative {
            ms.checked_sub(i64::from(digit - b'0'))?
        } else {
            ms.checked_add(i64::from(digit - b'0'))?
        };
    }

    Some(ms)
}

/// Reads a time as 1.7e9.
fn exponential(text: &[u8]) -> Option<i64> {
    let seconds: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let ms = (seconds * 1000.0).trunc();
    let is_time = ms.is_finite() && ms.abs() < 9.2e18;

    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is a whole number in the range of the type"
    )]
    is_time.then_some(ms as i64)
}

/// Reads a whole number.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_bits_of_floats_come_back(bits in prop_oneof![
            any::<u64>(),
            Just(STALE_NAN_BITS),
            Just(NORMAL_NAN_BITS),
            Just(0x7ff8_0000_0000_0000),
            Just((-0.0_f64).to_bits()),
            0x7ff0_0000_0000_0000..0x7fff_ffff_ffff_ffff_u64,
        ]) {
            let mut text = Vec::new();
            put_bits(f64::from_bits(bits), &mut text);
            prop_assert_eq!(float(&text).map(f64::to_bits), Some(bits));
        }

        #[test]
        fn times_come_back(ms: i64) {
            let mut text = Vec::new();
            put_seconds(ms, &mut text);
            prop_assert_eq!(seconds(&text), Some(ms));
        }

        #[test]
        fn no_text_panics(text in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = (float(&text), seconds(&text), integer(&text));
        }
    }

    #[test]
    fn texts_are_those_of_others() {
        let shown = |value: f64| {
            let mut text = Vec::new();
            put_float(value, &mut text);
            String::from_utf8(text).expect("a text")
        };

        assert_eq!(shown(1.0), "1");
        assert_eq!(shown(-0.0), "-0");
        assert_eq!(shown(f64::NEG_INFINITY), "-Inf");
        assert_eq!(float(b"+Inf"), Some(f64::INFINITY));
        assert_eq!(seconds(b"1.5"), Some(1500));
        assert_eq!(seconds(b"1.23456"), Some(1234));
        assert_eq!(seconds(b"1.7e9"), Some(1_700_000_000_000));
        assert_eq!(seconds(b"1x"), None);
        assert_eq!(seconds(b""), None);
    }
}
