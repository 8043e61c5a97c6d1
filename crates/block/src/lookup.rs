//! Finds series in `series.parquet`: row groups by their statistics, rows by their labels.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, MapArray, RecordBatch, StringArray,
    TimestampMillisecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use duramen_model::{BlockStats, Labels, LabelsBuilder, MatchOp, Matcher};
use duramen_runtime::Pace;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::RowGroupMetaData;

use crate::error::Error;
use crate::fetch::SparseFile;
use crate::file::{ParquetFile, column};
use crate::rows::{SeriesRows, Wanted};
use crate::schema::{
    FIRST_ROW, LABEL_PREFIX, LABELS_MAP, MAX_TS, METRIC_NAME_COLUMN, MIN_TS, OTHER_ROWS, ROWS,
};

/// A series that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundSeries {
    /// In encoded form.
    pub(crate) labels: Box<[u8]>,
    pub(crate) rows: SeriesRows,
}

impl FoundSeries {
    pub(crate) fn labels(&self) -> Labels {
        Labels::from_encoded_trusted(&self.labels)
    }
}

/// One row of the series file.
pub(crate) struct Row<'a> {
    /// In encoded form.
    pub(crate) labels: &'a [u8],
    pub(crate) rows: SeriesRows,
}

/// The columns of the series file of one block.
#[derive(Debug)]
pub(crate) struct SeriesColumns {
    /// Labels with a column, in name order, and where in the schema they stand.
    texts: Vec<(String, usize)>,
    map: usize,
    /// `samples_first_row`, `samples_n_rows`, `min_ts`, `max_ts`; behind them [`OTHER_ROWS`] when
    /// the block has such rows.
    numbers: Vec<usize>,
    arrow: ArrowReaderMetadata,
}

impl SeriesColumns {
    /// The columns of `file`, the series file of a block with `stats`.
    pub(crate) fn of(file: &ParquetFile, stats: &BlockStats) -> Result<Self, Error> {
        let key = &file.remote.key;
        let schema = file.parsed.file_metadata().schema_descr();

        let names: Vec<&str> = schema
            .root_schema()
            .get_fields()
            .iter()
            .map(|field| field.name())
            .collect();

        let place = |name: &str| {
            let what = "the series file lacks a column";
            names
                .iter()
                .position(|n| *n == name)
                .ok_or_else(|| Error::Malformed {
                    key: key.clone(),
                    offset: 0,
                    what,
                })
        };

        let mut texts = vec![(METRIC_NAME_COLUMN.to_owned(), place(METRIC_NAME_COLUMN)?)];
        let labels = names
            .iter()
            .enumerate()
            .filter_map(|(i, name)| Some((name.strip_prefix(LABEL_PREFIX)?.to_owned(), i)));

        texts.extend(labels);
        texts.sort_unstable();

        let others: &[&str] = if stats.histograms + stats.exemplars > 0 {
            &OTHER_ROWS
        } else {
            &[]
        };

        let numbers = [FIRST_ROW, ROWS, MIN_TS, MAX_TS]
            .iter()
            .chain(others)
            .map(|name| place(name));

        let numbers = numbers.collect::<Result<_, _>>()?;
        let arrow = arrow_metadata(file, &texts).map_err(|e| Error::decode(key, e))?;

        Ok(Self {
            map: place(LABELS_MAP)?,
            texts,
            numbers,
            arrow,
        })
    }

    /// The row groups that may hold a series that passes, by the smallest and largest value of
    /// their columns.
    pub(crate) fn groups(&self, file: &ParquetFile, matchers: &[Matcher]) -> Vec<usize> {
        let may_pass = |group: &RowGroupMetaData| {
            matchers.iter().all(|m| {
                self.texts
                    .iter()
                    .find(|(name, _)| *name == m.name)
                    .is_none_or(|(_, i)| may_match(m, group, *i))
            })
        };

        file.parsed
            .row_groups()
            .iter()
            .enumerate()
            .filter(|(_, group)| may_pass(group))
            .map(|(i, _)| i)
            .collect()
    }

    /// The bytes of row group `group` that a look-up reads: its columns up to the last that is
    /// needed, which stand together.
    pub(crate) fn bytes(&self, file: &ParquetFile, group: usize) -> Range<u64> {
        let columns = file.parsed.row_group(group).columns();
        let leaf = |root: usize| if root > self.map { root + 1 } else { root };

        let needed = self
            .texts
            .iter()
            .map(|(_, root)| *root)
            .chain(self.numbers.iter().copied())
            .chain([self.map]);

        let ranges = needed
            .map(leaf)
            .chain([self.map + 1])
            .filter_map(|leaf| columns.get(leaf))
            .map(|c| c.byte_range());

        let (start, end) = ranges.fold((u64::MAX, 0), |all, (start, length)| {
            (all.0.min(start), all.1.max(start.saturating_add(length)))
        });
        start..end
    }

    /// The series of row group `group` that pass all matchers and are wanted. Pure but for
    /// decoding; matching can be ended between two values.
    pub(crate) async fn find(
        &self,
        file: &SparseFile,
        group: usize,
        matchers: &[Matcher],
        wanted: Wanted,
    ) -> Result<Vec<FoundSeries>, parquet::errors::ParquetError> {
        let matched = matchers.iter().map(|m| self.place_of(&m.name));
        let batch = self.read(
            file,
            group,
            self.numbers.iter().copied().chain(matched),
            None,
        )?;

        let numbers = Numbers::of(&batch);
        let mut pace = Pace::default();
        let mut pass: Vec<bool> = (0..batch.num_rows())
            .map(|row| numbers.rows(row).are(wanted))
            .collect();

        for matcher in matchers {
            let column = batch.column_by_name(&self.column_of(&matcher.name));
            apply(matcher, column, &mut pass, &mut pace).await;
        }

        if !pass.contains(&true) {
            return Ok(Vec::new());
        }

        let selection = RowSelection::from_filters(&[BooleanArray::from(pass)]);
        let batch = self.read(file, group, self.all(), Some(selection))?;
        let mut found = Vec::with_capacity(batch.num_rows());

        self.each(&batch, |row| {
            found.push(FoundSeries {
                labels: row.labels.into(),
                rows: row.rows.clone(),
            })
        });

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
        self.texts
            .iter()
            .map(|(_, root)| *root)
            .chain([self.map])
            .chain(self.numbers.iter().copied())
    }

    fn place_of(&self, label: &str) -> usize {
        self.texts
            .iter()
            .find(|(name, _)| name == label)
            .map_or(self.map, |(_, place)| *place)
    }

    fn column_of(&self, label: &str) -> String {
        if label == METRIC_NAME_COLUMN {
            return label.to_owned();
        }

        let promoted = self.texts.iter().any(|(name, _)| name == label);
        if promoted {
            format!("{LABEL_PREFIX}{label}")
        } else {
            LABELS_MAP.to_owned()
        }
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

        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(file.clone(), self.arrow.clone())
                .with_row_groups(vec![group])
                .with_projection(ProjectionMask::roots(schema, roots))
                .with_batch_size(rows.max(1));

        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }

        let none = || parquet::errors::ParquetError::General("a row group has no rows".to_owned());
        builder
            .build()?
            .next()
            .ok_or_else(none)?
            .map_err(Into::into)
    }

    fn each(&self, batch: &RecordBatch, mut visit: impl FnMut(&Row<'_>)) {
        let texts: Vec<_> = self
            .texts
            .iter()
            .filter_map(|(name, root)| {
                let column = if *root == 0 {
                    METRIC_NAME_COLUMN.to_owned()
                } else {
                    format!("{LABEL_PREFIX}{name}")
                };

                Some((
                    name.as_str(),
                    Dictionary::of(batch.column_by_name(&column)?)?,
                ))
            })
            .collect();

        let map = batch.column_by_name(LABELS_MAP).and_then(Spilled::of);
        let numbers = Numbers::of(batch);
        let mut labels = LabelsBuilder::default();

        for row in 0..batch.num_rows() {
            labels.clear();

            let columns = texts
                .iter()
                .filter_map(|(name, column)| Some((*name, column.value(row)?)));
            let spilled = map.iter().flat_map(|map| map.entries(row));
            merge_by_name(columns, spilled, &mut labels);
            visit(&Row {
                labels: labels.encoded(),
                rows: numbers.rows(row),
            });
        }
    }
}

/// Two runs of labels in name order become one.
fn merge_by_name<'a>(
    a: impl Iterator<Item = (&'a str, &'a str)>,
    b: impl Iterator<Item = (&'a str, &'a str)>,
    out: &mut LabelsBuilder,
) {
    let mut a = a.peekable();
    let mut b = b.peekable();

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

/// The reader's view of the file in which texts stay dictionaries, so that a matcher sees each
/// distinct value once.
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
            if texts.iter().any(|(_, root)| *root == i) {
                field.with_data_type(dictionary.clone())
            } else {
                field
            }
        })
        .collect();

    let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
    ArrowReaderMetadata::try_new(Arc::clone(&file.parsed), options)
}

/// Whether a value of column `index` in `group` may pass. Statistics may be cut short: bounds they
/// are all the same.
fn may_match(matcher: &Matcher, group: &RowGroupMetaData, index: usize) -> bool {
    let Some(statistics) = group
        .columns()
        .get(index)
        .and_then(|column| column.statistics())
    else {
        return true;
    };
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

/// Clears `pass` where the matcher does not. Each distinct value is looked at once.
async fn apply(matcher: &Matcher, column: Option<&ArrayRef>, pass: &mut [bool], pace: &mut Pace) {
    if let Some(dictionary) = column.and_then(Dictionary::of) {
        let mut passes = Vec::with_capacity(dictionary.values.len());
        for value in dictionary.values {
            let value = value.unwrap_or("");
            passes.push(matcher.matches(value));
            pace.done(value.len().max(16)).await;
        }

        let absent = matcher.matches_empty();
        for (row, pass) in pass.iter_mut().enumerate() {
            *pass &= dictionary
                .key(row)
                .map_or(absent, |key| passes.get(key).copied().unwrap_or(absent));
        }
    } else {
        let map = column.and_then(Spilled::of);

        for (row, pass) in pass.iter_mut().enumerate().filter(|(_, pass)| **pass) {
            let value = map
                .iter()
                .flat_map(|map| map.entries(row))
                .find(|(name, _)| *name == matcher.name);

            let value = value.map_or("", |(_, value)| value);
            *pass = matcher.matches(value);
            pace.done(value.len().max(16)).await;
        }
    }
}

/// The numbers of all series of a batch. A column that was not read is empty.
struct Numbers<'a> {
    samples: [&'a [u64]; 2],
    span: [&'a [i64]; 2],
    others: [&'a [u64]; 4],
}

impl<'a> Numbers<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        let numbers =
            |name| column::<UInt64Array>(batch, name).map_or(&[][..], |column| column.values());
        let times = |name| {
            column::<TimestampMillisecondArray>(batch, name)
                .map_or(&[][..], |column| column.values())
        };

        Self {
            samples: [FIRST_ROW, ROWS].map(numbers),
            span: [MIN_TS, MAX_TS].map(times),
            others: OTHER_ROWS.map(numbers),
        }
    }

    fn rows(&self, row: usize) -> SeriesRows {
        let at = |column: &[u64]| column.get(row).copied().unwrap_or(0);
        let range = |first, rows| at(first)..at(first).saturating_add(at(rows));
        let time = |column: &[i64], absent| column.get(row).copied().unwrap_or(absent);
        let [histograms_first, histograms, exemplars_first, exemplars] = self.others;

        SeriesRows {
            samples: range(self.samples[0], self.samples[1]),
            histograms: range(histograms_first, histograms),
            exemplars: range(exemplars_first, exemplars),
            min_ts_ms: time(self.span[0], i64::MIN),
            max_ts_ms: time(self.span[1], i64::MAX),
        }
    }
}

/// A text column.
struct Dictionary<'a> {
    keys: &'a DictionaryArray<Int32Type>,
    values: &'a StringArray,
}

impl<'a> Dictionary<'a> {
    fn of(column: &'a ArrayRef) -> Option<Self> {
        let keys = column
            .as_any()
            .downcast_ref::<DictionaryArray<Int32Type>>()?;
        Some(Self {
            keys,
            values: keys.values().as_any().downcast_ref()?,
        })
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
        Some(Self {
            map,
            names: map.keys().as_any().downcast_ref()?,
            values: map.values().as_any().downcast_ref()?,
        })
    }

    fn entries(&self, row: usize) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let names = self.names;
        let values = self.values;
        let offsets = self.map.value_offsets();
        let at = |i: usize| usize::try_from(offsets[i]).unwrap_or(0);

        (at(row)..at(row + 1)).map(move |i| (names.value(i), values.value(i)))
    }
}
