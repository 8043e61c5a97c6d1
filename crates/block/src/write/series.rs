//! Writes `series.parquet`. All rows are buffered until the end, because the columns depend on the
//! labels of all series.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::ops::Range;
use std::slice::Iter;
use std::sync::Arc;

use bytes::Bytes;
use duramen_model::labels::LabelsIter;
use duramen_model::{Labels, METRIC_NAME, NameBounds};
use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

use crate::layout::meta::{FENCE_BYTES_MAX, Fence};
use crate::layout::rows::SeriesRows;
use crate::layout::schema::{self, SeriesSchema};
use crate::write::encode::{Chunk, Recipe, base_properties};
use crate::write::options::WriterOptions;

/// At most this many labels get a column of their own.
const PROMOTED_MAX: usize = 64;
/// A label gets a column only if one series in so many carries it.
const PROMOTED_SHARE: usize = 100;
/// A row group ends when the encoded labels of its series have so many bytes. A reader decodes a
/// row group as a whole, so this bounds its memory.
const GROUP_LABELS_MAX: usize = 4 << 20;

/// The rows of all series so far.
#[derive(Default)]
pub(crate) struct SeriesRowsWriter {
    /// The encoded labels of all series, one after the other.
    labels: Vec<u8>,
    rows: Vec<Row>,
}

struct Row {
    labels_end: usize,
    rows: SeriesRows,
}

impl SeriesRowsWriter {
    pub(crate) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// The bytes of the labels of all series.
    pub(crate) const fn labels_bytes(&self) -> usize {
        self.labels.len()
    }

    /// Returns the encoded labels of the last series.
    pub(crate) fn last_labels(&self) -> Option<&[u8]> {
        self.rows
            .len()
            .checked_sub(1)
            .map(|last| self.labels_at(last))
    }

    /// Returns the names of the first and the last metric, or `None` without series.
    pub(crate) fn names(&self) -> Option<NameBounds> {
        let name_of = |row| {
            LabelsIter::over(self.labels_at(row))
                .find(|(name, _)| *name == METRIC_NAME)
                .map_or_else(String::new, |(_, value)| value.to_owned())
        };

        let last = self.len().checked_sub(1)?;
        Some(NameBounds {
            first: name_of(0),
            last: name_of(last),
        })
    }

    /// Appends a series.
    pub(crate) fn push(&mut self, labels: &Labels, rows: SeriesRows) {
        self.labels.extend_from_slice(labels.encoded());
        self.rows.push(Row {
            labels_end: self.labels.len(),
            rows,
        });
    }

    fn labels_at(&self, row: usize) -> &[u8] {
        let start = if row == 0 {
            0
        } else {
            self.rows[row - 1].labels_end
        };

        &self.labels[start..self.rows[row].labels_end]
    }

    /// Returns the labels that get a column of their own, in name order: those that most series
    /// carry. No two names differ only in case.
    fn promoted(&self) -> Vec<String> {
        let mut carried: HashMap<&str, usize> = HashMap::new();

        for row in 0..self.len() {
            for (name, _) in
                LabelsIter::over(self.labels_at(row)).filter(|(name, _)| *name != METRIC_NAME)
            {
                *carried.entry(name).or_default() += 1;
            }
        }

        let carriers_min = self.len().div_ceil(PROMOTED_SHARE);
        let mut carried: Vec<_> = carried
            .into_iter()
            .filter(|(_, carriers)| *carriers >= carriers_min)
            .collect();
        carried.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));

        let mut taken = HashSet::new();
        let distinct = carried
            .into_iter()
            .filter(|(name, _)| taken.insert(name.to_lowercase()));
        let mut names: Vec<_> = distinct
            .take(PROMOTED_MAX)
            .map(|(name, _)| name.to_owned())
            .collect();

        names.sort_unstable();
        names
    }

    /// Returns the columns that these series need.
    fn schema(&self) -> SeriesSchema {
        let any = |has: fn(&SeriesRows) -> bool| self.rows.iter().any(|row| has(&row.rows));

        SeriesSchema {
            promoted: self.promoted(),
            histograms: any(|rows| !rows.histograms.is_empty()),
            exemplars: any(|rows| !rows.exemplars.is_empty()),
        }
    }

    /// Splits the rows into row groups of about the same number of series.
    fn groups(&self, group_rows_max: usize) -> Vec<Range<usize>> {
        let groups = self.len().div_ceil(group_rows_max.max(1)).max(1);
        let rows_max = self.len().div_ceil(groups);
        let mut ranges = Vec::new();
        let mut start = 0;

        for row in 0..self.len() {
            let labels_start = if start == 0 {
                0
            } else {
                self.rows[start - 1].labels_end
            };
            let labels = self.rows[row].labels_end - labels_start;

            if row > start && (row - start == rows_max || labels > GROUP_LABELS_MAX) {
                ranges.push(start..row);
                start = row;
            }
        }

        ranges.push(start..self.len());
        ranges
    }

    /// Returns where the row groups begin.
    fn fences(&self, groups: &[Range<usize>]) -> Vec<Fence> {
        let fence = |group: &Range<usize>| {
            let encoded = self.labels_at(group.start);
            let short = encoded.len() <= FENCE_BYTES_MAX;

            Fence {
                sref: group.start as u64,
                labels: short.then(|| Labels::from_encoded_trusted(encoded)),
                first_sample: self.rows[group.start].rows.samples.start,
            }
        };

        groups.iter().map(fence).collect()
    }

    /// Writes the file. Nothing is synced. Returns where its row groups begin.
    pub(crate) fn write<W: Write + Send>(
        mut self,
        out: W,
        options: &WriterOptions,
    ) -> Result<Vec<Fence>> {
        let zstd_level = options.zstd_level;
        let kinds = self.schema();
        let groups = self.groups(options.series_group_rows_max);
        let fences = self.fences(&groups);
        let schema = schema::series(&kinds)?;
        let columns = SchemaDescriptor::new(Arc::clone(&schema));
        let recipes = Recipes::new(zstd_level)?;
        let mut file =
            SerializedFileWriter::new(out, schema, Arc::new(base_properties(zstd_level)?.build()))?;

        // All values are slices of this one buffer.
        let labels = Bytes::from(std::mem::take(&mut self.labels));
        let mut labels_start = 0;

        for group in groups {
            let first = group.start;
            let rows = &self.rows[group];
            let text = Text::split(&labels, labels_start, rows, &kinds.promoted);
            labels_start = rows.last().map_or(labels_start, |row| row.labels_end);

            let mut writer = file.next_row_group()?;
            for chunk in recipes.encode(columns.columns(), &kinds, text, rows, first)? {
                let Chunk { bytes, close } = short(chunk)?;
                writer.append_column(&bytes, close)?;
            }

            writer.close()?;
        }

        file.into_inner().map(|_| fences)
    }
}

/// Takes out of the description of a chunk what no reader needs, since the chunk has one page:
/// which encodings its pages have, the histograms of its levels, where its pages begin.
fn short(mut chunk: Chunk) -> Result<Chunk> {
    let metadata = chunk.close.metadata.into_builder();

    chunk.close.metadata = metadata
        .clear_page_encoding_stats()
        .set_unencoded_byte_array_data_bytes(None)
        .set_definition_level_histogram(None)
        .set_repetition_level_histogram(None)
        .build()?;
    chunk.close.offset_index = None;

    Ok(chunk)
}

/// The texts of one row group, by column.
struct Text {
    /// `__name__` first, then the promoted labels.
    columns: Vec<TextColumn>,
    keys: Vec<ByteArray>,
    values: Vec<ByteArray>,
    /// The levels of both leaves of the map.
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

#[derive(Default)]
struct TextColumn {
    values: Vec<ByteArray>,
    definition: Vec<i16>,
}

impl Text {
    fn split(labels: &Bytes, labels_start: usize, rows: &[Row], promoted: &[String]) -> Self {
        let places: BTreeMap<&str, usize> = [METRIC_NAME]
            .into_iter()
            .chain(promoted.iter().map(String::as_str))
            .enumerate()
            .map(|(i, name)| (name, i))
            .collect();

        let mut columns: Vec<_> = places.iter().map(|_| TextColumn::default()).collect();
        let mut text = Self {
            columns: vec![],
            keys: vec![],
            values: vec![],
            definition: vec![],
            repetition: vec![],
        };

        let part = |text: &str| ByteArray::from(labels.slice_ref(text.as_bytes()));
        let mut start = labels_start;

        for (row, Row { labels_end, .. }) in rows.iter().enumerate() {
            let mut in_map = 0;

            for (name, value) in LabelsIter::over(&labels[start..*labels_end]) {
                if let Some(place) = places.get(name) {
                    columns[*place].values.push(part(value));
                    columns[*place].definition.push(1);
                } else {
                    text.keys.push(part(name));
                    text.values.push(part(value));
                    text.definition.push(1);
                    text.repetition.push(i16::from(in_map > 0));
                    in_map += 1;
                }
            }

            for column in &mut columns {
                column.definition.resize(row + 1, 0);
            }

            if in_map == 0 {
                text.definition.push(0);
                text.repetition.push(0);
            }

            start = *labels_end;
        }

        text.columns = columns;
        text
    }
}

struct Recipes {
    /// `__name__`. Its smallest and largest values rule out row groups.
    name: Recipe,
    text: Recipe,
    number: Recipe,
}

impl Recipes {
    fn new(zstd_level: i32) -> Result<Self> {
        let text = Recipe::dictionary(zstd_level, usize::MAX)?.with_one_page();
        let number =
            Recipe::encoded(zstd_level, usize::MAX, Encoding::DELTA_BINARY_PACKED)?.with_one_page();

        Ok(Self {
            name: text.clone().with_statistics(),
            text,
            number,
        })
    }

    /// Encodes the chunks of one row group, in the order of the schema. `first` is the `sref` of
    /// its first series.
    fn encode(
        &self,
        columns: &[ColumnDescPtr],
        kinds: &SeriesSchema,
        text: Text,
        rows: &[Row],
        first: usize,
    ) -> Result<Vec<Chunk>> {
        let mut columns = columns.iter();
        let mut chunks = self.encode_text(&mut columns, &text)?;

        let mut numbers: Vec<fn(&SeriesRows) -> i64> = vec![
            |rows| rows.samples.start.cast_signed(),
            |rows| length(&rows.samples),
            |rows| rows.min_ts_ms,
            |rows| rows.max_ts_ms,
        ];

        if kinds.histograms {
            numbers.push(|rows| rows.histograms.start.cast_signed());
            numbers.push(|rows| length(&rows.histograms));
        }
        if kinds.exemplars {
            numbers.push(|rows| rows.exemplars.start.cast_signed());
            numbers.push(|rows| length(&rows.exemplars));
        }

        for number in numbers {
            let values: Vec<i64> = rows.iter().map(|row| number(&row.rows)).collect();
            let column = next_column(&mut columns);
            chunks.push(
                self.number
                    .encode::<Int64Type>(column, &values, None, None)?,
            );
        }

        let srefs: Vec<i32> = (first..first + rows.len())
            .filter_map(|row| u32::try_from(row).ok())
            .map(u32::cast_signed)
            .collect();

        let column = next_column(&mut columns);
        chunks.push(
            self.number
                .encode::<Int32Type>(column, &srefs, None, None)?,
        );
        Ok(chunks)
    }

    /// Encodes the chunks of the text columns and of the two leaves of the map.
    fn encode_text(
        &self,
        columns: &mut Iter<'_, ColumnDescPtr>,
        text: &Text,
    ) -> Result<Vec<Chunk>> {
        let mut chunks = Vec::new();
        let recipes = [&self.name]
            .into_iter()
            .chain(std::iter::repeat(&self.text));

        for (TextColumn { values, definition }, recipe) in text.columns.iter().zip(recipes) {
            let column = next_column(columns);
            chunks.push(recipe.encode::<ByteArrayType>(column, values, Some(definition), None)?);
        }

        for leaf in [&text.keys, &text.values] {
            chunks.push(self.text.encode::<ByteArrayType>(
                next_column(columns),
                leaf,
                Some(&text.definition),
                Some(&text.repetition),
            )?);
        }

        Ok(chunks)
    }
}

/// # Panics
/// If there are more chunks than columns.
fn next_column<'a>(columns: &mut Iter<'a, ColumnDescPtr>) -> &'a ColumnDescPtr {
    columns
        .next()
        .expect("the schema has a column for each chunk")
}

fn length(rows: &Range<u64>) -> i64 {
    (rows.end - rows.start).cast_signed()
}
