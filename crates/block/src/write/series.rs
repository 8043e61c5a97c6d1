//! Writes `series.parquet`. All rows are buffered until the end, because the columns depend on the
//! labels of all series.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::ops::Range;
use std::slice::Iter;
use std::sync::Arc;

use bytes::Bytes;
use duramen_model::labels::LabelsIter;
use duramen_model::{Labels, METRIC_NAME};
use parquet::basic::Encoding;
use parquet::data_type::{
    ByteArray, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::errors::Result;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, SchemaDescriptor};

use crate::layout::rows::SeriesRows;
use crate::layout::schema;
use crate::write::encode::{Chunk, Recipe, base_properties};

/// At most this many labels get a column of their own.
const PROMOTED_MAX: usize = 64;
/// A row group has an eighth of all series, but at least and at most so many. A look-up of one name
/// reads little of a small block, and the footer of a large block stays small.
const GROUP_ROWS_MIN: usize = 1024;
const GROUP_ROWS_MAX: usize = 16_384;

/// The rows of all series so far.
#[derive(Default)]
pub(crate) struct SeriesRowsWriter {
    /// The encoded labels of all series, one after the other.
    labels: Vec<u8>,
    rows: Vec<Row>,
}

struct Row {
    labels_end: usize,
    id: [u8; 16],
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

    /// Returns the encoded labels of the first series.
    pub(crate) fn first_labels(&self) -> Option<&[u8]> {
        (self.len() > 0).then(|| self.labels_at(0))
    }

    /// Returns the encoded labels of the last series.
    pub(crate) fn last_labels(&self) -> Option<&[u8]> {
        self.rows
            .len()
            .checked_sub(1)
            .map(|last| self.labels_at(last))
    }

    /// Appends a series.
    pub(crate) fn push(&mut self, labels: &Labels, rows: SeriesRows) {
        self.labels.extend_from_slice(labels.encoded());
        self.rows.push(Row {
            labels_end: self.labels.len(),
            id: labels.series_id().to_bytes(),
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

        let mut carried: Vec<_> = carried.into_iter().collect();
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

    /// Writes the file. Nothing is synced.
    pub(crate) fn write<W: Write + Send>(mut self, out: W, zstd_level: i32) -> Result<()> {
        let promoted = self.promoted();
        let names: Vec<&str> = promoted.iter().map(String::as_str).collect();
        let schema = schema::series(&names)?;
        let columns = SchemaDescriptor::new(Arc::clone(&schema));
        let recipes = Recipes::new(zstd_level)?;
        let mut file =
            SerializedFileWriter::new(out, schema, Arc::new(base_properties(zstd_level)?.build()))?;

        // All values are slices of this one buffer.
        let labels = Bytes::from(std::mem::take(&mut self.labels));
        let group_rows = (self.len() / 8).clamp(GROUP_ROWS_MIN, GROUP_ROWS_MAX);
        let mut labels_start = 0;

        for (group, rows) in self.rows.chunks(group_rows).enumerate() {
            let text = Text::split(&labels, labels_start, rows, &names);
            labels_start = rows.last().map_or(labels_start, |row| row.labels_end);

            let mut writer = file.next_row_group()?;
            for chunk in recipes.encode(columns.columns(), text, rows, group * group_rows)? {
                writer.append_column(&chunk.bytes, chunk.close)?;
            }

            writer.close()?;
        }

        file.into_inner().map(drop)
    }
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
    fn split(labels: &Bytes, labels_start: usize, rows: &[Row], promoted: &[&str]) -> Self {
        let places: BTreeMap<&str, usize> = [METRIC_NAME]
            .into_iter()
            .chain(promoted.iter().copied())
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
    counted: Recipe,
    id: Recipe,
}

impl Recipes {
    fn new(zstd_level: i32) -> Result<Self> {
        let all = usize::MAX;
        Ok(Self {
            name: Recipe::dictionary(zstd_level, all)?.with_statistics(),
            text: Recipe::dictionary(zstd_level, all)?,
            number: Recipe::encoded(zstd_level, all, Encoding::DELTA_BINARY_PACKED)?,
            counted: Recipe::encoded(zstd_level, all, Encoding::DELTA_BINARY_PACKED)?
                .with_statistics(),
            id: Recipe::encoded(zstd_level, all, Encoding::PLAIN)?,
        })
    }

    /// Encodes the chunks of one row group, in the order of the schema. `first` is the `sref` of
    /// its first series.
    fn encode(
        &self,
        columns: &[ColumnDescPtr],
        text: Text,
        rows: &[Row],
        first: usize,
    ) -> Result<Vec<Chunk>> {
        let mut columns = columns.iter();
        let mut chunks = self.encode_text(&mut columns, &text)?;

        let number = |column, read: fn(&SeriesRows) -> i64| {
            let values: Vec<i64> = rows.iter().map(|row| read(&row.rows)).collect();
            self.number.encode::<Int64Type>(column, &values, None, None)
        };

        chunks.push(number(next_column(&mut columns), |rows| {
            rows.samples.start.cast_signed()
        })?);
        chunks.push(number(next_column(&mut columns), |rows| {
            length(&rows.samples)
        })?);
        chunks.push(number(next_column(&mut columns), |rows| rows.min_ts_ms)?);
        chunks.push(number(next_column(&mut columns), |rows| rows.max_ts_ms)?);

        let srefs: Vec<i32> = (first..first + rows.len())
            .filter_map(|row| u32::try_from(row).ok())
            .map(u32::cast_signed)
            .collect();

        chunks.push(self.counted.encode::<Int32Type>(
            next_column(&mut columns),
            &srefs,
            None,
            None,
        )?);

        chunks.push(number(next_column(&mut columns), |rows| {
            rows.histograms.start.cast_signed()
        })?);
        chunks.push(number(next_column(&mut columns), |rows| {
            length(&rows.histograms)
        })?);
        chunks.push(number(next_column(&mut columns), |rows| {
            rows.exemplars.start.cast_signed()
        })?);
        chunks.push(number(next_column(&mut columns), |rows| {
            length(&rows.exemplars)
        })?);

        let ids: Vec<_> = rows
            .iter()
            .map(|row| FixedLenByteArray::from(row.id.to_vec()))
            .collect();

        chunks.push(self.id.encode::<FixedLenByteArrayType>(
            next_column(&mut columns),
            &ids,
            None,
            None,
        )?);

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
