//! Means of values.

use duramen_model::Compensated;

/// Returns the mean of values, at least one. The sum is divided at the end as long as it does not
/// overflow. From then on, the mean is updated instead.
pub(crate) fn mean(values: &[f64]) -> f64 {
    let mut sum = Compensated::default();
    let mut carried: Option<Compensated> = None;
    let mut count = 0.0;

    for &value in values {
        count += 1.0;

        let mean = match &mut carried {
            Some(mean) => mean,
            None => {
                let mut next = sum;
                next.add(value);

                if count == 1.0 || !next.sum.is_infinite() {
                    sum = next;
                    continue;
                }

                let before = count - 1.0;
                carried.insert(Compensated {
                    sum: sum.sum / before,
                    rest: sum.rest / before,
                })
            }
        };

        let share = (count - 1.0) / count;
        *mean = Compensated {
            sum: share * mean.sum,
            rest: share * mean.rest,
        };

        mean.add(value / count);
    }

    match carried {
        Some(mean) => mean.sum + mean.rest,
        None => sum.sum / count + sum.rest / count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_does_not_overflow_with_its_sum() {
        assert_eq!(mean(&[1.5e308, 1.5e308]), 1.5e308);
        assert_eq!(mean(&[1.0, 2.0, f64::INFINITY]), f64::INFINITY);
        assert!(mean(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert_eq!(mean(&[52.0; 12]), 52.0);
    }
}
