//! Builds the index of a block from the rows of its series file.

use std::collections::HashMap;

use duramen_model::labels::LabelsIter;

use crate::layout::rows::SeriesRows;
use crate::series::found::Row;
use crate::series::index::traces::Traces;
use crate::series::index::{LabelIndex, Numbers, Others, ROW_BYTES, SeriesIndex, Value};

/// An index has at most so many label names. Each takes some 300 bytes while the index is built,
/// which would be ten times the finished index if each series had names of its own.
const NAMES_MAX: usize = 1 << 16;

/// Collects the rows of an index, in the order of the block.
pub(crate) struct SeriesIndexBuilder {
    labels: Vec<u8>,
    ends: Vec<u32>,
    numbers: Vec<Numbers>,
    others: Vec<Others>,
    bytes_max: usize,
}

impl SeriesIndexBuilder {
    /// `bytes_max` bounds the finished index and the collected rows. It is cut to 2^31 - 1.
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

    /// Appends a series. Returns `None` if the index becomes too large.
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

    /// Returns the memory of the rows so far.
    pub(crate) const fn bytes(&self) -> usize {
        self.labels.capacity()
            + self.ends.capacity() * size_of::<u32>()
            + self.numbers.capacity() * size_of::<Numbers>()
            + self.others.capacity() * size_of::<Others>()
    }

    /// Adds the values by label name and returns the index. Returns `None` if it is too large then.
    pub(crate) fn finish(mut self) -> Option<SeriesIndex> {
        self.labels.shrink_to_fit();
        self.ends.shrink_to_fit();
        self.numbers.shrink_to_fit();
        self.others.shrink_to_fit();

        let rows_bytes = self.ends.len() * ROW_BYTES + self.others.len() * size_of::<Others>();
        let mut bytes = self.labels.len() + rows_bytes;
        let mut by_name = Vec::new();

        for (name, carried) in carried(&self.labels, &self.ends)? {
            bytes += carried.bytes() + size_of::<LabelIndex>() + name.len();
            if bytes > self.bytes_max {
                return None;
            }

            by_name.push(carried.index(name));
        }

        by_name.sort_unstable_by(|a, b| a.name.cmp(&b.name));

        let Self {
            labels,
            ends,
            numbers,
            others,
            ..
        } = self;

        let traces = Traces::of(numbers.len());

        Some(SeriesIndex {
            labels,
            ends,
            numbers,
            others,
            by_name,
            traces,
            bytes,
        })
    }
}

/// One label name, while the index is built.
#[derive(Default)]
struct Carried<'a> {
    /// The number of each distinct value, in the order of first appearance, from 0.
    numbers: HashMap<&'a str, u32>,
    /// By number: the value, its offset in the labels, and how many series carry it.
    values: Vec<(&'a str, u32, u32)>,
    /// Pairs of value number and series.
    pairs: Vec<(u32, u32)>,
}

/// Collects all labels of the index by name. Returns `None` if there are more than 2^32 series or
/// [`NAMES_MAX`] names.
fn carried<'a>(labels: &'a [u8], ends: &[u32]) -> Option<HashMap<&'a str, Carried<'a>>> {
    let mut all: HashMap<&str, Carried<'_>> = HashMap::new();
    let mut start = 0;

    for (series, end) in ends.iter().enumerate() {
        let series = u32::try_from(series).ok()?;

        for (name, value) in LabelsIter::over(&labels[start..*end as usize]) {
            let carried = all.entry(name).or_default();
            let last = carried.pairs.last().map(|(number, _)| *number);

            // Neighbouring series share most of their values, so the last value is tried first.
            let same = last.filter(|number| carried.values[*number as usize].0 == value);
            let number = same.unwrap_or_else(|| carried.number(value, labels));
            carried.values[number as usize].2 += 1;
            carried.pairs.push((number, series));
        }

        if all.len() > NAMES_MAX {
            return None;
        }

        start = *end as usize;
    }

    Some(all)
}

impl<'a> Carried<'a> {
    /// Returns the number of `value`, which must be a slice of `labels`.
    fn number(&mut self, value: &'a str, labels: &[u8]) -> u32 {
        *self.numbers.entry(value).or_insert_with(|| {
            let start = value.as_ptr().addr() - labels.as_ptr().addr();
            self.values.push((
                value,
                u32::try_from(start).expect("an index has fewer than 2^31 bytes"),
                0,
            ));

            u32::try_from(self.values.len() - 1).expect("an index has fewer than 2^31 values")
        })
    }

    /// The memory that the finished [`LabelIndex`] will take.
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

            let length = u32::try_from(text.len()).expect("an index has fewer than 2^31 bytes");
            values.push(Value {
                start,
                length,
                series_end: end,
            });
        }

        let mut series = vec![0u32; self.pairs.len()];
        for (number, carrier) in &self.pairs {
            let place = &mut next[*number as usize];
            series[*place as usize] = *carrier;
            *place += 1;
        }

        LabelIndex {
            name: name.to_owned(),
            values,
            series,
        }
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

    /// Returns the index of `count` series, if it fits into `bytes_max`.
    fn index(count: u32, bytes_max: usize) -> Option<SeriesIndex> {
        let mut builder = SeriesIndexBuilder::new(bytes_max);
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
    fn an_index_is_not_made_larger_than_it_may_be() {
        let bytes = index(1000, usize::MAX).unwrap().bytes();
        let labels = 1000 * (1 + 8 + 1 + 2 + 1 + 1 + 1 + 4);
        let by_name =
            1001 * size_of::<Value>() + 2000 * size_of::<u32>() + 2 * size_of::<LabelIndex>() + 9;

        assert_eq!(bytes, labels + 1000 * ROW_BYTES + by_name);
        assert!(index(1000, bytes).is_some());
        assert!(index(1000, bytes - 1).is_none());

        assert!(
            SeriesIndexBuilder::new(ROW_BYTES)
                .push(&Row {
                    labels: &[1],
                    rows: rows()
                })
                .is_none()
        );
    }
}
