//! The integral of a curve that is known at its samples.

use crate::kernels::seconds;
use duramen_model::Compensated;

/// Which value is used for the time between two samples.
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
    /// Returns the strategy for a number in a query. `None` if the number is not a strategy.
    pub(crate) fn of(number: f64) -> Option<Self> {
        [
            (0.0, Self::Left),
            (1.0, Self::Right),
            (2.0, Self::Trapezoid),
        ]
        .into_iter()
        .find_map(|(known, strategy)| (known == number).then_some(strategy))
    }

    /// Returns the value that is used between two samples.
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

/// Returns the integral over samples in order of time, in units of the value times seconds. NaN
/// counts as 0, so that the samples around it still count.
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

/// Returns the mean of two values, with its rounding error.
fn mean(before: f64, after: f64) -> Compensated {
    let mut sum = Compensated {
        sum: before,
        rest: 0.0,
    };

    sum.add(after);

    if sum.sum.is_infinite() && before.is_finite() && after.is_finite() {
        // Their sum overflows, but their mean does not.
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
