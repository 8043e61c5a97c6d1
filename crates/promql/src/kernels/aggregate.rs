//! States of aggregations: values are added, states are merged, a value is returned.

use duramen_model::Compensated;

/// The state of one group at one step. It consists of numbers, so that it fits in Arrow columns.
pub(crate) trait AggregateState: Copy + Default + Send + Sync + 'static {
    /// How many numbers the state has.
    const FIELDS: usize;

    fn add(&mut self, value: f64);
    /// Merges a state of values that come after those of `self`.
    fn merge(&mut self, other: &Self);
    /// Returns `None` if there was no value.
    fn finish(&self) -> Option<f64>;
    /// Returns number `field` of the state.
    fn field(&self, field: usize) -> f64;
    fn set_field(&mut self, field: usize, value: f64);
}

/// Writes the two field accessors for a list of fields.
macro_rules! fields {
    ($count:literal: $($index:literal => $($place:ident).+),+ $(,)?) => {
        const FIELDS: usize = $count;

        fn field(&self, field: usize) -> f64 {
            match field {
                $($index => self.$($place).+,)+
                _ => unreachable!("a state has {} fields", Self::FIELDS),
            }
        }

        fn set_field(&mut self, field: usize, value: f64) {
            match field {
                $($index => self.$($place).+ = value,)+
                _ => unreachable!("a state has {} fields", Self::FIELDS),
            }
        }
    };
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    count: f64,
    sum: Compensated,
}

impl AggregateState for Sum {
    fields!(3: 0 => count, 1 => sum.sum, 2 => sum.rest);

    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.sum.add(value);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum.merge(&other.sum);
    }

    fn finish(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum.total())
    }
}

/// Values are also summed at 2^-64 of their size, where no sum can overflow. That sum is used if
/// the plain one has overflowed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Average {
    count: f64,
    sum: Compensated,
    scaled: Compensated,
}

const SCALE: f64 = 1.0 / (1u128 << 64) as f64;

impl AggregateState for Average {
    fields!(5: 0 => count, 1 => sum.sum, 2 => sum.rest, 3 => scaled.sum, 4 => scaled.rest);

    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.sum.add(value);
        self.scaled.add(value * SCALE);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum.merge(&other.sum);
        self.scaled.merge(&other.scaled);
    }

    fn finish(&self) -> Option<f64> {
        let mean = if self.sum.sum.is_finite() {
            self.sum.sum / self.count + self.sum.rest / self.count
        } else {
            self.scaled.total() / self.count / SCALE
        };

        (self.count > 0.0).then_some(mean)
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Minimum {
    count: f64,
    value: f64,
}

impl AggregateState for Minimum {
    fields!(2: 0 => count, 1 => value);

    fn add(&mut self, value: f64) {
        if self.count == 0.0 || value < self.value || self.value.is_nan() {
            self.value = value;
        }

        self.count += 1.0;
    }

    fn merge(&mut self, other: &Self) {
        if other.count > 0.0 {
            self.add(other.value);
        }
    }

    fn finish(&self) -> Option<f64> {
        (self.count > 0.0).then_some(self.value)
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Maximum {
    count: f64,
    value: f64,
}

impl AggregateState for Maximum {
    fields!(2: 0 => count, 1 => value);

    fn add(&mut self, value: f64) {
        if self.count == 0.0 || value > self.value || self.value.is_nan() {
            self.value = value;
        }

        self.count += 1.0;
    }

    fn merge(&mut self, other: &Self) {
        if other.count > 0.0 {
            self.add(other.value);
        }
    }

    fn finish(&self) -> Option<f64> {
        (self.count > 0.0).then_some(self.value)
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    count: f64,
}

impl AggregateState for Count {
    fields!(1: 0 => count);

    fn add(&mut self, _: f64) {
        self.count += 1.0;
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
    }

    fn finish(&self) -> Option<f64> {
        (self.count > 0.0).then_some(self.count)
    }
}

/// 1 if there is any value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Group {
    count: f64,
}

impl AggregateState for Group {
    fields!(1: 0 => count);

    fn add(&mut self, _: f64) {
        self.count = 1.0;
    }

    fn merge(&mut self, other: &Self) {
        self.count = self.count.max(other.count);
    }

    fn finish(&self) -> Option<f64> {
        (self.count > 0.0).then_some(1.0)
    }
}

/// Welford's moments, merged by Chan's rule.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Variance {
    count: f64,
    mean: f64,
    squares: f64,
}

impl AggregateState for Variance {
    fields!(3: 0 => count, 1 => mean, 2 => squares);

    fn add(&mut self, value: f64) {
        self.count += 1.0;

        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn merge(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }

        if self.count == 0.0 {
            *self = *other;
            return;
        }

        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        self.mean += delta * other.count / count;
        self.squares += other.squares + delta * delta * self.count * other.count / count;
        self.count = count;
    }

    fn finish(&self) -> Option<f64> {
        (self.count > 0.0).then_some(self.squares / self.count)
    }
}

/// [`Variance`] with a square root at the end.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deviation {
    variance: Variance,
}

impl AggregateState for Deviation {
    fields!(3: 0 => variance.count, 1 => variance.mean, 2 => variance.squares);

    fn add(&mut self, value: f64) {
        self.variance.add(value);
    }

    fn merge(&mut self, other: &Self) {
        self.variance.merge(&other.variance);
    }

    fn finish(&self) -> Option<f64> {
        self.variance.finish().map(f64::sqrt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the results of one state, and of two states that are merged after conversion to
    /// numbers.
    fn both<S: AggregateState>(values: &[f64]) -> (Option<f64>, Option<f64>) {
        let mut whole = S::default();
        values.iter().for_each(|&value| whole.add(value));

        let (mut merged, (front, back)) = (S::default(), values.split_at(values.len() / 2));
        for part in [front, back] {
            let mut state = S::default();
            let mut travelled = S::default();
            part.iter().for_each(|&value| state.add(value));
            (0..S::FIELDS).for_each(|field| travelled.set_field(field, state.field(field)));
            merged.merge(&travelled);
        }

        (whole.finish(), merged.finish())
    }

    fn check<S: AggregateState>(values: &[f64], wanted: f64) {
        assert_eq!(
            both::<S>(values),
            (Some(wanted), Some(wanted)),
            "{values:?}"
        );
    }

    #[test]
    fn merged_states_say_what_one_state_says() {
        check::<Sum>(&[1.0, 1e100, 1.0, -1e100], 2.0);
        check::<Average>(&[1.0, 2.0, 3.0, 6.0], 3.0);
        check::<Minimum>(&[f64::NAN, 2.0, -1.0], -1.0);
        check::<Maximum>(&[f64::NAN, 2.0, -1.0], 2.0);
        check::<Count>(&[f64::NAN, 2.0, -1.0], 3.0);
        check::<Group>(&[5.0, 5.0], 1.0);
        check::<Variance>(&[1.0, 3.0, 1.0, 3.0], 1.0);
        check::<Deviation>(&[1.33; 6], 0.0);
    }

    #[test]
    fn a_group_without_values_has_none() {
        assert_eq!(both::<Sum>(&[]), (None, None));
        assert_eq!(both::<Average>(&[]), (None, None));
        assert_eq!(both::<Deviation>(&[]), (None, None));
    }

    #[test]
    fn an_average_does_not_overflow_with_its_sum() {
        check::<Average>(&[1.5e308; 4], 1.5e308);
        check::<Average>(&[f64::INFINITY, 1.0], f64::INFINITY);

        assert!(
            both::<Average>(&[f64::INFINITY, f64::NEG_INFINITY])
                .1
                .is_some_and(f64::is_nan)
        );
    }
}
