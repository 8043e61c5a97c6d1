//! The row groups of `samples.parquet`.

use std::ops::Range;

use duramen_model::{Life, is_stale};
use parquet::basic::Encoding;
use parquet::data_type::Int64Type;
use parquet::errors::Result;
use parquet::file::statistics::Statistics;
use parquet::schema::types::{ColumnDescPtr, TypePtr};

use crate::layout::decimal;
use crate::layout::file_names::SAMPLES_FILE;
use crate::layout::schema::{self, sample};
use crate::write::delta::{self, Shape};
use crate::write::encode::{Chunk, Recipe};
use crate::write::levels::Optional;
use crate::write::options::WriterOptions;
use crate::write::page::{Compressor, PagesWriter};
use crate::write::page_ends::{self, PageSize, SeriesSize};
use crate::write::page_shape;
use crate::write::row_groups::GroupsWriter;
use crate::write::rows_file::RowGroup;
use crate::write::runs::{self, Runs};

/// This many samples are taken between two checks of the row group's size.
const STEP: usize = 1024;

/// A row group of floats, each with its series. Decimals are stored as integers.
pub(crate) struct SamplesGroup {
    encoder: Encoder,
    lives: LifeRecipes,
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

/// How the columns of life spans are encoded.
struct LifeRecipes {
    /// A column in which no row has a value.
    absent: Recipe,
    /// A column in which some row has a value. Its statistics tell a reader to fetch the pages.
    present: Recipe,
}

/// Encodes the other columns.
struct Encoder {
    compressor: Compressor,
    ts_page: PageSize,
    integer_page: PageSize,
    float_page: PageSize,
    /// The page that is being encoded.
    body: Vec<u8>,
    scratch: Vec<u8>,
}

/// The rows of the row group that is being filled.
#[derive(Default)]
struct Buffer {
    series: Vec<BufferedSeries>,
    sref: Vec<i32>,
    ts: Vec<i64>,
    integers: Vec<i64>,
    exponents: Runs,
    floats: Vec<f64>,
    /// 1 where the row has an integer.
    is_integer: Runs,
    /// 1 where the row has a float. A stale marker has neither.
    is_float: Runs,
    /// The life spans, which few rows have.
    start_ts: Optional<Int64Type>,
    ttl: Optional<Int64Type>,
    /// An estimate of the encoded size, on the high side.
    bytes: usize,
}

/// How much of the row group belongs to one series.
struct BufferedSeries {
    sref: u32,
    rows: usize,
    integers: usize,
    floats: usize,
}

/// In which column a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Integer,
    Float,
    Stale,
}

impl RowGroup for SamplesGroup {
    const FILE: &'static str = SAMPLES_FILE;

    type Rows<'a> = FloatRows<'a>;

    fn schema() -> Result<TypePtr> {
        schema::samples()
    }

    fn new(options: &WriterOptions) -> Result<Self> {
        let level = options.zstd_level;
        let lives = LifeRecipes {
            absent: Recipe::encoded(level, usize::MAX, Encoding::PLAIN)?,
            present: Recipe::encoded(level, options.ts_page_rows, Encoding::DELTA_BINARY_PACKED)?
                .with_statistics(),
        };

        Ok(Self {
            encoder: Encoder::new(options)?,
            lives,
            buffer: Buffer::default(),
            bytes_max: options.row_group_bytes_max,
        })
    }

    fn count(rows: &FloatRows<'_>) -> usize {
        rows.ts_ms.len()
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

    fn is_full(&self, in_series: bool) -> bool {
        self.buffer.bytes >= self.bytes_max * if in_series { 2 } else { 1 }
    }

    fn encode(&mut self, file: &GroupsWriter) -> Result<Vec<Chunk>> {
        let Self {
            encoder,
            lives,
            buffer,
            ..
        } = self;

        let rows = buffer.ts.len();
        let column = |index| file.column(index);

        let chunks = vec![
            encoder.srefs(column(sample::SREF), buffer)?,
            encoder.times(column(sample::TS), buffer)?,
            encoder.integers(column(sample::VALUE_INT), buffer)?,
            encoder.exponents(column(sample::EXPONENT), buffer)?,
            encoder.floats(column(sample::VALUE), buffer)?,
            lives.encode(&column(sample::START_TS), &mut buffer.start_ts, rows)?,
            lives.encode(&column(sample::TTL), &mut buffer.ttl, rows)?,
        ];

        buffer.clear();
        Ok(chunks)
    }
}

impl LifeRecipes {
    /// Encodes the chunk of `rows` rows of a column of life spans.
    fn encode(
        &self,
        column: &ColumnDescPtr,
        lives: &mut Optional<Int64Type>,
        rows: usize,
    ) -> Result<Chunk> {
        lives.encode(
            if lives.is_empty() {
                &self.absent
            } else {
                &self.present
            },
            column,
            rows,
        )
    }
}

impl Encoder {
    fn new(options: &WriterOptions) -> Result<Self> {
        let size = |values| PageSize {
            rows: options.ts_page_rows,
            values,
        };

        Ok(Self {
            compressor: Compressor::new(options.zstd_level)?,
            ts_page: size(options.ts_page_rows),
            integer_page: size(options.integer_page_values),
            float_page: size(options.float_page_values),
            body: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Encodes the number of the series of each row, in one page.
    fn srefs(&mut self, column: ColumnDescPtr, buffer: &Buffer) -> Result<Chunk> {
        let srefs = &buffer.sref;
        let mut pages = PagesWriter::new(column);

        self.body.clear();
        delta::encode(Shape::Exact, srefs, &mut self.body);
        pages.data(
            &mut self.compressor,
            &self.body,
            srefs.len(),
            Encoding::DELTA_BINARY_PACKED,
        )?;

        let first = srefs.first().copied();
        let last = srefs.last().copied();
        let ends = Statistics::int32(first, last, None, Some(0), false);
        pages.close(&self.compressor, Some(ends))
    }

    fn times(&mut self, column: ColumnDescPtr, buffer: &Buffer) -> Result<Chunk> {
        let sizes = buffer.series.iter().map(|series| SeriesSize {
            rows: series.rows,
            values: series.rows,
        });

        let mut pages = PagesWriter::new(column);

        for rows in page_ends::pages(self.ts_page, sizes) {
            self.body.clear();
            self.end_delta_page(&mut pages, &rows, &buffer.ts[rows.clone()])?;
        }

        let min = buffer.ts.iter().min().copied();
        let max = buffer.ts.iter().max().copied();
        let ends = Statistics::int64(min, max, None, Some(0), false);
        pages.close(&self.compressor, Some(ends))
    }

    fn integers(&mut self, column: ColumnDescPtr, buffer: &Buffer) -> Result<Chunk> {
        let sizes = buffer.series.iter().map(|series| SeriesSize {
            rows: series.rows,
            values: series.integers,
        });

        let mut pages = PagesWriter::new(column);
        let mut rest = &buffer.integers[..];

        for rows in page_ends::pages(self.integer_page, sizes) {
            let values = rest.split_off(..self.begin_page(&buffer.is_integer, &rows));
            self.end_delta_page(&mut pages, &rows, values.unwrap_or(&[]))?;
        }

        pages.close(&self.compressor, None)
    }

    fn floats(&mut self, column: ColumnDescPtr, buffer: &Buffer) -> Result<Chunk> {
        let sizes = buffer.series.iter().map(|series| SeriesSize {
            rows: series.rows,
            values: series.floats,
        });

        let mut pages = PagesWriter::new(column);
        let mut rest = &buffer.floats[..];

        for rows in page_ends::pages(self.float_page, sizes) {
            let values = rest.split_off(..self.begin_page(&buffer.is_float, &rows));
            push_byte_streams(values.unwrap_or(&[]), &mut self.body);
            self.end_page(&mut pages, &rows, Encoding::BYTE_STREAM_SPLIT)?;
        }

        pages.close(&self.compressor, None)
    }

    /// Encodes the exponents as a dictionary, in one page.
    fn exponents(&mut self, column: ColumnDescPtr, buffer: &Buffer) -> Result<Chunk> {
        let rows = 0..buffer.exponents.rows();
        let mut dictionary: Vec<u8> = Vec::new();
        let mut indexes = Runs::default();

        for (exponent, rows) in buffer.exponents.within(&rows) {
            let known = dictionary.iter().position(|known| *known == exponent);
            let index = known.unwrap_or_else(|| {
                dictionary.push(exponent);
                dictionary.len() - 1
            });

            indexes.push(u8::try_from(index)?, rows);
        }

        let mut pages = PagesWriter::new(column);
        let words = dictionary.iter().map(|exponent| i32::from(*exponent));

        self.body.clear();
        self.body.extend(words.flat_map(i32::to_le_bytes));
        pages.dictionary(
            &mut self.compressor,
            &self.body,
            u32::try_from(dictionary.len())?,
        )?;

        let largest = dictionary.len().saturating_sub(1).max(1);
        let width = (usize::BITS - largest.leading_zeros()) as usize;

        self.body.clear();
        self.body.push(u8::try_from(width)?);
        runs::encode(width, indexes.within(&rows), &mut self.body);
        self.end_page(&mut pages, &rows, Encoding::RLE_DICTIONARY)?;

        pages.close(&self.compressor, None)
    }

    /// Begins a page of an optional column with the definition levels of `rows`. Returns how many
    /// of them have a value.
    fn begin_page(&mut self, has_value: &Runs, rows: &Range<usize>) -> usize {
        const LENGTH_BYTES: usize = size_of::<u32>();

        self.body.clear();
        self.body.extend([0; LENGTH_BYTES]);
        runs::encode(1, has_value.within(rows), &mut self.body);

        #[expect(
            clippy::cast_possible_truncation,
            reason = "a row group has fewer rows"
        )]
        let length = (self.body.len() - LENGTH_BYTES) as u32;
        self.body[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());

        let values = has_value.within(rows).filter(|(has, _)| *has == 1);
        values.map(|(_, rows)| rows).sum()
    }

    /// Ends the page of `rows` with `values`, in the shape that compresses better.
    fn end_delta_page(
        &mut self,
        pages: &mut PagesWriter,
        rows: &Range<usize>,
        values: &[i64],
    ) -> Result<()> {
        let packed = page_shape::encode_smaller(
            &mut self.compressor,
            values,
            &mut self.body,
            &mut self.scratch,
        )?;

        pages.packed(
            packed,
            self.body.len(),
            rows.len(),
            Encoding::DELTA_BINARY_PACKED,
        )
    }

    fn end_page(
        &mut self,
        pages: &mut PagesWriter,
        rows: &Range<usize>,
        encoding: Encoding,
    ) -> Result<()> {
        pages.data(&mut self.compressor, &self.body, rows.len(), encoding)
    }
}

/// Appends `values` as BYTE_STREAM_SPLIT: the lowest bytes of all values, then the next ones.
fn push_byte_streams(values: &[f64], out: &mut Vec<u8>) {
    for byte in 0..8 {
        out.extend(values.iter().map(|value| value.to_le_bytes()[byte]));
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
        self.bytes += ts_ms.len() / 4;

        let integers_before = self.integers.len();
        let floats_before = self.floats.len();
        self.push_values(values, exponent);

        let integers = self.integers.len() - integers_before;
        let floats = self.floats.len() - floats_before;

        match self.series.last_mut() {
            Some(last) if last.sref == sref => {
                last.rows += values.len();
                last.integers += integers;
                last.floats += floats;
            }
            _ => self.series.push(BufferedSeries {
                sref,
                rows: values.len(),
                integers,
                floats,
            }),
        }
    }

    fn push_values(&mut self, values: &[f64], exponent: u8) {
        let mut previous = self.integers.last().copied().unwrap_or(0);
        let mut previous_float = 0u64;
        let mut run = (Kind::Integer, 0);

        for &value in values {
            let kind = if let Some(integer) = decimal::scaled(value, exponent) {
                self.integers.push(integer);
                self.bytes += delta_bytes(integer.wrapping_sub(previous));
                previous = integer;
                Kind::Integer
            } else if is_stale(value) {
                Kind::Stale
            } else {
                self.floats.push(value);
                self.bytes += if value.to_bits() == previous_float {
                    0
                } else {
                    7
                };

                previous_float = value.to_bits();
                Kind::Float
            };

            if kind == run.0 {
                run.1 += 1;
            } else {
                self.push_run(run.0, run.1, exponent);
                run = (kind, 1);
            }
        }

        self.push_run(run.0, run.1, exponent);
    }

    /// Says in which column the next `rows` values are.
    fn push_run(&mut self, kind: Kind, rows: usize, exponent: u8) {
        let exponent = if kind == Kind::Integer { exponent } else { 0 };
        self.exponents.push(exponent, rows);
        self.is_integer.push((kind == Kind::Integer).into(), rows);
        self.is_float.push((kind == Kind::Float).into(), rows);
    }

    fn clear(&mut self) {
        let Self {
            series,
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

        series.clear();
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
