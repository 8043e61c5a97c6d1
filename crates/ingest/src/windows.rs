//! The time windows of a flush: which sample or exemplar goes to which block. Pure.

use std::collections::BTreeSet;

/// Samples that are not older than this go to short windows.
const RECENT_MS: i64 = DAY_MS;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const RECENT_WINDOW_MS: i64 = 2 * 60 * 60 * 1000;

/// The most blocks of one flush, including the late one, siblings counted as one. Without it, five years of backfill could
/// make 21,900 files.
pub const FLUSH_BLOCKS_MAX: usize = 64;

/// Returns the start of the window of a time: 2 h windows for the last day before `now_ms`, 1 d
/// windows before that.
///
/// The result ascends with `ts_ms`, so samples in time order come to the windows in order.
pub(crate) const fn window_start(ts_ms: i64, now_ms: i64) -> i64 {
    let length = if ts_ms >= now_ms.saturating_sub(RECENT_MS) {
        RECENT_WINDOW_MS
    } else {
        DAY_MS
    };

    ts_ms.div_euclid(length) * length
}

/// The blocks of one flush. A block that is too large is cut into siblings when it is written, which
/// count as one here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    now_ms: i64,
    /// The starts of windows that have a block of their own, ascending.
    own: Vec<i64>,
    /// Whether earlier windows share a block, the *late* one.
    late: bool,
}

impl Windows {
    /// Plans the blocks for the windows that have samples: the latest windows have a block each,
    /// the others share one.
    pub(crate) fn plan(touched: &BTreeSet<i64>, now_ms: i64) -> Self {
        let late = touched.len() > FLUSH_BLOCKS_MAX;
        let skip = if late {
            touched.len() - (FLUSH_BLOCKS_MAX - 1)
        } else {
            0
        };

        Self {
            now_ms,
            own: touched.iter().skip(skip).copied().collect(),
            late,
        }
    }

    /// Returns the number of blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.own.len() + usize::from(self.late)
    }

    /// Returns the block of a time, in `0..blocks()`, ascending with the time.
    pub(crate) fn block_of(&self, ts_ms: i64) -> usize {
        let start = window_start(ts_ms, self.now_ms);
        let behind = self.own.partition_point(|own| *own <= start);

        // Without a late block every window has its own, so `behind` is at least 1.
        if self.late {
            behind
        } else {
            behind.saturating_sub(1)
        }
    }

    /// Returns the start of the window of `block`. It tells the blocks of a flush apart; the late
    /// block and a block without samples have the earliest of all.
    pub(crate) fn start_of(&self, block: usize) -> i64 {
        block
            .checked_sub(usize::from(self.late))
            .and_then(|own| self.own.get(own))
            .copied()
            .unwrap_or(i64::MIN)
    }

    /// Takes the items for `block` or an earlier one from the front of `rest`, which ascends by
    /// time.
    pub(crate) fn take<'a, T>(
        &self,
        block: usize,
        rest: &mut &'a [T],
        ts_ms: impl Fn(&T) -> i64,
    ) -> &'a [T] {
        let (taken, left) =
            rest.split_at(rest.partition_point(|one| self.block_of(ts_ms(one)) <= block));
        *rest = left;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn plan(times: &[i64]) -> Windows {
        let touched = times.iter().map(|ts| window_start(*ts, NOW)).collect();

        Windows::plan(&touched, NOW)
    }

    #[test]
    fn the_last_day_has_short_windows_and_what_is_older_long_ones() {
        assert_eq!(window_start(NOW, NOW) % RECENT_WINDOW_MS, 0);
        assert!(NOW - window_start(NOW, NOW) < RECENT_WINDOW_MS);
        assert_eq!(window_start(NOW - 2 * DAY_MS, NOW) % DAY_MS, 0);
        assert_eq!(window_start(-1, NOW), -DAY_MS);
    }

    #[test]
    fn five_years_make_a_bounded_number_of_blocks() {
        let times: Vec<i64> = (0..5 * 365).map(|day| NOW - day * DAY_MS).rev().collect();
        let windows = plan(&times);

        assert_eq!(windows.blocks(), FLUSH_BLOCKS_MAX);

        let starts: Vec<i64> = (0..windows.blocks())
            .map(|block| windows.start_of(block))
            .collect();
        assert_eq!(starts[0], i64::MIN);
        assert!(starts.is_sorted_by(|one, next| one < next), "{starts:?}");

        let mut rest = &times[..];
        let mut taken = Vec::new();

        for block in 0..windows.blocks() {
            let run = windows.take(block, &mut rest, |ts_ms| *ts_ms);
            assert!(!run.is_empty() && run.iter().all(|ts_ms| windows.block_of(*ts_ms) == block));

            taken.extend_from_slice(run);
        }

        assert_eq!(taken, times);
    }

    #[test]
    fn each_window_has_its_own_block_while_there_are_few() {
        let times = [
            NOW - 3 * DAY_MS,
            NOW - 2 * DAY_MS,
            NOW - RECENT_WINDOW_MS,
            NOW,
        ];

        let windows = plan(&times);
        assert_eq!(windows.blocks(), 4);
        assert_eq!(times.map(|ts| windows.block_of(ts)), [0, 1, 2, 3]);
    }
}
