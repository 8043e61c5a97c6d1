//! Writes `exemplars.parquet`, row group by row group.

use duramen_model::Exemplar;
use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::Result;

use crate::layout::file_names::EXEMPLARS_FILE;
use crate::layout::schema;
use crate::write::encode::Recipe;
use crate::write::folder::BlockFileWriter;
use crate::write::levels::Lists;
use crate::write::options::WriterOptions;
use crate::write::row_groups::GroupsWriter;
use crate::write::rows_file::RowsWriter;

/// A row group ends at so many (guessed) bytes, or at the rows of the options. It is read as a
/// whole.
const GROUP_BYTES_MAX: usize = 128 << 10;

/// Buffers one row group and encodes it when it is full.
pub(crate) struct ExemplarsWriter {
    file: GroupsWriter,
    recipes: Recipes,
    rows_max: usize,
    buffer: Buffer,
    rows: u64,
}

struct Recipes {
    sref: Recipe,
    ts: Recipe,
    value: Recipe,
    name: Recipe,
    /// Most are ids of traces, each once.
    text: Recipe,
}

/// The rows of the row group that is being filled.
#[derive(Default)]
struct Buffer {
    sref: Vec<i32>,
    ts: Vec<i64>,
    value: Vec<f64>,
    names: Lists<ByteArrayType>,
    texts: Lists<ByteArrayType>,
    /// A guess of the encoded size, from above.
    bytes: usize,
}

impl RowsWriter for ExemplarsWriter {
    const FILE: &'static str = EXEMPLARS_FILE;

    fn create(out: BlockFileWriter, options: &WriterOptions) -> Result<Self> {
        let level = options.zstd_level;
        let encoded = |encoding| Recipe::encoded(level, usize::MAX, encoding);

        let recipes = Recipes {
            sref: encoded(Encoding::DELTA_BINARY_PACKED)?.with_statistics(),
            ts: encoded(Encoding::DELTA_BINARY_PACKED)?,
            value: encoded(Encoding::BYTE_STREAM_SPLIT)?,
            name: Recipe::dictionary(level, usize::MAX)?,
            text: encoded(Encoding::PLAIN)?,
        };

        let file = GroupsWriter::create(out, schema::exemplars()?, level)?;
        Ok(Self {
            file,
            recipes,
            rows_max: options.row_group_rows_max,
            buffer: Buffer::default(),
            rows: 0,
        })
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn finish(mut self) -> Result<()> {
        if !self.buffer.ts.is_empty() {
            self.end_row_group()?;
        }

        self.file.finish()
    }
}

impl ExemplarsWriter {
    /// Appends the exemplars of one series.
    pub(crate) fn push(&mut self, sref: u32, exemplars: &[Exemplar]) -> Result<()> {
        for Exemplar {
            ts_ms,
            value,
            labels,
        } in exemplars
        {
            self.buffer.sref.push(sref.cast_signed());
            self.buffer.ts.push(*ts_ms);
            self.buffer.value.push(*value);
            self.buffer
                .names
                .push(labels.iter().map(|(name, _)| ByteArray::from(name)));
            self.buffer
                .texts
                .push(labels.iter().map(|(_, text)| ByteArray::from(text)));
            self.buffer.bytes += 8 + labels.encoded().len();
            self.rows += 1;

            if self.buffer.ts.len() >= self.rows_max || self.buffer.bytes >= GROUP_BYTES_MAX {
                self.end_row_group()?;
            }
        }

        Ok(())
    }

    fn end_row_group(&mut self) -> Result<()> {
        let Buffer {
            sref,
            ts,
            value,
            names,
            texts,
            ..
        } = std::mem::take(&mut self.buffer);

        let recipes = &self.recipes;
        let column = |index| self.file.column(index);

        let chunks = [
            recipes
                .sref
                .encode::<Int32Type>(&column(0), &sref, None, None)?,
            recipes
                .ts
                .encode::<Int64Type>(&column(1), &ts, None, None)?,
            recipes
                .value
                .encode::<DoubleType>(&column(2), &value, None, None)?,
            names.encode(&recipes.name, &column(3))?,
            texts.encode(&recipes.text, &column(4))?,
        ];

        self.file.append(chunks)
    }
}
