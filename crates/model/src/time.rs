//! Spans of time.

use std::fmt;

/// A span of time `[start_ms, end_ms)`, in milliseconds since the epoch.
///
/// It is half-open, so that adjacent ranges leave no gap and have no overlap. PromQL's left-open,
/// right-closed windows are converted to this form once, where a query enters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    start_ms: i64,
    end_ms: i64,
}

impl TimeRange {
    /// Every timestamp except `i64::MAX`, which no sample may have.
    pub const ALL: Self = Self {
        start_ms: i64::MIN,
        end_ms: i64::MAX,
    };

    /// Returns `None` when `end_ms <= start_ms`: an empty range is not a range.
    pub const fn new(start_ms: i64, end_ms: i64) -> Option<Self> {
        if end_ms <= start_ms {
            None
        } else {
            Some(Self { start_ms, end_ms })
        }
    }

    /// The range from `start_ms` to `last_ms`, both inclusive. Returns `None` when `last_ms <
    /// start_ms`.
    pub const fn closed(start_ms: i64, last_ms: i64) -> Option<Self> {
        Self::new(start_ms, last_ms.saturating_add(1))
    }

    /// The first millisecond of the range.
    pub const fn start_ms(self) -> i64 {
        self.start_ms
    }

    /// The first millisecond after the range.
    pub const fn end_ms(self) -> i64 {
        self.end_ms
    }

    /// The last millisecond of the range.
    pub const fn last_ms(self) -> i64 {
        self.end_ms - 1
    }

    pub const fn contains(self, ts_ms: i64) -> bool {
        self.start_ms <= ts_ms && ts_ms < self.end_ms
    }

    pub const fn overlaps(self, other: Self) -> bool {
        self.start_ms < other.end_ms && other.start_ms < self.end_ms
    }

    /// The part that both ranges cover; `None` when there is none.
    pub fn intersect(self, other: Self) -> Option<Self> {
        Self::new(
            self.start_ms.max(other.start_ms),
            self.end_ms.min(other.end_ms),
        )
    }

    /// The smallest range that covers both.
    pub fn union(self, other: Self) -> Self {
        Self {
            start_ms: self.start_ms.min(other.start_ms),
            end_ms: self.end_ms.max(other.end_ms),
        }
    }
}

impl fmt::Debug for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start_ms, self.end_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_ranges_do_not_overlap() {
        let a = TimeRange::new(0, 10).unwrap();
        let b = TimeRange::new(10, 20).unwrap();

        assert!(!a.overlaps(b));
        assert_eq!(a.intersect(b), None);
        assert_eq!(a.union(b), TimeRange::new(0, 20).unwrap());
    }

    #[test]
    fn an_empty_range_is_not_a_range() {
        assert_eq!(TimeRange::new(5, 5), None);
        assert_eq!(TimeRange::closed(5, 4), None);
        assert!(TimeRange::closed(5, 5).unwrap().contains(5));
    }
}
