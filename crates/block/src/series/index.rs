//! The series index of a block in memory: encoded labels in the order of the block, and which
//! series carry which value.

pub(crate) mod builder;
mod names;
pub(crate) mod traces;

use std::ops::Range;

use arrow::array::BinaryArray;
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use duramen_model::{MatchOp, Matcher};
use duramen_runtime::Pace;
use roaring::RoaringBitmap;

use crate::layout::rows::{SeriesRows, Wanted};
use crate::series::index::traces::Traces;
use crate::series::set::Set;

/// What a series costs beside its labels: its numbers and the end offset of its labels.
pub(crate) const ROW_BYTES: usize =
    size_of::<Numbers>() + size_of::<u32>() + traces::BYTES_OF_A_SERIES;

/// The index of all series of a block. A selection from it decodes nothing.
pub(crate) struct SeriesIndex {
    /// The encoded labels of all series, one after the other. Those of series `i` end at `ends[i]`.
    labels: Vec<u8>,
    ends: Vec<u32>,
    numbers: Vec<Numbers>,
    /// Histograms and exemplars of the series, up to the last series that has any.
    others: Vec<Others>,
    /// Sorted by label name.
    by_name: Vec<LabelIndex>,
    /// When each series is present, as far as this is known.
    pub(crate) traces: Traces,
    bytes: usize,
}

struct Numbers {
    first_row: u64,
    rows: u64,
    min_ts_ms: i64,
    max_ts_ms: i64,
}

/// The rows that most series do not have.
#[derive(Clone, Default)]
struct Others {
    histograms: Range<u64>,
    exemplars: Range<u64>,
}

/// The values of one label name.
struct LabelIndex {
    name: String,
    /// The distinct values, in byte order.
    values: Vec<Value>,
    /// The series of the first value, then those of the second, and so on. Ascending for each
    /// value.
    series: Vec<u32>,
}

struct Value {
    /// Where the text is in [`SeriesIndex::labels`]: at one of the series that carry the value.
    start: u32,
    length: u32,
    /// The end (exclusive) of its series in [`LabelIndex::series`].
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
    /// How many bytes of memory the index holds.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the series that pass all matchers. The task can be cancelled between two values.
    pub(crate) async fn passing(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let mut pace = Pace::default();
        let mut pass = Set::full(self.numbers.len());

        for matcher in matchers {
            self.apply(matcher, &mut pass, &mut pace).await;
        }

        pass.iter().collect()
    }

    /// Returns those of `series` that have what is `wanted`, ascending.
    pub(crate) fn with(&self, series: &RoaringBitmap, wanted: Wanted) -> Vec<u32> {
        series
            .iter()
            .filter(|series| self.rows(*series).have(wanted))
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

    /// Returns a copy of the labels of `series`. With a copy, a batch is accounted by its own size,
    /// and it does not keep a dropped index in memory.
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

    /// Returns the encoded labels of a series.
    pub(crate) fn labels_at(&self, series: u32) -> &[u8] {
        let series = series as usize;
        let start = if series == 0 {
            0
        } else {
            self.ends[series - 1]
        };

        &self.labels[start as usize..self.ends[series] as usize]
    }

    /// Removes from `pass` the series that the matcher rejects. It looks only at the values for
    /// which the matcher decides differently than for an absent label.
    async fn apply(&self, matcher: &Matcher, pass: &mut Set, pace: &mut Pace) {
        let empty = matcher.matches_empty();
        let mut differing = Set::none(self.numbers.len());

        if let Ok(at) = self
            .by_name
            .binary_search_by(|label| label.name.as_str().cmp(&matcher.name))
        {
            let label = &self.by_name[at];

            for value in self.candidates(label, matcher).into_iter().flatten() {
                let text = self.text(&label.values[value]);
                if matcher.matches(text) != empty {
                    differing.insert(label.series(value));
                }

                pace.done(text.len().max(16)).await;
            }
        }

        if empty {
            pass.remove(&differing)
        } else {
            pass.retain(&differing)
        }
    }

    /// Returns runs of values. For every other value, the matcher decides as for an absent label.
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
