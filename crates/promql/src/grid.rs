//! The times at which an expression is evaluated.

/// Evenly spaced times. They are the columns of every vector of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start_ms: i64,
    /// Above zero, even for a single step.
    pub(crate) step_ms: i64,
    pub(crate) steps: usize,
}

/// The maximum number of cells (series x steps) of a batch between two operators: 8 MiB of values.
const BATCH_CELLS_MAX: usize = 1 << 20;

impl Grid {
    /// Returns a grid of one step.
    pub(crate) const fn instant(time_ms: i64) -> Self {
        Self {
            start_ms: time_ms,
            step_ms: 1,
            steps: 1,
        }
    }

    /// Returns the steps from `start_ms` to `end_ms`, both included. There are no steps if `end_ms
    /// < start_ms`.
    pub(crate) fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        let span = i128::from(end_ms) - i128::from(start_ms);
        let steps = if span < 0 {
            0
        } else {
            span / i128::from(step_ms) + 1
        };

        Self {
            start_ms,
            step_ms,
            steps: usize::try_from(steps).unwrap_or(usize::MAX),
        }
    }

    /// Returns the time of step `index`.
    #[inline]
    pub(crate) fn at(&self, index: usize) -> i64 {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        self.start_ms
            .saturating_add(self.step_ms.saturating_mul(index))
    }

    /// Returns the first step for whose time `before` is false. `before` must then be false for all
    /// later steps too.
    pub(crate) fn partition_point(&self, before: impl Fn(i64) -> bool) -> usize {
        let mut low = 0;
        let mut high = self.steps;

        while low < high {
            let middle = low.midpoint(high);
            if before(self.at(middle)) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }

        low
    }

    /// Returns the time of the last step. Without steps, returns the start.
    pub(crate) fn last_ms(&self) -> i64 {
        self.at(self.steps.saturating_sub(1))
    }

    /// Returns how many series a batch holds. It depends on the grid alone. So batches, and the
    /// order of every sum, do not depend on the number of partitions.
    pub(crate) fn batch_series_max(&self) -> usize {
        (BATCH_CELLS_MAX / self.steps.max(1)).clamp(1, 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_holds_its_end_only_when_a_step_falls_on_it() {
        assert_eq!(Grid::range(0, 10, 5).steps, 3);
        assert_eq!(Grid::range(0, 9, 5).steps, 2);
        assert_eq!(Grid::range(0, 9, 5).last_ms(), 5);
        assert_eq!(Grid::range(1, 0, 5).steps, 0);
        assert_eq!(Grid::range(i64::MIN, i64::MAX, i64::MAX).steps, 3);
    }

    #[test]
    fn a_batch_is_bounded_in_cells_but_holds_a_series() {
        assert_eq!(Grid::instant(0).batch_series_max(), 1024);
        assert_eq!(Grid::range(0, 11_000, 1).batch_series_max(), 95);
        assert_eq!(Grid::range(0, 1 << 30, 1).batch_series_max(), 1);
    }
}
