//! Which rows of a batch lie in the requested time. Pure.

use std::ops::Range;

use duramen_model::TimeRange;

/// Passes over the rows of a batch, series by series, and keeps those in a time range.
#[derive(Debug)]
pub(crate) struct Cut {
    range: TimeRange,
    /// How many rows each series has that were not passed.
    left: Vec<u64>,
    /// The series of the next row.
    series: usize,
    /// How many rows of each series were kept.
    kept: Vec<i32>,
}

impl Cut {
    /// `lengths`: how many rows each series has.
    pub(crate) fn new(lengths: impl Iterator<Item = u64>, range: TimeRange) -> Self {
        let left: Vec<u64> = lengths.collect();

        Self {
            range,
            series: 0,
            kept: vec![0; left.len()],
            left,
        }
    }

    /// Passes over the rows `wanted`, which have the times `ts`. Appends the times that are kept to
    /// `out`, and returns their rows. The times ascend within a series; if they do not, some rows
    /// are kept.
    pub(crate) fn keep(
        &mut self,
        wanted: &[Range<usize>],
        mut ts: &[i64],
        out: &mut Vec<i64>,
    ) -> Vec<Range<usize>> {
        let mut rows: Vec<Range<usize>> = Vec::new();

        for wanted in wanted {
            let mut at = wanted.start;

            while at < wanted.end {
                let length = self.next(wanted.end - at).min(ts.len());
                if length == 0 {
                    // Rows behind the last series are of nobody.
                    return rows;
                }

                let (of_series, rest) = ts.split_at(length);
                let inside = self.inside(of_series);
                out.extend_from_slice(&of_series[inside.clone()]);
                self.take(length, inside.len());

                let kept = at + inside.start..at + inside.end;
                match rows.last_mut() {
                    _ if kept.is_empty() => {}
                    Some(last) if last.end == kept.start => last.end = kept.end,
                    _ => rows.push(kept),
                }

                ts = rest;
                at += length;
            }
        }

        rows
    }

    /// Returns how many of the next `rows` rows are of one series, and goes to that series. Returns
    /// 0 behind the last series.
    fn next(&mut self, rows: usize) -> usize {
        while self.left.get(self.series) == Some(&0) {
            self.series += 1;
        }

        let left = self.left.get(self.series).copied().unwrap_or(0);
        rows.min(usize::try_from(left).unwrap_or(usize::MAX))
    }

    fn inside(&self, ts: &[i64]) -> Range<usize> {
        let start = ts.partition_point(|&ts_ms| ts_ms < self.range.start_ms());
        let end = ts.partition_point(|&ts_ms| ts_ms < self.range.end_ms());
        start..end.max(start)
    }

    /// Passes over `rows` rows of the series, of which `kept` are kept.
    fn take(&mut self, rows: usize, kept: usize) {
        if let Some(left) = self.left.get_mut(self.series) {
            *left -= rows as u64;
            self.kept[self.series] += i32::try_from(kept).unwrap_or(i32::MAX);
        }
    }

    /// Returns the first kept row of each series, followed by their number.
    pub(crate) fn into_offsets(self) -> Vec<i32> {
        let mut end = 0i32;
        let ends = self.kept.into_iter().map(|kept| {
            end = end.saturating_add(kept);
            end
        });

        std::iter::once(0).chain(ends).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(lengths: &[u64]) -> Cut {
        Cut::new(
            lengths.iter().copied(),
            TimeRange::new(10, 20).expect("not empty"),
        )
    }

    /// Passes over the rows `wanted` and returns the kept ones, as pairs of first and behind.
    fn keep(
        cut: &mut Cut,
        wanted: &[(usize, usize)],
        ts: &[i64],
        out: &mut Vec<i64>,
    ) -> Vec<(usize, usize)> {
        let wanted: Vec<_> = wanted.iter().map(|(start, end)| *start..*end).collect();
        let kept = cut.keep(&wanted, ts, out);
        kept.iter().map(|rows| (rows.start, rows.end)).collect()
    }

    #[test]
    fn rows_are_kept_series_by_series() {
        let mut cut = cut(&[3, 0, 2, 2, 1]);
        let mut ts = Vec::new();

        // The second call goes on in the middle of the third series.
        let first = keep(&mut cut, &[(0, 3), (5, 6)], &[9, 10, 19, 12], &mut ts);
        let second = keep(&mut cut, &[(0, 4)], &[19, 1, 20, 15], &mut ts);

        assert_eq!(first, [(1, 3), (5, 6)]);
        assert_eq!(second, [(0, 1), (3, 4)]);
        assert_eq!(ts, [10, 19, 12, 19, 15]);
        assert_eq!(cut.into_offsets(), [0, 2, 2, 4, 4, 5]);
    }

    #[test]
    fn neighbours_join() {
        let mut cut = cut(&[2, 2]);
        let kept = keep(&mut cut, &[(4, 8)], &[5, 10, 11, 30], &mut Vec::new());
        assert_eq!(kept, [(5, 7)]);
    }

    #[test]
    fn times_out_of_order_and_rows_of_nobody_are_no_panic() {
        let mut disordered = cut(&[4]);
        let kept = keep(
            &mut disordered,
            &[(0, 4)],
            &[30, 5, 30, 12],
            &mut Vec::new(),
        );
        assert!(kept.iter().all(|rows| rows.1 <= 4));

        let mut short = cut(&[1]);
        let kept = keep(&mut short, &[(0, 3)], &[11, 12, 13], &mut Vec::new());
        assert_eq!(kept, [(0, 1)]);
        assert_eq!(short.into_offsets(), [0, 1]);
    }
}
