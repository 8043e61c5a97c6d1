//! The series index of a block in memory: encoded labels in the order of the block, and which
//! series carry which value.

pub(crate) mod builder;
mod names;

use std::ops::Range;

use arrow::array::BinaryArray;
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use duramen_model::{MatchOp, Matcher};
use duramen_runtime::Pace;

use crate::layout::rows::{SeriesRows, Wanted};
use crate::series::set::Set;

/// What a series costs beside its labels: numbers and the end of its labels.
pub(crate) const ROW_BYTES: usize = size_of::<Numbers>() + size_of::<u32>();

/// The whole index. Selecting from it decodes nothing.
pub(crate) struct SeriesIndex {
    /// Encoded labels, one series after the other; series `i` ends at `ends[i]`.
    labels: Vec<u8>,
    ends: Vec<u32>,
    numbers: Vec<Numbers>,
    /// Histograms and exemplars of the series up to the last that has any.
    others: Vec<Others>,
    /// By name.
    by_name: Vec<LabelIndex>,
    bytes: usize,
}

struct Numbers {
    first_row: u64,
    rows: u64,
    min_ts_ms: i64,
    max_ts_ms: i64,
}

/// Where the rows of a series stand that most series do not have.
#[derive(Clone, Default)]
struct Others {
    histograms: Range<u64>,
    exemplars: Range<u64>,
}

/// The values of one label name.
struct LabelIndex {
    name: String,
    /// Ascending by their bytes, each once.
    values: Vec<Value>,
    /// The series of all values, ascending within a value.
    series: Vec<u32>,
}

struct Value {
    /// Where the text stands in [`SeriesIndex::labels`], for one of the series that carry it.
    start: u32,
    length: u32,
    /// Behind its last series in [`LabelIndex::series`].
    series_end: u32,
}

impl std::fmt::Debug for SeriesIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesIndex")
            .field("series", &self.ends.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl SeriesIndex {
    /// What it holds in memory.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The series that pass all matchers and are wanted, ascending. Matching can be ended between
    /// two values.
    pub(crate) async fn select(&self, matchers: &[Matcher], wanted: Wanted) -> Vec<u32> {
        let mut pace = Pace::default();
        let mut pass = Set::full(self.numbers.len());

        for matcher in matchers {
            self.apply(matcher, &mut pass, &mut pace).await;
        }

        pass.iter()
            .filter(|series| self.rows(*series).are(wanted))
            .collect()
    }

    pub(crate) fn rows(&self, series: u32) -> SeriesRows {
        let Numbers {
            first_row,
            rows,
            min_ts_ms,
            max_ts_ms,
        } = self.numbers[series as usize];

        let Others {
            histograms,
            exemplars,
        } = self
            .others
            .get(series as usize)
            .cloned()
            .unwrap_or_default();

        SeriesRows {
            samples: first_row..first_row.saturating_add(rows),
            histograms,
            exemplars,
            min_ts_ms,
            max_ts_ms,
        }
    }

    /// The labels of `series`: a copy, so that a batch is accounted by what it holds and does not
    /// keep the index from being dropped.
    pub(crate) fn labels(&self, series: &[u32]) -> BinaryArray {
        let bytes = series
            .iter()
            .map(|series| self.labels_at(*series).len())
            .sum();

        let mut values = Vec::with_capacity(bytes);
        let mut ends = Vec::with_capacity(series.len() + 1);
        ends.push(0);

        for series in series {
            values.extend_from_slice(self.labels_at(*series));
            ends.push(i32::try_from(values.len()).expect("an index has fewer than 2^31 bytes"));
        }

        BinaryArray::new(
            OffsetBuffer::new(ScalarBuffer::from(ends)),
            Buffer::from_vec(values),
            None,
        )
    }

    /// The encoded labels of a series.
    pub(crate) fn labels_at(&self, series: u32) -> &[u8] {
        let series = series as usize;
        let start = if series == 0 {
            0
        } else {
            self.ends[series - 1]
        };

        &self.labels[start as usize..self.ends[series] as usize]
    }

    /// Takes out of `pass` what the matcher refuses. Only series with a value that it judges
    /// otherwise than the absent label are touched.
    async fn apply(&self, matcher: &Matcher, pass: &mut Set, pace: &mut Pace) {
        let empty = matcher.matches_empty();
        let mut others = Set::none(self.numbers.len());

        if let Ok(at) = self
            .by_name
            .binary_search_by(|label| label.name.as_str().cmp(&matcher.name))
        {
            let label = &self.by_name[at];

            for value in self.candidates(label, matcher).into_iter().flatten() {
                let text = self.text(&label.values[value]);
                if matcher.matches(text) != empty {
                    others.insert(label.series(value));
                }

                pace.done(text.len().max(16)).await;
            }
        }

        if empty {
            pass.remove(&others)
        } else {
            pass.retain(&others)
        }
    }

    /// The values that the matcher may judge otherwise than the absent label, as runs.
    fn candidates(&self, label: &LabelIndex, matcher: &Matcher) -> Vec<Range<usize>> {
        let find = |wanted: &str| {
            label
                .values
                .binary_search_by(|value| self.text(value).cmp(wanted))
                .ok()
        };

        let one = |wanted: &str| find(wanted).map(|at| at..at + 1);
        let all = 0..label.values.len();

        match &matcher.op {
            MatchOp::Equal(value) | MatchOp::NotEqual(value) if !value.is_empty() => {
                one(value).into_iter().collect()
            }
            MatchOp::Regex(pattern) | MatchOp::NotRegex(pattern) if !pattern.matches_empty() => {
                match (pattern.literals(), pattern.literal_prefix()) {
                    (Some(literals), _) => literals.iter().filter_map(|value| one(value)).collect(),
                    (None, Some(prefix)) => {
                        let start = label
                            .values
                            .partition_point(|value| self.text(value) < prefix);
                        let with = |value: &Value| self.text(value).starts_with(prefix);
                        let length = label.values[start..].partition_point(with);

                        std::iter::once(start..start + length).collect()
                    }
                    (None, None) => std::iter::once(all).collect(),
                }
            }
            _ => std::iter::once(all).collect(),
        }
    }

    fn text(&self, value: &Value) -> &str {
        let start = value.start as usize;
        std::str::from_utf8(&self.labels[start..start + value.length as usize])
            .expect("a value was a text")
    }
}

impl LabelIndex {
    fn series(&self, value: usize) -> &[u32] {
        let start = if value == 0 {
            0
        } else {
            self.values[value - 1].series_end
        };

        &self.series[start as usize..self.values[value].series_end as usize]
    }
}
