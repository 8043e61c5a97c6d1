//! Finds series in `series.parquet`: row groups by their statistics, rows by their labels.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use duramen_model::{BlockStats, LabelsBuilder, Matcher};
use duramen_runtime::Pace;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::RowGroupMetaData;

use crate::error::Error;
use crate::layout::rows::Wanted;
use crate::layout::schema::{
    EXEMPLAR_ROWS, FIRST_ROW, HISTOGRAM_ROWS, LABEL_PREFIX, LABELS_MAP, MAX_TS, METRIC_NAME_COLUMN,
    MIN_TS, ROWS,
};
use crate::read::fetch::SparseFile;
use crate::read::library::guarded;
use crate::read::parquet_file::ParquetFile;
use crate::series::decoded::{Dictionary, Numbers, Spilled, apply};
use crate::series::found::{FoundSeries, Row};
use crate::series::prune::may_match;

/// The columns of the series file of one block.
#[derive(Debug)]
pub(crate) struct SeriesColumns {
    /// Labels with a column of their own, in name order, each with the index of its column.
    texts: Vec<(String, usize)>,
    map: usize,
    /// The columns `samples_first_row`, `samples_n_rows`, `min_ts`, `max_ts`. [`HISTOGRAM_ROWS`]
    /// and [`EXEMPLAR_ROWS`] follow if the block has such.
    numbers: Vec<usize>,
    arrow: ArrowReaderMetadata,
}

impl SeriesColumns {
    /// Finds the columns of `file`, the series file of a block with `stats`.
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

        let histograms = HISTOGRAM_ROWS.iter().filter(|_| stats.histograms > 0);
        let exemplars = EXEMPLAR_ROWS.iter().filter(|_| stats.exemplars > 0);
        let numbers = [FIRST_ROW, ROWS, MIN_TS, MAX_TS]
            .iter()
            .chain(histograms)
            .chain(exemplars)
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

    /// Returns the row groups that may hold a series that passes. The smallest and largest value of
    /// each column decide.
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

    /// The bytes of row group `group` that a look-up reads: the columns up to the last needed one.
    /// They are next to each other.
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

    /// Returns the series of row group `group` that pass all matchers and have what is `wanted`.
    /// Pure apart from decoding. The task can be cancelled between two values.
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
            .map(|row| numbers.rows(row).have(wanted))
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

    /// Calls `visit` for each series of row group `group`. Pure apart from decoding.
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

    /// The indexes of all columns that a look-up reads.
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

    /// Decodes the columns `roots` of a row group, for all rows or for those of `selection`.
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
        guarded(|| Ok(builder.build()?.next().ok_or_else(none)??))
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

/// Merges two runs of labels, each in name order, into one.
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

/// Makes the reader's view of the file. Texts stay dictionaries in it, so that a matcher tests each
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
