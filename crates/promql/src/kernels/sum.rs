//! Sums with the rounding errors of plain addition kept.

/// Neumaier's compensated sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Compensated {
    pub(crate) sum: f64,
    /// The rounding error of `sum`.
    pub(crate) rest: f64,
}

impl Compensated {
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        let total = self.sum + value;

        // A selection without a branch, because the branch would be unpredictable.
        let (large, small) = if self.sum.abs() >= value.abs() {
            (self.sum, value)
        } else {
            (value, self.sum)
        };

        let rest = self.rest + ((large - total) + small);
        self.rest = if total.is_infinite() { 0.0 } else { rest };
        self.sum = total;
    }

    #[inline]
    pub(crate) fn merge(&mut self, other: &Self) {
        self.add(other.sum);
        self.rest += other.rest;
    }

    pub(crate) fn total(&self) -> f64 {
        if self.sum.is_infinite() {
            self.sum
        } else {
            self.sum + self.rest
        }
    }
}

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
    fn small_values_survive_large_ones_that_cancel() {
        let mut sum = Compensated::default();
        for value in [1.0, 1e100, 1.0, -1e100] {
            sum.add(value);
        }

        assert_eq!(sum.total(), 2.0);
    }

    #[test]
    fn a_mean_does_not_overflow_with_its_sum() {
        assert_eq!(mean(&[1.5e308, 1.5e308]), 1.5e308);
        assert_eq!(mean(&[1.0, 2.0, f64::INFINITY]), f64::INFINITY);
        assert!(mean(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert_eq!(mean(&[52.0; 12]), 52.0);
    }
}
