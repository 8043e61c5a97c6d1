//! The row groups of `samples.parquet`.

use duramen_model::Life;
use parquet::basic::Encoding;
use parquet::data_type::{DoubleType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::schema::types::{ColumnDescPtr, TypePtr};

use crate::layout::decimal;
use crate::layout::file_names::SAMPLES_FILE;
use crate::layout::schema::{self, sample};
use crate::write::encode::{Chunk, Recipe};
use crate::write::levels::Optional;
use crate::write::options::WriterOptions;
use crate::write::row_groups::GroupsWriter;
use crate::write::rows_file::RowGroup;

/// This many samples are taken between two checks of the row group's size.
const STEP: usize = 1024;

/// A row group of floats, each with its series. Decimals are stored as integers.
pub(crate) struct SamplesGroup {
    recipes: Recipes,
    buffer: Buffer,
    bytes_max: usize,
}

/// The floats of one series.
pub(crate) struct FloatRows<'a> {
    ts_ms: &'a [i64],
    values: &'a [f64],
    lives: &'a [Life],
    exponent: u8,
}

impl<'a> FloatRows<'a> {
    /// `values` has one value for each time; `lives` one for each time, or none at all.
    pub(crate) fn new(ts_ms: &'a [i64], values: &'a [f64], lives: &'a [Life]) -> Self {
        Self {
            ts_ms,
            values,
            lives,
            exponent: decimal::scale_of(values),
        }
    }

    /// Removes the first `rows` and returns them.
    fn split_off(&mut self, rows: usize) -> Self {
        let (ts_ms, later_ts_ms) = self.ts_ms.split_at(rows);
        let (values, later_values) = self.values.split_at(rows);
        let (lives, later_lives) = self.lives.split_at(rows.min(self.lives.len()));
        let exponent = self.exponent;

        *self = Self {
            ts_ms: later_ts_ms,
            values: later_values,
            lives: later_lives,
            exponent,
        };

        Self {
            ts_ms,
            values,
            lives,
            exponent,
        }
    }
}

struct Recipes {
    sref: Recipe,
    ts: Recipe,
    value_int: Recipe,
    exponent: Recipe,
    value: Recipe,
    absent: Recipe,
    /// A column of life spans in which some row has a value. Its statistics tell a reader to fetch
    /// the pages.
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
    /// The life spans, which few rows have.
    start_ts: Optional<Int64Type>,
    ttl: Optional<Int64Type>,
    /// An estimate of the encoded size, on the high side.
    bytes: usize,
}

impl RowGroup for SamplesGroup {
    const FILE: &'static str = SAMPLES_FILE;

    type Rows<'a> = FloatRows<'a>;

    fn schema() -> Result<TypePtr> {
        schema::samples()
    }

    fn new(options: &WriterOptions) -> Result<Self> {
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
            recipes,
            buffer: Buffer::default(),
            bytes_max: options.row_group_bytes_max,
        })
    }

    fn take(&mut self, sref: u32, rows: &mut FloatRows<'_>, rows_max: usize) -> usize {
        let step = STEP.min(rows.ts_ms.len()).min(rows_max);
        let taken = rows.split_off(step);
        self.buffer.push_lives(taken.lives);
        self.buffer.push(sref, &taken);
        step
    }

    fn rows(&self) -> usize {
        self.buffer.ts.len()
    }

    fn is_full(&self) -> bool {
        self.buffer.bytes >= self.bytes_max
    }

    fn encode(&mut self, file: &GroupsWriter) -> Result<Vec<Chunk>> {
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
        let column = |index| file.column(index);

        let chunks = vec![
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
            recipes.encode_lives(&column(sample::START_TS), start_ts, ts.len())?,
            recipes.encode_lives(&column(sample::TTL), ttl, ts.len())?,
        ];

        self.buffer.clear();
        Ok(chunks)
    }
}

impl Recipes {
    /// Encodes the chunk of `rows` rows of a column of life spans.
    fn encode_lives(
        &self,
        column: &ColumnDescPtr,
        lives: &mut Optional<Int64Type>,
        rows: usize,
    ) -> Result<Chunk> {
        lives.encode(
            if lives.is_empty() {
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
    /// Appends the life spans of the rows that the next [`Buffer::push`] appends.
    fn push_lives(&mut self, lives: &[Life]) {
        for (row, life) in (self.ts.len()..).zip(lives) {
            for (column, value) in [
                (&mut self.start_ts, life.start_ms),
                (&mut self.ttl, life.ttl_ms),
            ] {
                if value != 0 {
                    column.put(row, value);
                    self.bytes += 1;
                }
            }
        }
    }

    fn push(&mut self, sref: u32, rows: &FloatRows<'_>) {
        let FloatRows {
            ts_ms,
            values,
            exponent,
            ..
        } = *rows;

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

/// About how many bytes a delta takes.
const fn delta_bytes(delta: i64) -> usize {
    (64 - delta.unsigned_abs().leading_zeros() as usize).div_ceil(8)
}
