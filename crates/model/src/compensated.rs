//! Sums with the rounding errors of plain addition kept.

/// Neumaier's compensated sum.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Compensated {
    pub sum: f64,
    /// The rounding error of `sum`.
    pub rest: f64,
}

impl Compensated {
    #[inline]
    pub fn add(&mut self, value: f64) {
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
    pub fn merge(&mut self, other: &Self) {
        self.add(other.sum);
        self.rest += other.rest;
    }

    pub fn total(&self) -> f64 {
        if self.sum.is_infinite() {
            self.sum
        } else {
            self.sum + self.rest
        }
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
}
