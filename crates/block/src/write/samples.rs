//! Writes `samples.parquet`, row group by row group.

use duramen_model::Life;
use parquet::basic::Encoding;
use parquet::data_type::{DoubleType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::schema::types::ColumnDescPtr;

use crate::layout::decimal;
use crate::layout::file_names::SAMPLES_FILE;
use crate::layout::schema::{self, sample};
use crate::write::encode::{Chunk, Recipe};
use crate::write::folder::BlockFileWriter;
use crate::write::levels::Optional;
use crate::write::options::WriterOptions;
use crate::write::row_groups::GroupsWriter;
use crate::write::rows_file::RowsWriter;

/// So many samples are looked at between two looks at the size of the row group.
const STEP: usize = 1024;

/// Buffers one row group and encodes it when it is full.
pub(crate) struct SamplesWriter {
    file: GroupsWriter,
    recipes: Recipes,
    rows_max: usize,
    bytes_max: usize,
    buffer: Buffer,
    rows: u64,
}

struct Recipes {
    sref: Recipe,
    ts: Recipe,
    value_int: Recipe,
    exponent: Recipe,
    value: Recipe,
    absent: Recipe,
    /// A column of life spans in which a row says something. Its statistics tell a reader that the
    /// pages are worth a look.
    life: Recipe,
}

/// The rows of the row group that is being filled.
#[derive(Default)]
struct Buffer {
    sref: Vec<i32>,
    ts: Vec<i64>,
    integers: Vec<i64>,
    exponents: Vec<i32>,
    floats: Vec<f64>,
    /// 1 where the row has an integer.
    is_integer: Vec<i16>,
    /// 1 where the row has a float.
    is_float: Vec<i16>,
    /// What is said of some rows only.
    start_ts: Optional<Int64Type>,
    ttl: Optional<Int64Type>,
    /// A guess of the encoded size, from above.
    bytes: usize,
}

impl RowsWriter for SamplesWriter {
    const FILE: &'static str = SAMPLES_FILE;

    fn create(out: BlockFileWriter, options: &WriterOptions) -> Result<Self> {
        let level = options.zstd_level;
        let recipes = Recipes {
            sref: Recipe::encoded(level, usize::MAX, Encoding::DELTA_BINARY_PACKED)?
                .with_statistics(),
            ts: Recipe::encoded(level, options.ts_page_rows, Encoding::DELTA_BINARY_PACKED)?,
            value_int: Recipe::encoded(
                level,
                options.value_page_rows,
                Encoding::DELTA_BINARY_PACKED,
            )?
            .with_small_pages(),
            exponent: Recipe::dictionary(level, usize::MAX)?,
            value: Recipe::encoded(level, options.value_page_rows, Encoding::BYTE_STREAM_SPLIT)?
                .with_small_pages(),
            absent: Recipe::encoded(level, usize::MAX, Encoding::PLAIN)?,
            life: Recipe::encoded(level, options.ts_page_rows, Encoding::DELTA_BINARY_PACKED)?
                .with_statistics(),
        };

        Ok(Self {
            file: GroupsWriter::create(out, schema::samples()?, level)?,
            recipes,
            rows_max: options.row_group_rows_max,
            bytes_max: options.row_group_bytes_max,
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

impl SamplesWriter {
    /// Appends the samples of one series; as many times as values, and as many lives or none.
    pub(crate) fn push(
        &mut self,
        sref: u32,
        ts_ms: &[i64],
        values: &[f64],
        lives: &[Life],
    ) -> Result<()> {
        let exponent = decimal::scale_of(values);
        let mut ts_ms = ts_ms;
        let mut values = values;
        let mut lives = lives;

        while !ts_ms.is_empty() {
            let step = STEP
                .min(ts_ms.len())
                .min(self.rows_max - self.buffer.ts.len());
            let (said, later) = lives.split_at(step.min(lives.len()));
            self.buffer.push_lives(said);
            self.buffer
                .push(sref, exponent, &ts_ms[..step], &values[..step]);
            (ts_ms, values, lives) = (&ts_ms[step..], &values[step..], later);
            self.rows += step as u64;

            if self.buffer.ts.len() >= self.rows_max || self.buffer.bytes >= self.bytes_max {
                self.end_row_group()?;
            }
        }

        Ok(())
    }

    fn end_row_group(&mut self) -> Result<()> {
        let Buffer {
            sref,
            ts,
            integers,
            exponents,
            floats,
            is_integer,
            is_float,
            start_ts,
            ttl,
            ..
        } = &mut self.buffer;

        let recipes = &self.recipes;
        let column = |index| self.file.column(index);

        let chunks: [Chunk; 7] = [
            recipes
                .sref
                .encode::<Int32Type>(&column(sample::SREF), sref, None, None)?,
            recipes
                .ts
                .encode::<Int64Type>(&column(sample::TS), ts, None, None)?,
            recipes.value_int.encode::<Int64Type>(
                &column(sample::VALUE_INT),
                integers,
                Some(is_integer),
                None,
            )?,
            recipes.exponent.encode::<Int32Type>(
                &column(sample::EXPONENT),
                exponents,
                None,
                None,
            )?,
            recipes.value.encode::<DoubleType>(
                &column(sample::VALUE),
                floats,
                Some(is_float),
                None,
            )?,
            recipes.encode_said(&column(sample::START_TS), start_ts, ts.len())?,
            recipes.encode_said(&column(sample::TTL), ttl, ts.len())?,
        ];

        self.file.append(chunks)?;
        self.buffer.clear();
        Ok(())
    }
}

impl Recipes {
    /// The chunk of `rows` rows of a column of life spans.
    fn encode_said(
        &self,
        column: &ColumnDescPtr,
        said: &mut Optional<Int64Type>,
        rows: usize,
    ) -> Result<Chunk> {
        said.encode(
            if said.is_empty() {
                &self.absent
            } else {
                &self.life
            },
            column,
            rows,
        )
    }
}

impl Buffer {
    /// What is said of the rows that the next [`Buffer::push`] adds, from the first on.
    fn push_lives(&mut self, lives: &[Life]) {
        for (row, life) in (self.ts.len()..).zip(lives) {
            for (column, said) in [
                (&mut self.start_ts, life.start_ms),
                (&mut self.ttl, life.ttl_ms),
            ] {
                if said != 0 {
                    column.put(row, said);
                    self.bytes += 1;
                }
            }
        }
    }

    fn push(&mut self, sref: u32, exponent: u8, ts_ms: &[i64], values: &[f64]) {
        self.sref
            .resize(self.sref.len() + ts_ms.len(), sref.cast_signed());
        self.ts.extend_from_slice(ts_ms);
        self.exponents.reserve(values.len());

        let mut previous = self.integers.last().copied().unwrap_or(0);
        let mut previous_float = 0u64;

        for &value in values {
            let integer = decimal::scaled(value, exponent);
            self.is_integer.push(i16::from(integer.is_some()));
            self.is_float.push(i16::from(integer.is_none()));

            if let Some(integer) = integer {
                self.integers.push(integer);
                self.exponents.push(i32::from(exponent));
                self.bytes += delta_bytes(integer.wrapping_sub(previous));
                previous = integer;
            } else {
                self.floats.push(value);
                self.exponents.push(0);

                self.bytes += if value.to_bits() == previous_float {
                    0
                } else {
                    7
                };

                previous_float = value.to_bits();
            }
        }

        self.bytes += ts_ms.len() / 4;
    }

    fn clear(&mut self) {
        let Self {
            sref,
            ts,
            integers,
            exponents,
            floats,
            is_integer,
            is_float,
            start_ts,
            ttl,
            bytes,
        } = self;

        sref.clear();
        ts.clear();
        integers.clear();
        exponents.clear();
        floats.clear();
        is_integer.clear();
        is_float.clear();
        start_ts.clear();
        ttl.clear();
        *bytes = 0;
    }
}

/// How many bytes a delta takes, about.
const fn delta_bytes(delta: i64) -> usize {
    (64 - delta.unsigned_abs().leading_zeros() as usize).div_ceil(8)
}
