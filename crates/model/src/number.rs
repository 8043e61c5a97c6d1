//! Numbers as Go prints them, for texts that must equal those of Prometheus.

/// `%g`: the shortest digits that read back as the same number, with an exponent below 1e-4 and
/// from 1e6 on.
pub fn go_general(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }

    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }

    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific
        .split_once('e')
        .expect("a number in scientific form has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");

    if (-4..6).contains(&exponent) {
        return value.to_string();
    }

    let (sign, size) = if exponent < 0 {
        ('-', -exponent)
    } else {
        ('+', exponent)
    };

    format!("{digits}e{sign}{size:02}")
}

/// `%.Ng`: like [`go_general`], but with at most `digits` digits. It has an exponent if more digits
/// than that would stand before the point.
pub fn go_general_rounded(value: f64, digits: usize) -> String {
    if !value.is_finite() || value == 0.0 {
        return go_general(value);
    }

    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let (rounded, exponent) = scientific
        .split_once('e')
        .expect("a number in scientific form has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");

    if exponent >= -4 && usize::try_from(exponent).map_or(true, |exponent| exponent < digits) {
        return scientific.parse::<f64>().expect("a number").to_string();
    }

    let rounded = if rounded.contains('.') {
        rounded.trim_end_matches('0').trim_end_matches('.')
    } else {
        rounded
    };

    let (sign, size) = if exponent < 0 {
        ('-', -exponent)
    } else {
        ('+', exponent)
    };

    format!("{rounded}e{sign}{size:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_go_does() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.234567e+06"),
        ];

        let small = [
            (0.0001, "0.0001"),
            (0.000_012, "1.2e-05"),
            (1e100, "1e+100"),
            (f64::NEG_INFINITY, "-Inf"),
        ];

        for (value, wanted) in cases.into_iter().chain(small) {
            assert_eq!(go_general(value), wanted);
        }

        assert_eq!(go_general(f64::NAN), "NaN");
    }

    #[test]
    fn digits_can_be_limited() {
        let cases = [
            (5.0, "5"),
            (25.0, "25"),
            (100.0, "1e+02"),
            (123.0, "1.2e+02"),
            (0.126, "0.13"),
            (99.6, "1e+02"),
        ];

        for (value, wanted) in
            cases
                .into_iter()
                .chain([(0.000_012, "1.2e-05"), (0.0, "0"), (f64::INFINITY, "+Inf")])
        {
            assert_eq!(go_general_rounded(value, 2), wanted);
        }
    }
}
