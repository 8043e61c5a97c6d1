//! What lies under a curve that is known at its samples.

use crate::kernels::seconds;
use crate::kernels::sum::Compensated;

/// Which value stands for the time between two samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// The earlier one.
    Left,
    /// The later one.
    Right,
    /// The mean of both.
    #[default]
    Trapezoid,
}

impl Strategy {
    /// The strategy that a number in a query stands for; `None` for no such number.
    pub(crate) fn of(number: f64) -> Option<Self> {
        [
            (0.0, Self::Left),
            (1.0, Self::Right),
            (2.0, Self::Trapezoid),
        ]
        .into_iter()
        .find_map(|(known, strategy)| (known == number).then_some(strategy))
    }

    /// What stands for the values between two samples.
    fn height(self, before: f64, after: f64) -> Compensated {
        match self {
            Self::Left => Compensated {
                sum: before,
                rest: 0.0,
            },
            Self::Right => Compensated {
                sum: after,
                rest: 0.0,
            },
            Self::Trapezoid => mean(before, after),
        }
    }
}

/// The integral over samples in the order of their times, in units of the value times seconds. NaN
/// counts as 0, so that its neighbours count alone.
pub(crate) fn integral(ts_ms: &[i64], values: &[f64], strategy: Strategy) -> f64 {
    let known = |value: f64| if value.is_nan() { 0.0 } else { value };
    let mut total = Compensated::default();

    for (times, pair) in ts_ms.windows(2).zip(values.windows(2)) {
        let spacing = seconds(times[1] - times[0]);
        let height = strategy.height(known(pair[0]), known(pair[1]));
        total.rest += height.rest * spacing;
        total.add(height.sum * spacing);
    }

    total.total()
}

/// The mean of two values, with what rounding takes from it.
fn mean(before: f64, after: f64) -> Compensated {
    let mut sum = Compensated {
        sum: before,
        rest: 0.0,
    };

    sum.add(after);

    if sum.sum.is_infinite() && before.is_finite() && after.is_finite() {
        // Their sum is more than a float holds, and their mean is not.
        let mut halves = Compensated {
            sum: before / 2.0,
            rest: 0.0,
        };

        halves.add(after / 2.0);
        return halves;
    }

    Compensated {
        sum: sum.sum / 2.0,
        rest: sum.rest / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TS: [i64; 4] = [0, 10_000, 30_000, 40_000];

    #[test]
    fn each_strategy_takes_another_value_for_the_time_between() {
        let values = [1.0, 3.0, 5.0, f64::NAN];
        assert_eq!(integral(&TS, &values, Strategy::Left), 10.0 + 60.0 + 50.0);
        assert_eq!(integral(&TS, &values, Strategy::Right), 30.0 + 100.0);
        assert_eq!(
            integral(&TS, &values, Strategy::Trapezoid),
            20.0 + 80.0 + 25.0
        );

        assert_eq!(integral(&TS[..1], &values[..1], Strategy::Left), 0.0);
    }

    #[test]
    fn values_whose_sum_is_too_large_have_a_mean() {
        assert_eq!(
            integral(&[0, 1000], &[f64::MAX, f64::MAX], Strategy::Trapezoid),
            f64::MAX
        );

        assert_eq!(
            integral(&[0, 1000], &[f64::INFINITY, 1.0], Strategy::Trapezoid),
            f64::INFINITY
        );
    }

    #[test]
    fn only_three_numbers_are_strategies() {
        assert_eq!(
            [0.0, 1.0, 2.0].map(Strategy::of),
            [Strategy::Left, Strategy::Right, Strategy::Trapezoid].map(Some)
        );

        assert_eq!(
            [0.5, 3.0, -1.0, f64::NAN, f64::INFINITY].map(Strategy::of),
            [None; 5]
        );
    }
}
