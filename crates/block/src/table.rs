//! The series table of a block in memory: encoded labels in the order of the block, and which
//! series carry which value.

mod names;

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::BinaryArray;
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use duramen_model::labels::LabelsIter;
use duramen_model::{MatchOp, Matcher};
use duramen_runtime::Pace;

use crate::lookup::Row;
use crate::rows::{SeriesRows, Wanted};

/// What a series costs beside its labels: numbers and the end of its labels.
pub(crate) const ROW_BYTES: usize = size_of::<Numbers>() + size_of::<u32>();

/// The whole table. Selecting from it decodes nothing.
pub(crate) struct Table {
    /// Encoded labels, one series after the other; series `i` ends at `ends[i]`.
    labels: Vec<u8>,
    ends: Vec<u32>,
    numbers: Vec<Numbers>,
    /// Histograms and exemplars of the series up to the last that has any.
    others: Vec<Others>,
    /// By name.
    index: Vec<LabelIndex>,
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
    /// Where the text stands in [`Table::labels`], for one of the series that carry it.
    start: u32,
    length: u32,
    /// Behind its last series in [`LabelIndex::series`].
    series_end: u32,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table")
            .field("series", &self.ends.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Table {
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
    /// keep the table from being dropped.
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
            ends.push(i32::try_from(values.len()).expect("a table has fewer than 2^31 bytes"));
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
            .index
            .binary_search_by(|label| label.name.as_str().cmp(&matcher.name))
        {
            let label = &self.index[at];

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

/// Collects the rows of a table in their order.
pub(crate) struct TableBuilder {
    labels: Vec<u8>,
    ends: Vec<u32>,
    numbers: Vec<Numbers>,
    others: Vec<Others>,
    bytes_max: usize,
}

impl TableBuilder {
    /// `bytes_max`, at most 2^31 - 1, bounds the finished table and what is collected.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let bytes_max = bytes_max.min(i32::MAX.unsigned_abs() as usize);
        Self {
            labels: Vec::new(),
            ends: Vec::new(),
            numbers: Vec::new(),
            others: Vec::new(),
            bytes_max,
        }
    }

    /// Appends a series. `None` when the table grows too large.
    pub(crate) fn push(&mut self, row: &Row<'_>) -> Option<()> {
        let SeriesRows {
            samples,
            histograms,
            exemplars,
            min_ts_ms,
            max_ts_ms,
        } = row.rows.clone();

        if !histograms.is_empty() || !exemplars.is_empty() {
            self.others.resize(self.ends.len(), Others::default());
            self.others.push(Others {
                histograms,
                exemplars,
            });
        }

        let rows_bytes =
            (self.ends.len() + 1) * ROW_BYTES + self.others.len() * size_of::<Others>();
        let bytes = self.labels.len() + row.labels.len() + rows_bytes;

        if bytes > self.bytes_max {
            return None;
        }

        self.labels.extend_from_slice(row.labels);
        self.ends.push(u32::try_from(self.labels.len()).ok()?);

        let first_row = samples.start;
        let rows = samples.end - samples.start;

        self.numbers.push(Numbers {
            first_row,
            rows,
            min_ts_ms,
            max_ts_ms,
        });

        Some(())
    }

    /// The table with its index. `None` when it is too large with that.
    pub(crate) fn finish(mut self) -> Option<Table> {
        self.labels.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.numbers.shrink_to_fit();
        self.others.shrink_to_fit();

        let rows_bytes = self.ends.len() * ROW_BYTES + self.others.len() * size_of::<Others>();
        let mut bytes = self.labels.len() + rows_bytes;
        let mut index = Vec::new();

        for (name, carried) in carried(&self.labels, &self.ends)? {
            bytes += carried.bytes() + size_of::<LabelIndex>() + name.len();
            if bytes > self.bytes_max {
                return None;
            }

            index.push(carried.index(name));
        }

        index.sort_unstable_by(|a, b| a.name.cmp(&b.name));

        let Self {
            labels,
            ends,
            numbers,
            others,
            ..
        } = self;

        Some(Table {
            labels,
            ends,
            numbers,
            others,
            index,
            bytes,
        })
    }
}

/// One label name while its index is made.
#[derive(Default)]
struct Carried<'a> {
    /// Each distinct value: its number, counted from 0 as they come.
    numbers: HashMap<&'a str, u32>,
    /// Where each stands in the labels, and how many series carry it.
    values: Vec<(&'a str, u32, u32)>,
    /// Number of the value, and series.
    pairs: Vec<(u32, u32)>,
}

/// All labels of the table by name. `None` when there are more than fit.
fn carried<'a>(labels: &'a [u8], ends: &[u32]) -> Option<HashMap<&'a str, Carried<'a>>> {
    let mut all: HashMap<&str, Carried<'_>> = HashMap::new();
    let mut start = 0;

    for (series, end) in ends.iter().enumerate() {
        let series = u32::try_from(series).ok()?;

        for (name, value) in LabelsIter::over(&labels[start..*end as usize]) {
            let carried = all.entry(name).or_default();
            let last = carried.pairs.last().map(|(number, _)| *number);

            // Neighbours are alike in most of their labels.
            let same = last.filter(|number| carried.values[*number as usize].0 == value);
            let number = same.unwrap_or_else(|| carried.number(value, labels));
            carried.values[number as usize].2 += 1;
            carried.pairs.push((number, series));
        }

        start = *end as usize;
    }

    Some(all)
}

impl<'a> Carried<'a> {
    /// The number of `value`, which stands in `labels`.
    fn number(&mut self, value: &'a str, labels: &[u8]) -> u32 {
        *self.numbers.entry(value).or_insert_with(|| {
            let start = value.as_ptr().addr() - labels.as_ptr().addr();
            self.values.push((
                value,
                u32::try_from(start).expect("a table has fewer than 2^31 bytes"),
                0,
            ));

            u32::try_from(self.values.len() - 1).expect("a table has fewer than 2^31 values")
        })
    }

    /// What the index will hold.
    const fn bytes(&self) -> usize {
        self.values.len() * size_of::<Value>() + self.pairs.len() * size_of::<u32>()
    }

    /// Sorts the values, and the series by their values.
    fn index(&self, name: &str) -> LabelIndex {
        let mut order: Vec<usize> = (0..self.values.len()).collect();
        order.sort_unstable_by_key(|number| self.values[*number].0);

        let mut next = vec![0u32; order.len()];
        let mut values = Vec::with_capacity(order.len());
        let mut end = 0;

        for number in order {
            let (text, start, carriers) = self.values[number];
            next[number] = end;
            end += carriers;

            let length = u32::try_from(text.len()).expect("a table has fewer than 2^31 bytes");
            values.push(Value {
                start,
                length,
                series_end: end,
            });
        }

        let mut series = vec![0u32; self.pairs.len()];
        for (number, of) in &self.pairs {
            let place = &mut next[*number as usize];
            series[*place as usize] = *of;
            *place += 1;
        }

        LabelIndex {
            name: name.to_owned(),
            values,
            series,
        }
    }
}

/// Series as bits.
struct Set {
    words: Vec<u64>,
}

impl Set {
    fn none(length: usize) -> Self {
        Self {
            words: vec![0; length.div_ceil(64)],
        }
    }

    fn full(length: usize) -> Self {
        let mut words = vec![u64::MAX; length.div_ceil(64)];
        if let (Some(last), rest @ 1..) = (words.last_mut(), length % 64) {
            *last = (1 << rest) - 1;
        }

        Self { words }
    }

    fn insert(&mut self, series: &[u32]) {
        for series in series {
            self.words[*series as usize / 64] |= 1 << (series % 64);
        }
    }

    fn retain(&mut self, others: &Self) {
        self.words
            .iter_mut()
            .zip(&others.words)
            .for_each(|(word, other)| *word &= other);
    }

    fn remove(&mut self, others: &Self) {
        self.words
            .iter_mut()
            .zip(&others.words)
            .for_each(|(word, other)| *word &= !other);
    }

    /// Ascending.
    fn iter(&self) -> impl Iterator<Item = u32> {
        (0u32..).zip(&self.words).flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(at * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use duramen_model::Labels;

    use super::*;

    const fn rows() -> SeriesRows {
        SeriesRows {
            samples: 0..1,
            histograms: 0..0,
            exemplars: 0..0,
            min_ts_ms: 0,
            max_ts_ms: 0,
        }
    }

    /// The table of `count` series, if it fits.
    fn table(count: u32, bytes_max: usize) -> Option<Table> {
        let mut builder = TableBuilder::new(bytes_max);
        for i in 0..count {
            let labels = Labels::from_pairs([("__name__", "up"), ("i", &format!("{i:04}"))])?;
            builder.push(&Row {
                labels: labels.encoded(),
                rows: rows(),
            })?;
        }

        builder.finish()
    }

    #[test]
    fn a_table_is_not_made_larger_than_it_may_be() {
        let bytes = table(1000, usize::MAX).unwrap().bytes();
        let labels = 1000 * (1 + 8 + 1 + 2 + 1 + 1 + 1 + 4);
        let index =
            1001 * size_of::<Value>() + 2000 * size_of::<u32>() + 2 * size_of::<LabelIndex>() + 9;

        assert_eq!(bytes, labels + 1000 * ROW_BYTES + index);
        assert!(table(1000, bytes).is_some());
        assert!(table(1000, bytes - 1).is_none());

        assert!(
            TableBuilder::new(ROW_BYTES)
                .push(&Row {
                    labels: &[1],
                    rows: rows()
                })
                .is_none()
        );
    }
}
