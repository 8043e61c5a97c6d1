//! Writes `series.parquet`: buffered until the end, because its columns depend on the labels of all
//! series.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;
use std::ops::Range;
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

/// So many labels get a column of their own.
const PROMOTED_MAX: usize = 64;
/// Bounds of the rows of a row group: an eighth of all series, so that a look-up of one name reads
/// little of a small block, and the footer of a large one stays small.
const GROUP_ROWS_MIN: usize = 1024;
const GROUP_ROWS_MAX: usize = 16_384;

/// All series so far.
#[derive(Default)]
pub(crate) struct SeriesRowsWriter {
    /// Encoded labels, one after the other.
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

    /// The encoded labels of the last series.
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

    /// The labels with a column of their own, in name order: those that most series carry, each
    /// distinct ignoring case.
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

        // One buffer that all values share: a value is a slice of it.
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
    /// Levels of the map's leaves.
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
    /// `__name__`: its bounds prune row groups.
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

    /// The chunks of one row group, in the order of the schema.
    fn encode(
        &self,
        columns: &[ColumnDescPtr],
        text: Text,
        rows: &[Row],
        first: usize,
    ) -> Result<Vec<Chunk>> {
        let mut columns = columns.iter();
        let mut next = move || {
            columns
                .next()
                .expect("the schema has a column for each chunk")
        };

        let mut chunks = Vec::new();
        let recipes = [&self.name]
            .into_iter()
            .chain(std::iter::repeat(&self.text));

        for (TextColumn { values, definition }, recipe) in text.columns.iter().zip(recipes) {
            chunks.push(recipe.encode::<ByteArrayType>(next(), values, Some(definition), None)?);
        }

        let levels = (
            Some(text.definition.as_slice()),
            Some(text.repetition.as_slice()),
        );

        chunks.push(
            self.text
                .encode::<ByteArrayType>(next(), &text.keys, levels.0, levels.1)?,
        );

        chunks.push(
            self.text
                .encode::<ByteArrayType>(next(), &text.values, levels.0, levels.1)?,
        );

        let number = |column, read: fn(&SeriesRows) -> i64| {
            let values: Vec<i64> = rows.iter().map(|row| read(&row.rows)).collect();
            self.number.encode::<Int64Type>(column, &values, None, None)
        };

        chunks.push(number(next(), |rows| rows.samples.start.cast_signed())?);
        chunks.push(number(next(), |rows| length(&rows.samples))?);
        chunks.push(number(next(), |rows| rows.min_ts_ms)?);
        chunks.push(number(next(), |rows| rows.max_ts_ms)?);

        let srefs: Vec<i32> = (first..first + rows.len())
            .filter_map(|row| u32::try_from(row).ok())
            .map(u32::cast_signed)
            .collect();

        chunks.push(
            self.counted
                .encode::<Int32Type>(next(), &srefs, None, None)?,
        );

        chunks.push(number(next(), |rows| rows.histograms.start.cast_signed())?);
        chunks.push(number(next(), |rows| length(&rows.histograms))?);
        chunks.push(number(next(), |rows| rows.exemplars.start.cast_signed())?);
        chunks.push(number(next(), |rows| length(&rows.exemplars))?);

        let ids: Vec<_> = rows
            .iter()
            .map(|row| FixedLenByteArray::from(row.id.to_vec()))
            .collect();

        chunks.push(
            self.id
                .encode::<FixedLenByteArrayType>(next(), &ids, None, None)?,
        );

        Ok(chunks)
    }
}

fn length(rows: &Range<u64>) -> i64 {
    (rows.end - rows.start).cast_signed()
}
