//! When a query is evaluated.

use crate::error::Error;

/// The times of a whole query: a single time, or `start_ms` and every `step_ms` after it up to
/// `end_ms`, both ends included. `start()`, `end()`, `step()` and `range()` mean these times, even
/// inside a subquery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryTimes {
    pub start_ms: i64,
    pub end_ms: i64,
    /// 0 for an instant query.
    pub step_ms: i64,
}

impl QueryTimes {
    pub const fn at(time_ms: i64) -> Self {
        Self {
            start_ms: time_ms,
            end_ms: time_ms,
            step_ms: 0,
        }
    }

    /// Returns the times of a range query.
    ///
    /// # Errors
    /// `Invalid` if the end is before the start, or if the step is not above zero.
    pub fn range(start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Self, Error> {
        if step_ms <= 0 || end_ms < start_ms {
            return Err(Error::invalid(
                "a range ends no earlier than it starts and has a step above zero",
            ));
        }

        Ok(Self {
            start_ms,
            end_ms,
            step_ms,
        })
    }

    /// Returns the value of `range()`, in milliseconds.
    pub(crate) const fn range_ms(self) -> i64 {
        self.end_ms.saturating_sub(self.start_ms)
    }

    pub const fn is_instant(self) -> bool {
        self.step_ms == 0
    }
}
