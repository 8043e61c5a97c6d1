//! Numbers as Go prints them, wherever a text of Prometheus is part of its contract.

/// `%g`: the shortest digits that read back as the same number, with an exponent below 1e-4 and from 1e6 on.
pub fn go_general(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("a number in scientific form has an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is a number");
    if (-4..6).contains(&exponent) {
        return value.to_string();
    }
    let (sign, size) = if exponent < 0 { ('-', -exponent) } else { ('+', exponent) };
    format!("{digits}e{sign}{size:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_go_does() {
        let cases = [(0.0, "0"), (-0.0, "-0"), (1.5, "1.5"), (123_456.0, "123456"), (1_234_567.0, "1.234567e+06")];
        let small = [(0.0001, "0.0001"), (0.000_012, "1.2e-05"), (1e100, "1e+100"), (f64::NEG_INFINITY, "-Inf")];
        for (value, wanted) in cases.into_iter().chain(small) {
            assert_eq!(go_general(value), wanted);
        }
        assert_eq!(go_general(f64::NAN), "NaN");
    }
}
