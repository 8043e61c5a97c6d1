//! Windows of time. No merge crosses the border of its window. Pure.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use duramen_block::WriterOptions;
use duramen_model::BlockStats;

const HOUR_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// How long a window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// Two hours.
    Hours,
    /// A day. Raw samples of different days are never in one block of a merge.
    Day,
    /// Ten days, of rollups.
    TenDays,
    /// Thirty days, of rollups of an hour or more.
    ThirtyDays,
}

impl Span {
    /// The longest period of rollups of this resolution.
    pub(crate) const fn of_rollups(resolution_ms: i64) -> Self {
        match resolution_ms < HOUR_MS {
            true => Self::TenDays,
            false => Self::ThirtyDays,
        }
    }

    pub const fn length_ms(self) -> i64 {
        match self {
            Self::Hours => 2 * HOUR_MS,
            Self::Day => DAY_MS,
            Self::TenDays => 10 * DAY_MS,
            Self::ThirtyDays => 30 * DAY_MS,
        }
    }
}

/// A window of time, which begins at a multiple of its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    pub span: Span,
    /// The number of the window: 0 begins at 1970-01-01T00:00:00Z.
    number: i64,
}

impl Window {
    /// Returns the window of a time.
    pub const fn of(span: Span, ts_ms: i64) -> Self {
        let number = ts_ms.div_euclid(span.length_ms());
        Self { span, number }
    }

    /// Returns the window that holds all times of a block, if there is one.
    pub(crate) fn around(span: Span, stats: &BlockStats) -> Option<Self> {
        let first = Self::of(span, stats.min_ts_ms);
        let last = Self::of(span, stats.max_ts_ms);
        (first == last).then_some(first)
    }

    /// How a block of the whole window is written.
    pub(crate) fn layout(self) -> WriterOptions {
        WriterOptions::window(self.span.length_ms())
    }

    pub const fn start_ms(self) -> i64 {
        self.number.saturating_mul(self.span.length_ms())
    }

    /// The first time behind the window.
    pub const fn end_ms(self) -> i64 {
        (self.number + 1).saturating_mul(self.span.length_ms())
    }

    pub(crate) const fn holds(self, ts_ms: i64) -> bool {
        self.start_ms() <= ts_ms && ts_ms < self.end_ms()
    }

    /// Whether the window ended at least `settle` before `now_ms`.
    pub(crate) fn is_over(self, now_ms: i64, settle: Duration) -> bool {
        let settle_ms = i64::try_from(settle.as_millis()).unwrap_or(i64::MAX);
        self.end_ms().saturating_add(settle_ms) <= now_ms
    }
}

/// By the end, and then by the length.
impl Ord for Window {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |window: &Self| (window.end_ms(), window.number, window.span);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Window {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Window {
    /// The start in seconds since 1970, and the length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = match self.span {
            Span::Hours => "2h",
            Span::Day => "1d",
            Span::TenDays => "10d",
            Span::ThirtyDays => "30d",
        };

        write!(f, "{}+{length}", self.start_ms().div_euclid(1000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_the_ends_of_time() {
        for span in [Span::Hours, Span::Day] {
            for ts_ms in [i64::MIN, -1, 0, 1, i64::MAX - 1] {
                let window = Window::of(span, ts_ms);
                assert!(
                    window.start_ms() <= ts_ms && ts_ms < window.end_ms(),
                    "{ts_ms}"
                );
            }
        }

        assert_eq!(Window::of(Span::Day, -1).end_ms(), 0);
    }

    #[test]
    fn a_window_is_over_when_its_last_samples_are_in_blocks() {
        let window = Window::of(Span::Hours, 0);
        let settle = Duration::from_secs(60);

        assert!(!window.is_over(window.end_ms() + 59_999, settle));
        assert!(window.is_over(window.end_ms() + 60_000, settle));
    }
}
