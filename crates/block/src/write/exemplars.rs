//! The row groups of `exemplars.parquet`.

use duramen_model::Exemplar;
use parquet::basic::Encoding;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::schema::types::TypePtr;

use crate::layout::file_names::EXEMPLARS_FILE;
use crate::layout::schema;
use crate::write::encode::{Chunk, Recipe};
use crate::write::levels::Lists;
use crate::write::options::WriterOptions;
use crate::write::row_groups::GroupsWriter;
use crate::write::rows_file::RowGroup;

/// A row group ends at about this many bytes, or at the rows of the options. It is read as a whole.
const GROUP_BYTES_MAX: usize = 128 << 10;

/// A row group of exemplars, each with its series.
pub(crate) struct ExemplarsGroup {
    recipes: Recipes,
    buffer: Buffer,
}

struct Recipes {
    sref: Recipe,
    ts: Recipe,
    value: Recipe,
    name: Recipe,
    /// Values of labels. Most are trace ids, each of which appears once.
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
    /// An estimate of the encoded size, on the high side.
    bytes: usize,
}

impl RowGroup for ExemplarsGroup {
    const FILE: &'static str = EXEMPLARS_FILE;

    type Rows<'a> = &'a [Exemplar];

    fn schema() -> Result<TypePtr> {
        schema::exemplars()
    }

    fn new(options: &WriterOptions) -> Result<Self> {
        let level = options.zstd_level;
        let encoded = |encoding| Recipe::encoded(level, usize::MAX, encoding);

        let recipes = Recipes {
            sref: encoded(Encoding::DELTA_BINARY_PACKED)?.with_statistics(),
            ts: encoded(Encoding::DELTA_BINARY_PACKED)?.with_statistics(),
            value: encoded(Encoding::BYTE_STREAM_SPLIT)?,
            name: Recipe::dictionary(level, usize::MAX)?,
            text: encoded(Encoding::PLAIN)?,
        };

        Ok(Self {
            recipes,
            buffer: Buffer::default(),
        })
    }

    fn count(rows: &&[Exemplar]) -> usize {
        rows.len()
    }

    fn take(&mut self, sref: u32, rows: &mut &[Exemplar], _rows_max: usize) -> usize {
        let Some(exemplar) = rows.split_off_first() else {
            return 0;
        };

        self.buffer.push(sref, exemplar);
        1
    }

    fn rows(&self) -> usize {
        self.buffer.ts.len()
    }

    fn is_full(&self, _in_series: bool) -> bool {
        self.buffer.bytes >= GROUP_BYTES_MAX
    }

    fn encode(&mut self, file: &GroupsWriter) -> Result<Vec<Chunk>> {
        let Buffer {
            sref,
            ts,
            value,
            names,
            texts,
            ..
        } = std::mem::take(&mut self.buffer);

        let recipes = &self.recipes;
        let column = |index| file.column(index);

        Ok(vec![
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
        ])
    }
}

impl Buffer {
    fn push(&mut self, sref: u32, exemplar: &Exemplar) {
        let Exemplar {
            ts_ms,
            value,
            labels,
        } = exemplar;

        let names = labels.iter().map(|(name, _)| ByteArray::from(name));
        let texts = labels.iter().map(|(_, text)| ByteArray::from(text));

        self.sref.push(sref.cast_signed());
        self.ts.push(*ts_ms);
        self.value.push(*value);
        self.names.push(names);
        self.texts.push(texts);
        self.bytes += 8 + labels.encoded().len();
    }
}
