//! When a query is evaluated.

use crate::error::Error;

/// The times of a whole query: one, or `start_ms` and every `step_ms` from there as far as
/// `end_ms`, both ends inside. `start()`, `end()`, `step()` and `range()` mean these, also inside a
/// subquery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryTimes {
    pub start_ms: i64,
    pub end_ms: i64,
    /// 0 for an instant.
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

    /// # Errors
    /// `Invalid` for an end before the start and for a step that is not above zero.
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

    /// What `range()` means, in milliseconds.
    pub(crate) const fn range_ms(self) -> i64 {
        self.end_ms.saturating_sub(self.start_ms)
    }

    pub const fn is_instant(self) -> bool {
        self.step_ms == 0
    }
}
