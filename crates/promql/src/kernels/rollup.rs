//! The functions that rollups answer, over the rows of one window.
//!
//! | function | from rollups |
//! |---|---|
//! | `count/sum/avg/min/max/first/last/present/absent_over_time`, `ts_of_first/last_over_time`, `rate`, `increase`, `delta`, `resets`, `changes` | what samples give, if each bucket is in the window or not, or has no float of it, or the last one alone |
//! | a selector, and `timestamp` of one | what samples give, if the step is the end of a bucket |
//! | all others | never |
//!
//! Sums are the same but for the order in which they were added, 1e-12 of them.

use duramen_model::Compensated;
use duramen_source::rollup::RowParts;
use duramen_source::rollup::row::{RollupRow, Step};

use crate::kernels::range::RangeFunction;
use crate::kernels::rate::{self, Nature, Sampled};
use crate::kernels::seconds;

/// A window `(start_ms, end_ms]` of rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RollupWindow {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) range_ms: i64,
    pub(crate) resolution_ms: i64,
    /// Whether a bucket counts by its end where its samples do not tell.
    pub(crate) is_approximate: bool,
}

/// What the rows of a window tell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rolled {
    Value(Option<f64>),
    /// The rows do not tell which samples are in the window, or do not have them.
    Unknown,
}

/// Which part of a row is in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Nothing,
    All,
    /// The last float alone.
    Last,
    Unknown,
}

impl RollupWindow {
    /// Returns the rows whose buckets meet the window. Those before it are gone already.
    pub(crate) fn rows<'r>(&self, rows: &'r [RollupRow]) -> &'r [RollupRow] {
        let bucket_start = |row: &RollupRow| row.end_ms.saturating_sub(self.resolution_ms);
        let behind = rows.iter().position(|row| bucket_start(row) >= self.end_ms);

        &rows[..behind.unwrap_or(rows.len())]
    }

    fn inside(&self, row: &RollupRow) -> Inside {
        let is_whole = row.end_ms <= self.end_ms
            && row.end_ms.saturating_sub(self.resolution_ms) >= self.start_ms;

        if row.histograms > 0 {
            return Inside::Unknown;
        }
        if row.count == 0 {
            return Inside::Nothing;
        }
        if is_whole || row.first_ms > self.start_ms && row.last_ms <= self.end_ms {
            return Inside::All;
        }
        if row.last_ms <= self.start_ms || row.first_ms > self.end_ms {
            return Inside::Nothing;
        }

        let is_last = row
            .before_last_ms
            .is_some_and(|before_ms| before_ms <= self.start_ms);

        match (is_last && row.last_ms <= self.end_ms, self.is_approximate) {
            (true, _) => Inside::Last,
            (false, false) => Inside::Unknown,
            (false, true) if row.end_ms <= self.end_ms => Inside::All,
            (false, true) => Inside::Nothing,
        }
    }
}

/// What is known of the floats of a window.
#[derive(Debug, Default)]
struct Summary {
    count: u64,
    sum: Compensated,
    min: f64,
    max: f64,
    first: f64,
    last: f64,
    first_ms: i64,
    last_ms: i64,
    corrections: Compensated,
    resets: u64,
    changes: u64,
}

impl Summary {
    fn add(&mut self, row: &RollupRow) {
        if self.count == 0 {
            self.first = row.first;
            self.first_ms = row.first_ms;
            self.min = row.min;
            self.max = row.max;
        } else {
            let step = Step::between(self.last, row.first);
            self.changes += u64::from(step.is_change);

            if step.is_reset {
                self.resets += 1;
                self.corrections.add(self.last);
            }

            if row.min < self.min || self.min.is_nan() {
                self.min = row.min;
            }
            if row.max > self.max || self.max.is_nan() {
                self.max = row.max;
            }
        }

        self.count += row.count;
        self.sum.add(row.sum);
        self.corrections.add(row.corrections);
        self.resets += row.resets;
        self.changes += row.changes;
        self.last = row.last;
        self.last_ms = row.last_ms;
    }

    fn growth(&self, window: &RollupWindow, nature: Nature) -> Option<f64> {
        let growth = match nature {
            Nature::Counter => self.last - self.first + self.corrections.total(),
            Nature::Gauge => self.last - self.first,
        };
        let sampled = Sampled {
            first_ms: self.first_ms,
            last_ms: self.last_ms,
            gaps: usize::try_from(self.count - 1).unwrap_or(usize::MAX),
        };

        let window = (window.start_ms, window.end_ms);
        rate::factor_of(sampled, window, self.first, growth, nature).map(|factor| growth * factor)
    }
}

/// Whether rollups can answer the function.
pub(crate) fn answers(function: RangeFunction) -> bool {
    matches!(
        function,
        RangeFunction::Avg
            | RangeFunction::Changes
            | RangeFunction::Count
            | RangeFunction::Delta
            | RangeFunction::First
            | RangeFunction::Increase
            | RangeFunction::Last
            | RangeFunction::Max
            | RangeFunction::Min
            | RangeFunction::Present
            | RangeFunction::Rate
            | RangeFunction::Resets
            | RangeFunction::Sum
            | RangeFunction::TimeOfFirst
            | RangeFunction::TimeOfLast
    )
}

/// The parts of rows that a function uses.
pub(crate) const fn parts(function: RangeFunction) -> RowParts {
    let none = RowParts::NONE;

    match function {
        RangeFunction::Avg | RangeFunction::Sum => RowParts {
            // The last value of a bucket may be in the window alone.
            ends: true,
            sum: true,
            ..none
        },
        RangeFunction::Min | RangeFunction::Max => RowParts {
            ends: true,
            extremes: true,
            ..none
        },
        RangeFunction::Increase | RangeFunction::Rate => RowParts {
            ends: true,
            corrections: true,
            ..none
        },
        RangeFunction::Changes | RangeFunction::Resets => RowParts {
            ends: true,
            steps: true,
            ..none
        },
        _ => RowParts { ends: true, ..none },
    }
}

/// Returns the value of a function over the window. `rows` are those that meet it.
pub(crate) fn over_window(
    function: RangeFunction,
    rows: &[RollupRow],
    window: &RollupWindow,
) -> Rolled {
    let mut all = Summary::default();

    for row in rows {
        match window.inside(row) {
            Inside::Nothing => {}
            Inside::All => all.add(row),
            Inside::Last => all.add(&last_alone(row)),
            Inside::Unknown => return Rolled::Unknown,
        }
    }

    if all.count == 0 {
        return Rolled::Value(None);
    }

    let count = all.count as f64;

    Rolled::Value(match function {
        RangeFunction::Avg => Some(all.sum.total() / count),
        RangeFunction::Changes => Some(all.changes as f64),
        RangeFunction::Count => Some(count),
        RangeFunction::Delta => all.growth(window, Nature::Gauge),
        RangeFunction::First => Some(all.first),
        RangeFunction::Increase => all.growth(window, Nature::Counter),
        RangeFunction::Last => Some(all.last),
        RangeFunction::Max => Some(all.max),
        RangeFunction::Min => Some(all.min),
        RangeFunction::Present => Some(1.0),
        RangeFunction::Rate => {
            let growth = all.growth(window, Nature::Counter);
            growth.map(|growth| growth / seconds(window.range_ms))
        }
        RangeFunction::Resets => Some(all.resets as f64),
        RangeFunction::Sum => Some(all.sum.total()),
        RangeFunction::TimeOfFirst => Some(seconds(all.first_ms)),
        RangeFunction::TimeOfLast => Some(seconds(all.last_ms)),
        _ => return Rolled::Unknown,
    })
}

/// The row of the last float of a row.
fn last_alone(row: &RollupRow) -> RollupRow {
    RollupRow {
        end_ms: row.end_ms,
        count: 1,
        sum: row.last,
        min: row.last,
        max: row.last,
        first: row.last,
        last: row.last,
        first_ms: row.last_ms,
        last_ms: row.last_ms,
        ..RollupRow::default()
    }
}

/// Returns the newest sample of the window with its time. There is none if a stale marker is newer.
/// `rows` are those that meet the window, whose end is the end of a bucket or is approximate.
pub(crate) fn newest(rows: &[RollupRow], window: &RollupWindow) -> Result<Option<(i64, f64)>, ()> {
    for row in rows.iter().rev() {
        if row.histograms > 0 {
            return Err(());
        }
        if row.end_ms > window.end_ms {
            match window.is_approximate {
                true => continue,
                false => return Err(()),
            }
        }

        let stale_ms = row.stale_ms.unwrap_or(i64::MIN);

        match row.count > 0 && row.last_ms > stale_ms {
            true => return Ok((row.last_ms > window.start_ms).then_some((row.last_ms, row.last))),
            false if row.stale_ms.is_some() => return Ok(None),
            false => {}
        }
    }

    Ok(None)
}

#[cfg(test)]
mod tests {
    use duramen_model::STALE_NAN;
    use duramen_source::rollup::row::roll_floats;
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::Window;

    const ALL: [RangeFunction; 15] = [
        RangeFunction::Avg,
        RangeFunction::Changes,
        RangeFunction::Count,
        RangeFunction::Delta,
        RangeFunction::First,
        RangeFunction::Increase,
        RangeFunction::Last,
        RangeFunction::Max,
        RangeFunction::Min,
        RangeFunction::Present,
        RangeFunction::Rate,
        RangeFunction::Resets,
        RangeFunction::Sum,
        RangeFunction::TimeOfFirst,
        RangeFunction::TimeOfLast,
    ];

    /// Samples with jitter, gaps, resets and stale markers; values that are floats now and then.
    fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
        let value = prop_oneof![
            6 => (0i64..1_000).prop_map(|n| n as f64),
            2 => (0i64..1_000).prop_map(|n| n as f64 / 64.0),
            1 => any::<f64>().prop_map(|value| value % 1e6).prop_filter("a number", |v| !v.is_nan()),
            1 => Just(STALE_NAN),
            1 => Just(f64::NAN),
        ];
        let gap = prop_oneof![8 => 13i64..17, 1 => 1i64..400];

        prop::collection::vec((gap, value), 0..200).prop_map(|all| {
            let mut at = -300;
            all.into_iter()
                .map(|(gap, value)| {
                    at += gap;
                    (at, value)
                })
                .collect()
        })
    }

    /// The rows that are not before a window.
    fn from<'r>(rows: &'r [RollupRow], window: &RollupWindow) -> &'r [RollupRow] {
        let start = rows.partition_point(|row| row.end_ms <= window.start_ms);
        &rows[start..]
    }

    /// What the samples themselves come to in a window.
    fn of_samples(
        function: RangeFunction,
        samples: &[(i64, f64)],
        window: &RollupWindow,
    ) -> Option<f64> {
        let inside: Vec<_> = samples
            .iter()
            .filter(|(ts, value)| {
                *ts > window.start_ms
                    && *ts <= window.end_ms
                    && value.to_bits() != STALE_NAN.to_bits()
            })
            .collect();

        let ts: Vec<i64> = inside.iter().map(|(ts, _)| *ts).collect();
        let values: Vec<f64> = inside.iter().map(|(_, value)| *value).collect();

        let of = Window {
            ts: &ts,
            values: &values,
            start_ms: window.start_ms,
            end_ms: window.end_ms,
            range_ms: window.range_ms,
            falls: true,
            time_ms: window.end_ms,
        };
        function.evaluate(&of, [0.0; 2])
    }

    fn is_near(rolled: Option<f64>, raw: Option<f64>, scale: f64) -> bool {
        match (rolled, raw) {
            (None, None) => true,
            (Some(a), Some(b)) if a.is_nan() || b.is_nan() => a.is_nan() == b.is_nan(),
            (Some(a), Some(b)) => a == b || (a - b).abs() <= 1e-12 * scale.max(b.abs()),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// A window of whole buckets is never unknown, and a cut one is right if it is known.
        #[test]
        fn rollups_tell_what_samples_tell(
            samples in samples(),
            buckets in 1i64..5,
            end in -2i64..40,
            edge in prop_oneof![2 => Just(0i64), 1 => 1i64..60],
            split in 0usize..200,
        ) {
            const R: i64 = 60;
            let mut rows = Vec::new();
            let (ts, values): (Vec<_>, Vec<_>) = samples.iter().copied().unzip();

            // A bucket may have its samples in two rows.
            let split = split.min(ts.len());
            roll_floats(&ts[..split], &values[..split], R, &mut rows);
            roll_floats(&ts[split..], &values[split..], R, &mut rows);

            let end_ms = end * R;
            let range_ms = buckets * R + edge;
            let window = RollupWindow {
                start_ms: end_ms - range_ms,
                end_ms,
                range_ms,
                resolution_ms: R,
                is_approximate: false,
            };

            let scale = values.iter().filter(|v| v.is_finite()).fold(1.0, |all: f64, v| all.max(v.abs()))
                * values.len() as f64;

            for function in ALL {
                let raw = of_samples(function, &samples, &window);

                match over_window(function, window.rows(from(&rows, &window)), &window) {
                    Rolled::Value(value) => prop_assert!(
                        is_near(value, raw, scale),
                        "{:?}: {:?} in place of {:?}", function, value, raw
                    ),
                    Rolled::Unknown => prop_assert!(edge > 0, "{function:?}"),
                }
            }

            // The newest sample.
            let before: Vec<_> = samples.iter().filter(|(ts, _)| *ts <= end_ms).collect();
            let expected = before.last().filter(|(ts, value)| {
                *ts > window.start_ms && value.to_bits() != STALE_NAN.to_bits()
            });
            let found = newest(window.rows(from(&rows, &window)), &window).unwrap();
            prop_assert_eq!(
                found.map(|(ts, value)| (ts, value.to_bits())),
                expected.map(|(ts, value)| (*ts, value.to_bits()))
            );
        }
    }

    #[test]
    fn an_edge_with_one_sample_is_known() {
        // Scrapes each 15 s, and a range of one bucket and 15 s.
        let ts: Vec<i64> = (0..60).map(|at| at * 15 + 7).collect();
        let values: Vec<f64> = (0..60).map(f64::from).collect();
        let mut rows = Vec::new();
        roll_floats(&ts, &values, 300, &mut rows);

        let window = RollupWindow {
            start_ms: 600 - 315,
            end_ms: 600,
            range_ms: 315,
            resolution_ms: 300,
            is_approximate: false,
        };
        let rolled = over_window(
            RangeFunction::Count,
            window.rows(from(&rows, &window)),
            &window,
        );
        assert_eq!(rolled, Rolled::Value(Some(21.0)));

        let wide = RollupWindow {
            start_ms: 600 - 340,
            range_ms: 340,
            ..window
        };
        let rolled = over_window(RangeFunction::Count, wide.rows(from(&rows, &wide)), &wide);
        assert_eq!(rolled, Rolled::Unknown);
    }
}
