//! Binary operators on two values.

use duramen_syntax::ast::BinaryOp;

/// Returns the value of an arithmetic operator.
///
/// # Panics
/// For comparisons, set operators and trims, which have no value of their own.
#[inline]
pub(crate) fn arithmetic(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        // As in Go and C, the sign is that of the dividend.
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        _ => unreachable!("{} is not arithmetic", op.as_str()),
    }
}

/// Returns whether a comparison holds. NaN differs from everything.
///
/// # Panics
/// For operators that do not compare.
#[inline]
pub(crate) fn compare(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Equal => a == b,
        BinaryOp::NotEqual => a != b,
        BinaryOp::Greater => a > b,
        BinaryOp::GreaterOrEqual => a >= b,
        BinaryOp::Less => a < b,
        BinaryOp::LessOrEqual => a <= b,
        _ => unreachable!("{} does not compare", op.as_str()),
    }
}

/// Returns whether an operator is for histograms only and has no value for two floats.
pub(crate) const fn is_trim(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::TrimLower | BinaryOp::TrimUpper)
}

/// Returns 1 for a comparison that holds, 0 for one that does not, else the value of the operator.
#[inline]
pub(crate) fn value(op: BinaryOp, a: f64, b: f64) -> f64 {
    if op.is_comparison() {
        f64::from(u8::from(compare(op, a, b)))
    } else {
        arithmetic(op, a, b)
    }
}

/// Returns whether the result of an operator no longer belongs to the metric.
pub(crate) fn drops_name(op: BinaryOp, return_bool: bool) -> bool {
    return_bool || !(op.is_comparison() || op.is_set_operator() || is_trim(op))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remainder_has_the_sign_of_the_dividend() {
        assert_eq!(arithmetic(BinaryOp::Mod, -5.0, 3.0), -2.0);
        assert_eq!(arithmetic(BinaryOp::Mod, 5.5, -2.0), 1.5);
        assert!(arithmetic(BinaryOp::Mod, 1.0, 0.0).is_nan());
        assert_eq!(arithmetic(BinaryOp::Pow, 2.0, -1.0), 0.5);
    }

    #[test]
    fn nan_differs_from_itself() {
        assert!(!compare(BinaryOp::Equal, f64::NAN, f64::NAN));
        assert_eq!(value(BinaryOp::NotEqual, f64::NAN, f64::NAN), 1.0);
    }
}
