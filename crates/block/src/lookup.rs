//! Finds series in `series.parquet`: row groups by their statistics, rows by their labels.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Int64Array, MapArray, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use duramen_model::{LabelsBuilder, MatchOp, Matcher, TimeRange};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::RowGroupMetaData;

use crate::block::ParquetFile;
use crate::error::Error;
use crate::fetch::SparseFile;
use crate::schema::{FIRST_ROW, LABEL_PREFIX, LABELS_MAP, MAX_TS, METRIC_NAME_COLUMN, MIN_TS, ROWS};

/// A series that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundSeries {
    /// In encoded form.
    pub(crate) labels: Box<[u8]>,
    /// Its samples in the samples file.
    pub(crate) rows: Range<u64>,
}

/// One row of the series file.
pub(crate) struct Row<'a> {
    /// In encoded form.
    pub(crate) labels: &'a [u8],
    pub(crate) rows: Range<u64>,
    pub(crate) min_ts_ms: i64,
    pub(crate) max_ts_ms: i64,
}

/// The columns of the series file of one block.
#[derive(Debug)]
pub(crate) struct SeriesColumns {
    /// Labels with a column, in name order, and where in the schema they stand.
    texts: Vec<(String, usize)>,
    map: usize,
    /// `samples_first_row`, `samples_n_rows`, `min_ts`, `max_ts`.
    numbers: [usize; 4],
    arrow: ArrowReaderMetadata,
}

impl SeriesColumns {
    pub(crate) fn of(file: &ParquetFile) -> Result<Self, Error> {
        let key = &file.remote.key;
        let schema = file.parsed.file_metadata().schema_descr();
        let names: Vec<&str> = schema.root_schema().get_fields().iter().map(|field| field.name()).collect();
        let place = |name: &str| {
            let what = "the series file lacks a column";
            names.iter().position(|n| *n == name).ok_or_else(|| Error::Malformed { key: key.clone(), offset: 0, what })
        };
        let mut texts = vec![(METRIC_NAME_COLUMN.to_owned(), place(METRIC_NAME_COLUMN)?)];
        let labels =
            names.iter().enumerate().filter_map(|(i, name)| Some((name.strip_prefix(LABEL_PREFIX)?.to_owned(), i)));
        texts.extend(labels);
        texts.sort_unstable();
        let numbers = [place(FIRST_ROW)?, place(ROWS)?, place(MIN_TS)?, place(MAX_TS)?];
        let arrow = arrow_metadata(file, &texts).map_err(|e| Error::decode(key, e))?;
        Ok(Self { map: place(LABELS_MAP)?, texts, numbers, arrow })
    }

    /// The row groups that may hold a series that passes, by the smallest and largest value of their columns.
    pub(crate) fn groups(&self, file: &ParquetFile, matchers: &[Matcher]) -> Vec<usize> {
        let may_pass = |group: &RowGroupMetaData| {
            matchers.iter().all(|m| {
                self.texts.iter().find(|(name, _)| *name == m.name).is_none_or(|(_, i)| may_match(m, group, *i))
            })
        };
        file.parsed.row_groups().iter().enumerate().filter(|(_, group)| may_pass(group)).map(|(i, _)| i).collect()
    }

    /// The bytes of row group `group` that a look-up reads: its columns up to the last that is needed, which stand together.
    pub(crate) fn bytes(&self, file: &ParquetFile, group: usize) -> Range<u64> {
        let columns = file.parsed.row_group(group).columns();
        let leaf = |root: usize| if root > self.map { root + 1 } else { root };
        let needed = self.texts.iter().map(|(_, root)| *root).chain(self.numbers).chain([self.map]);
        let ranges =
            needed.map(leaf).chain([self.map + 1]).filter_map(|leaf| columns.get(leaf)).map(|c| c.byte_range());
        let (start, end) = ranges
            .fold((u64::MAX, 0), |all, (start, length)| (all.0.min(start), all.1.max(start.saturating_add(length))));
        start..end
    }

    /// The series of row group `group` that pass all matchers and whose span touches `range`. Pure but for decoding.
    pub(crate) fn find(
        &self,
        file: &SparseFile,
        group: usize,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Vec<FoundSeries>, parquet::errors::ParquetError> {
        let matched = matchers.iter().map(|m| self.place_of(&m.name));
        let batch = self.read(file, group, self.numbers.into_iter().chain(matched), None)?;
        let mut pass = in_range(&batch, range);
        for matcher in matchers {
            let column = batch.column_by_name(&self.column_of(&matcher.name));
            apply(matcher, column, &mut pass);
        }
        if !pass.contains(&true) {
            return Ok(Vec::new());
        }
        let selection = RowSelection::from_filters(&[BooleanArray::from(pass)]);
        let batch = self.read(file, group, self.all(), Some(selection))?;
        let mut found = Vec::with_capacity(batch.num_rows());
        self.each(&batch, |row| found.push(FoundSeries { labels: row.labels.into(), rows: row.rows.clone() }));
        Ok(found)
    }

    /// Calls `visit` for each series of row group `group`. Pure but for decoding.
    pub(crate) fn read_all(
        &self,
        file: &SparseFile,
        group: usize,
        visit: impl FnMut(&Row<'_>),
    ) -> Result<(), parquet::errors::ParquetError> {
        let batch = self.read(file, group, self.all(), None)?;
        self.each(&batch, visit);
        Ok(())
    }

    /// The places of all columns that a look-up reads.
    fn all(&self) -> impl Iterator<Item = usize> {
        self.texts.iter().map(|(_, root)| *root).chain([self.map]).chain(self.numbers)
    }

    fn place_of(&self, label: &str) -> usize {
        self.texts.iter().find(|(name, _)| name == label).map_or(self.map, |(_, place)| *place)
    }

    fn column_of(&self, label: &str) -> String {
        if label == METRIC_NAME_COLUMN {
            return label.to_owned();
        }
        let promoted = self.texts.iter().any(|(name, _)| name == label);
        if promoted { format!("{LABEL_PREFIX}{label}") } else { LABELS_MAP.to_owned() }
    }

    /// Columns by their place, of all rows of a row group or of some.
    fn read(
        &self,
        file: &SparseFile,
        group: usize,
        roots: impl Iterator<Item = usize>,
        selection: Option<RowSelection>,
    ) -> Result<RecordBatch, parquet::errors::ParquetError> {
        let schema = self.arrow.metadata().file_metadata().schema_descr();
        let rows = usize::try_from(self.arrow.metadata().row_group(group).num_rows()).unwrap_or(0);
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), self.arrow.clone())
            .with_row_groups(vec![group])
            .with_projection(ProjectionMask::roots(schema, roots))
            .with_batch_size(rows.max(1));
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let none = || parquet::errors::ParquetError::General("a row group has no rows".to_owned());
        builder.build()?.next().ok_or_else(none)?.map_err(Into::into)
    }

    fn each(&self, batch: &RecordBatch, mut visit: impl FnMut(&Row<'_>)) {
        let texts: Vec<_> = self
            .texts
            .iter()
            .filter_map(|(name, root)| {
                let column = if *root == 0 { METRIC_NAME_COLUMN.to_owned() } else { format!("{LABEL_PREFIX}{name}") };
                Some((name.as_str(), Dictionary::of(batch.column_by_name(&column)?)?))
            })
            .collect();
        let map = batch.column_by_name(LABELS_MAP).and_then(Spilled::of);
        let (first, rows) = (numbers(batch, FIRST_ROW), numbers(batch, ROWS));
        let (min, max) = (times(batch, MIN_TS), times(batch, MAX_TS));
        let mut labels = LabelsBuilder::default();
        for (row, (first, rows)) in first.iter().zip(rows).enumerate() {
            labels.clear();
            let columns = texts.iter().filter_map(|(name, column)| Some((*name, column.value(row)?)));
            let spilled = map.iter().flat_map(|map| map.entries(row));
            merge_by_name(columns, spilled, &mut labels);
            let at = |times: Option<&[i64]>, absent| times.and_then(|times| times.get(row)).copied().unwrap_or(absent);
            let (min_ts_ms, max_ts_ms) = (at(min, i64::MIN), at(max, i64::MAX));
            let rows = *first..first.saturating_add(*rows);
            visit(&Row { labels: labels.encoded(), rows, min_ts_ms, max_ts_ms });
        }
    }
}

/// Two runs of labels in name order become one.
fn merge_by_name<'a>(
    a: impl Iterator<Item = (&'a str, &'a str)>,
    b: impl Iterator<Item = (&'a str, &'a str)>,
    out: &mut LabelsBuilder,
) {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if y.0 < x.0 => b.next(),
            (Some(_), _) => a.next(),
            (None, _) => b.next(),
        };
        let Some((name, value)) = next else { return };
        out.push(name, value);
    }
}

/// The reader's view of the file in which texts stay dictionaries, so that a matcher sees each distinct value once.
fn arrow_metadata(
    file: &ParquetFile,
    texts: &[(String, usize)],
) -> Result<ArrowReaderMetadata, parquet::errors::ParquetError> {
    let plain = ArrowReaderMetadata::try_new(Arc::clone(&file.parsed), ArrowReaderOptions::new())?;
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let fields: Vec<Field> = plain
        .schema()
        .fields()
        .iter()
        .enumerate()
        .map(|(i, field)| {
            let field = field.as_ref().clone();
            if texts.iter().any(|(_, root)| *root == i) { field.with_data_type(dictionary.clone()) } else { field }
        })
        .collect();
    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    ArrowReaderMetadata::try_new(Arc::clone(&file.parsed), options)
}

/// Whether a value of column `index` in `group` may pass. Statistics may be cut short: bounds they are all the same.
fn may_match(matcher: &Matcher, group: &RowGroupMetaData, index: usize) -> bool {
    let Some(statistics) = group.columns().get(index).and_then(|column| column.statistics()) else { return true };
    if matcher.matches_empty() {
        return true;
    }
    let (Some(min), Some(max)) = (statistics.min_bytes_opt(), statistics.max_bytes_opt()) else {
        return statistics.null_count_opt() != Some(group.num_rows().cast_unsigned());
    };
    let within = |value: &str| min <= value.as_bytes() && value.as_bytes() <= max;
    match &matcher.op {
        MatchOp::Equal(value) => within(value),
        MatchOp::Regex(pattern) => match (pattern.literals(), pattern.literal_prefix()) {
            (Some(literals), _) => literals.iter().any(|value| within(value)),
            (None, Some(prefix)) => {
                let prefix = prefix.as_bytes();
                max >= prefix && (min <= prefix || min.starts_with(prefix))
            }
            (None, None) => true,
        },
        MatchOp::NotEqual(_) | MatchOp::NotRegex(_) => true,
    }
}

/// Which series have a time in `range`, by their first and last.
fn in_range(batch: &RecordBatch, range: TimeRange) -> Vec<bool> {
    match (times(batch, MIN_TS), times(batch, MAX_TS)) {
        (Some(min), Some(max)) => {
            let spans = min.iter().zip(max);
            spans.map(|(min, max)| *min < range.end_ms() && *max >= range.start_ms()).collect()
        }
        _ => vec![true; batch.num_rows()],
    }
}

/// Clears `pass` where the matcher does not. Each distinct value is looked at once.
fn apply(matcher: &Matcher, column: Option<&ArrayRef>, pass: &mut [bool]) {
    if let Some(dictionary) = column.and_then(Dictionary::of) {
        let passes: Vec<bool> = dictionary.values.iter().map(|v| matcher.matches(v.unwrap_or(""))).collect();
        let absent = matcher.matches_empty();
        for (row, pass) in pass.iter_mut().enumerate() {
            *pass &= dictionary.key(row).map_or(absent, |key| passes.get(key).copied().unwrap_or(absent));
        }
    } else {
        let map = column.and_then(Spilled::of);
        for (row, pass) in pass.iter_mut().enumerate().filter(|(_, pass)| **pass) {
            let value = map.iter().flat_map(|map| map.entries(row)).find(|(name, _)| *name == matcher.name);
            *pass = matcher.matches(value.map_or("", |(_, value)| value));
        }
    }
}

fn times<'a>(batch: &'a RecordBatch, name: &str) -> Option<&'a [i64]> {
    let column = batch.column_by_name(name)?.as_any().downcast_ref::<TimestampMillisecondArray>()?;
    Some(column.values())
}

fn numbers<'a>(batch: &'a RecordBatch, name: &str) -> &'a [u64] {
    let column = batch.column_by_name(name).map(|c| c.as_any());
    if let Some(numbers) = column.and_then(|c| c.downcast_ref::<UInt64Array>()) {
        return numbers.values();
    }
    debug_assert!(column.is_none_or(|c| c.downcast_ref::<Int64Array>().is_none()));
    &[]
}

/// A text column.
struct Dictionary<'a> {
    keys: &'a DictionaryArray<Int32Type>,
    values: &'a StringArray,
}

impl<'a> Dictionary<'a> {
    fn of(column: &'a ArrayRef) -> Option<Self> {
        let keys = column.as_any().downcast_ref::<DictionaryArray<Int32Type>>()?;
        Some(Self { keys, values: keys.values().as_any().downcast_ref()? })
    }

    fn key(&self, row: usize) -> Option<usize> {
        self.keys.key(row)
    }

    fn value(&self, row: usize) -> Option<&'a str> {
        Some(self.values.value(self.key(row)?))
    }
}

/// The labels without a column of their own.
struct Spilled<'a> {
    map: &'a MapArray,
    names: &'a StringArray,
    values: &'a StringArray,
}

impl<'a> Spilled<'a> {
    fn of(column: &'a ArrayRef) -> Option<Self> {
        let map = column.as_any().downcast_ref::<MapArray>()?;
        Some(Self { map, names: map.keys().as_any().downcast_ref()?, values: map.values().as_any().downcast_ref()? })
    }

    fn entries(&self, row: usize) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let (names, values) = (self.names, self.values);
        let offsets = self.map.value_offsets();
        let at = |i: usize| usize::try_from(offsets[i]).unwrap_or(0);
        (at(row)..at(row + 1)).map(move |i| (names.value(i), values.value(i)))
    }
}
