//! One bucket of one series. Pure.

use duramen_model::{Compensated, is_stale};

use crate::batch::SeriesBatch;

/// What a bucket tells of the samples in it.
///
/// A stale marker is no sample: only [`RollupRow::stale_ms`] knows of it. Any other NaN is one, as
/// it is for PromQL. Without floats, all numbers but `stale_ms` and `histograms` are 0.
///
/// A bucket may have two rows, if its samples were in two sources. The samples of the first are
/// before those of the second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RollupRow {
    /// The end of the bucket, which is in it.
    pub end_ms: i64,
    /// How many floats there are.
    pub count: u64,
    pub sum: f64,
    /// NaN only if all floats are.
    pub min: f64,
    pub max: f64,
    pub first: f64,
    pub last: f64,
    pub first_ms: i64,
    pub last_ms: i64,
    /// The time of the last float but one; `None` if there is only one.
    pub before_last_ms: Option<i64>,
    /// The sum of the values in front of each drop. It makes a counter of what was reset.
    pub corrections: f64,
    /// How often a float is below the one before, inside of the row.
    pub resets: u64,
    /// How often a float differs from the one before, inside of the row.
    pub changes: u64,
    /// The time of the last stale marker.
    pub stale_ms: Option<i64>,
    /// How many native histograms there are. Nothing else is known of them.
    pub histograms: u64,
}

impl RollupRow {
    /// The times of the first and of the last sample that the row knows of. A bucket with
    /// histograms counts as a whole, for their times are not known.
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        let floats = (self.count > 0).then_some((self.first_ms, self.last_ms));
        let marker = self.stale_ms.map(|ts_ms| (ts_ms, ts_ms));
        let histograms = (self.histograms > 0).then_some((self.end_ms, self.end_ms));

        let spans = [floats, marker, histograms].into_iter().flatten();
        spans.reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)))
    }

    /// Returns what no samples of a bucket can come to.
    pub fn fault(&self, resolution_ms: i64) -> Option<&'static str> {
        let holds = |ts_ms: i64| bucket_end(ts_ms, resolution_ms) == self.end_ms;
        let before_last_ms = self.before_last_ms.unwrap_or(self.first_ms);
        let has_floats = self.count > 0;

        let faults = [
            (
                self.end_ms % resolution_ms != 0,
                "a bucket does not end at a multiple of the resolution",
            ),
            (
                has_floats && !(holds(self.first_ms) && holds(self.last_ms)),
                "a time is outside of its bucket",
            ),
            (
                self.stale_ms.is_some_and(|ts_ms| !holds(ts_ms)),
                "a stale marker is outside of its bucket",
            ),
            (
                has_floats && !(self.first_ms <= before_last_ms && before_last_ms <= self.last_ms),
                "the times of a bucket do not ascend",
            ),
            (
                (self.count > 1) != self.before_last_ms.is_some(),
                "a bucket of several samples lacks a time, or one of one has too many",
            ),
            (
                self.min > self.max,
                "the smallest value of a bucket is above its largest",
            ),
            (
                self.resets.max(self.changes) >= self.count.max(1),
                "a bucket has more steps than samples",
            ),
            (
                !has_floats && self.histograms == 0 && self.stale_ms.is_none(),
                "a bucket is of nothing",
            ),
        ];

        let found = faults.into_iter().find(|(is_broken, _)| *is_broken);
        found.map(|(_, what)| what)
    }

    /// Where the row stands among the rows of its series.
    pub fn place(&self) -> (i64, i64) {
        let first_ms = self.span_ms().map_or(self.end_ms, |(first_ms, _)| first_ms);
        (self.end_ms, first_ms)
    }
}

/// What happens from one float to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub is_reset: bool,
    pub is_change: bool,
}

impl Step {
    #[inline]
    pub fn between(before: f64, value: f64) -> Self {
        Self {
            is_reset: value < before,
            is_change: value != before && !(value.is_nan() && before.is_nan()),
        }
    }
}

/// The end of the bucket that holds a time.
pub fn bucket_end(ts_ms: i64, resolution_ms: i64) -> i64 {
    let number = ts_ms.saturating_add(resolution_ms - 1);
    number
        .div_euclid(resolution_ms)
        .saturating_mul(resolution_ms)
}

/// Appends the rows of series `row` of a batch. `resolution_ms` is above 0.
pub fn roll(batch: &SeriesBatch, row: usize, resolution_ms: i64, rows: &mut Vec<RollupRow>) {
    let (ts, values) = batch.samples_at(row);
    let histograms = batch.histograms_at(row);

    if histograms.len() == 0 {
        roll_floats(ts, values, resolution_ms, rows);
        return;
    }

    let mut floats = Vec::new();
    roll_floats(ts, values, resolution_ms, &mut floats);

    let mut ends: Vec<i64> = histograms
        .map(|histogram| bucket_end(histogram.ts_ms, resolution_ms))
        .collect();
    ends.sort_unstable();

    let mut floats = floats.into_iter().peekable();

    for group in ends.chunk_by(|one, next| one == next) {
        let end_ms = group[0];

        while let Some(before) = floats.next_if(|row| row.end_ms < end_ms) {
            rows.push(before);
        }

        let same = floats.next_if(|row| row.end_ms == end_ms);

        rows.push(RollupRow {
            end_ms,
            histograms: group.len() as u64,
            ..same.unwrap_or_default()
        });
    }

    rows.extend(floats);
}

/// Appends the rows of floats. Their times ascend.
pub fn roll_floats(ts: &[i64], values: &[f64], resolution_ms: i64, rows: &mut Vec<RollupRow>) {
    let mut start = 0;

    while let Some(first_ms) = ts.get(start) {
        let end_ms = bucket_end(*first_ms, resolution_ms);
        let length = ts[start..].partition_point(|ts_ms| *ts_ms <= end_ms);
        let range = start..start + length.max(1);

        rows.push(bucket(end_ms, &ts[range.clone()], &values[range.clone()]));
        start = range.end;
    }
}

/// Returns the row of the floats of one bucket.
fn bucket(end_ms: i64, ts: &[i64], values: &[f64]) -> RollupRow {
    let mut row = RollupRow {
        end_ms,
        ..RollupRow::default()
    };

    let mut sum = Compensated::default();
    let mut corrections = Compensated::default();

    for (&ts_ms, &value) in ts.iter().zip(values) {
        if is_stale(value) {
            row.stale_ms = Some(ts_ms);
            continue;
        }

        sum.add(value);

        if row.count == 0 {
            row.first = value;
            row.first_ms = ts_ms;
            row.min = value;
            row.max = value;
        } else {
            let step = Step::between(row.last, value);
            row.changes += u64::from(step.is_change);

            if step.is_reset {
                row.resets += 1;
                corrections.add(row.last);
            }

            if value < row.min || row.min.is_nan() {
                row.min = value;
            }
            if value > row.max || row.max.is_nan() {
                row.max = value;
            }

            row.before_last_ms = Some(row.last_ms);
        }

        row.last = value;
        row.last_ms = ts_ms;
        row.count += 1;
    }

    row.sum = sum.total();
    row.corrections = corrections.total();
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_model::STALE_NAN;

    fn rows(ts: &[i64], values: &[f64]) -> Vec<RollupRow> {
        let mut rows = Vec::new();
        roll_floats(ts, values, 10, &mut rows);
        rows
    }

    #[test]
    fn a_bucket_is_open_at_its_start_and_closed_at_its_end() {
        let ends = |ts: &[i64]| -> Vec<i64> {
            let values = vec![0.0; ts.len()];
            rows(ts, &values).iter().map(|row| row.end_ms).collect()
        };

        assert_eq!(ends(&[0, 1, 10, 11, 20, 21]), [0, 10, 20, 30]);
        assert_eq!(ends(&[-20, -19, -10, -9]), [-20, -10, 0]);
        assert_eq!(bucket_end(i64::MAX, 10) % 10, 0);
    }

    #[test]
    fn a_row_tells_what_its_samples_do() {
        let all = rows(&[1, 3, 5, 7, 10], &[5.0, 7.0, 2.0, 2.0, 3.0]);

        let expected = RollupRow {
            end_ms: 10,
            count: 5,
            sum: 19.0,
            min: 2.0,
            max: 7.0,
            first: 5.0,
            last: 3.0,
            first_ms: 1,
            last_ms: 10,
            before_last_ms: Some(7),
            corrections: 7.0,
            resets: 1,
            changes: 3,
            stale_ms: None,
            histograms: 0,
        };

        assert_eq!(all, [expected]);
    }

    #[test]
    fn a_stale_marker_is_no_sample_and_a_nan_is_one() {
        let stale = STALE_NAN;
        let [row] = rows(&[1, 2, 3, 4], &[f64::NAN, 4.0, stale, 4.0])[..] else {
            panic!("one bucket")
        };

        assert_eq!(row.count, 3);
        assert_eq!(row.stale_ms, Some(3));
        assert_eq!((row.min, row.max), (4.0, 4.0));
        assert!(row.sum.is_nan());
        assert_eq!((row.changes, row.before_last_ms), (1, Some(2)));

        let [alone] = rows(&[5], &[stale])[..] else {
            panic!("one bucket")
        };
        assert_eq!((alone.count, alone.stale_ms), (0, Some(5)));
    }
}
