//! Decimal numbers as integers: most values are integers or have few decimals.

/// Decimals that are tried.
const DECIMALS_MAX: i32 = 12;
/// Below this a float holds every integer.
const EXACT_MAX: f64 = 9.0e15;

/// Integers and the number of decimals by which to divide them.
#[derive(Debug)]
pub(crate) struct Scaled {
    pub(crate) decimals: i32,
    pub(crate) integers: Vec<i64>,
}

/// The fewest decimals with which all values are integers, exactly; `None` when none are enough.
pub(crate) fn scale(values: &[f64]) -> Option<Scaled> {
    let with = |decimals| {
        Some(Scaled {
            decimals,
            integers: scale_by(values, decimals)?,
        })
    };

    (0..=DECIMALS_MAX).find_map(with)
}

fn scale_by(values: &[f64], decimals: i32) -> Option<Vec<i64>> {
    let factor = 10f64.powi(decimals);
    let integer = |&value: &f64| {
        let scaled = (value * factor).round();
        if scaled.abs() <= EXACT_MAX && (scaled as i64 as f64 / factor).to_bits() == value.to_bits()
        {
            return Some(scaled as i64);
        }

        // Integers beyond that are kept as they are, when nothing is to be scaled.
        let large = decimals == 0
            && value.abs() < 9e18
            && value.fract() == 0.0
            && value.to_bits() != (-0.0f64).to_bits();

        large.then_some(value as i64)
    };

    values.iter().map(integer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_decimals_are_found() {
        let cases: [(&[f64], Option<i32>); 6] = [
            (&[1.0, -2.0, 1e16], Some(0)),
            (&[1.0, 2.5], Some(1)),
            (&[0.1, 0.25, 1e-9], Some(9)),
            (&[1.0 / 3.0], None),
            (&[-0.0], None),
            (&[f64::INFINITY], None),
        ];

        for (values, decimals) in cases {
            assert_eq!(scale(values).map(|s| s.decimals), decimals, "{values:?}");
        }
    }
}
