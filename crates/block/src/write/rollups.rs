//! The row groups of `rollups.parquet`.

use duramen_source::rollup::row::RollupRow;
use parquet::basic::Encoding;
use parquet::data_type::{DoubleType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::schema::types::TypePtr;

use crate::layout::decimal::{POWERS, scale_of, scaled};
use crate::layout::file_names::ROLLUPS_FILE;
use crate::layout::schema;
use crate::write::encode::{Chunk, Recipe};
use crate::write::levels::Optional;
use crate::write::options::WriterOptions;
use crate::write::row_groups::GroupsWriter;
use crate::write::rows_file::RowGroup;

/// A row group ends at so many rows: about 130 KiB. Its columns are many and thin, so it is read as
/// a whole by one GET. Larger ones make a reader of one metric read its neighbours.
const GROUP_ROWS_MAX: usize = 16 << 10;
/// A sum of decimals is a decimal if it is so near to one, relative to its size. The rest are the
/// rounding errors of its floats.
const SUM_ROUNDING: f64 = 4.0 * f64::EPSILON;

/// A row group of rollups, each row with its series.
pub(crate) struct RollupsGroup {
    recipes: Recipes,
    buffer: Buffer,
}

/// The rows of one series, with the exponent of their integers.
#[derive(Clone, Copy)]
pub(crate) struct RollupRows<'a> {
    rows: &'a [RollupRow],
    exponent: u8,
}

impl<'a> RollupRows<'a> {
    pub(crate) fn new(rows: &'a [RollupRow]) -> Self {
        let filled = rows.iter().filter(|row| row.count > 0);
        let values: Vec<f64> = filled.flat_map(|row| [row.first, row.last]).collect();

        Self {
            rows,
            exponent: scale_of(&values),
        }
    }
}

struct Recipes {
    /// Whole numbers whose smallest and largest are in the footer.
    bounded: Recipe,
    integer: Recipe,
    float: Recipe,
    exponent: Recipe,
}

/// The rows of the row group that is being filled.
#[derive(Default)]
struct Buffer {
    sref: Vec<i32>,
    ts: Vec<i64>,
    count: Vec<i64>,
    first_ts: Optional<Int64Type>,
    last_ts: Optional<Int64Type>,
    before_last_ts: Optional<Int64Type>,
    stale_ts: Optional<Int64Type>,
    exponent: Vec<i32>,
    first: Values,
    last: Values,
    min: Values,
    max: Values,
    sum: Values,
    corrections: Values,
    resets: Vec<i64>,
    changes: Vec<i64>,
    histograms: Vec<i64>,
}

/// One number of each row: as an integer, as a float, or none.
#[derive(Default)]
struct Values {
    integers: Optional<Int64Type>,
    floats: Optional<DoubleType>,
}

impl RowGroup for RollupsGroup {
    const FILE: &'static str = ROLLUPS_FILE;

    type Rows<'a> = RollupRows<'a>;

    fn schema() -> Result<TypePtr> {
        schema::rollups()
    }

    fn new(options: &WriterOptions) -> Result<Self> {
        let level = options.zstd_level;
        let encoded = |encoding| Recipe::encoded(level, usize::MAX, encoding);

        let recipes = Recipes {
            bounded: encoded(Encoding::DELTA_BINARY_PACKED)?.with_statistics(),
            integer: encoded(Encoding::DELTA_BINARY_PACKED)?,
            float: encoded(Encoding::BYTE_STREAM_SPLIT)?,
            exponent: Recipe::dictionary(level, usize::MAX)?,
        };

        Ok(Self {
            recipes,
            buffer: Buffer::default(),
        })
    }

    fn count(rows: &RollupRows<'_>) -> usize {
        rows.rows.len()
    }

    fn take(&mut self, sref: u32, rows: &mut RollupRows<'_>, rows_max: usize) -> usize {
        let room = GROUP_ROWS_MAX.saturating_sub(self.rows()).max(1);
        let length = rows.rows.len().min(rows_max).min(room);
        let (taken, rest) = rows.rows.split_at(length);
        rows.rows = rest;

        for row in taken {
            self.buffer.push(sref, row, rows.exponent);
        }

        length
    }

    fn rows(&self) -> usize {
        self.buffer.ts.len()
    }

    fn is_full(&self, _in_series: bool) -> bool {
        self.rows() >= GROUP_ROWS_MAX
    }

    fn encode(&mut self, file: &GroupsWriter) -> Result<Vec<Chunk>> {
        std::mem::take(&mut self.buffer).encode(&self.recipes, file)
    }
}

impl Buffer {
    fn push(&mut self, sref: u32, row: &RollupRow, exponent: u8) {
        let is_filled = row.count > 0;
        let if_filled = |value| is_filled.then_some(value);
        let unless_same =
            |value: f64, same: f64| (value.to_bits() != same.to_bits()).then_some(value);

        self.sref.push(sref.cast_signed());
        self.ts.push(row.end_ms);
        self.count.push(row.count.cast_signed());
        self.first_ts.push(is_filled.then_some(row.first_ms));
        self.last_ts.push(is_filled.then_some(row.last_ms));
        self.before_last_ts.push(row.before_last_ms);
        self.stale_ts.push(row.stale_ms);
        self.exponent.push(i32::from(exponent));

        self.first.push(if_filled(row.first), exponent);
        self.last.push(if_filled(row.last), exponent);
        self.min.push(unless_same(row.min, row.first), exponent);
        self.max.push(unless_same(row.max, row.last), exponent);
        self.sum.push_sum(if_filled(row.sum), exponent);
        // Not as a sum: what is left of a difference must not have its rounding errors.
        self.corrections
            .push(unless_same(row.corrections, 0.0), exponent);

        self.resets.push(row.resets.cast_signed());
        self.changes.push(row.changes.cast_signed());
        self.histograms.push(row.histograms.cast_signed());
    }

    /// Encodes the chunks of all columns, in the order of [`schema::rollups`].
    fn encode(mut self, recipes: &Recipes, file: &GroupsWriter) -> Result<Vec<Chunk>> {
        let Recipes {
            bounded,
            integer,
            float,
            exponent,
        } = recipes;

        let rows = self.ts.len();
        let mut next = 0..;
        let mut column = || file.column(next.next().unwrap_or(usize::MAX));

        let mut chunks = vec![
            bounded.encode::<Int32Type>(&column(), &self.sref, None, None)?,
            bounded.encode::<Int64Type>(&column(), &self.ts, None, None)?,
            integer.encode::<Int64Type>(&column(), &self.count, None, None)?,
            self.first_ts.encode(integer, &column(), rows)?,
            self.last_ts.encode(integer, &column(), rows)?,
            self.before_last_ts.encode(integer, &column(), rows)?,
            self.stale_ts.encode(integer, &column(), rows)?,
            exponent.encode::<Int32Type>(&column(), &self.exponent, None, None)?,
        ];

        let mut values = [
            self.first,
            self.last,
            self.min,
            self.max,
            self.sum,
            self.corrections,
        ];

        for values in &mut values {
            chunks.push(values.integers.encode(integer, &column(), rows)?);
        }
        for values in &mut values {
            chunks.push(values.floats.encode(float, &column(), rows)?);
        }
        for counts in [&self.resets, &self.changes, &self.histograms] {
            chunks.push(integer.encode::<Int64Type>(&column(), counts, None, None)?);
        }

        Ok(chunks)
    }
}

impl Values {
    fn push(&mut self, value: Option<f64>, exponent: u8) {
        let integer = value.and_then(|value| scaled(value, exponent));
        self.put(value, integer);
    }

    /// Adds a sum. One that is a decimal but for rounding errors is stored without them.
    fn push_sum(&mut self, value: Option<f64>, exponent: u8) {
        let integer = value.and_then(|value| near_decimal(value, exponent));
        self.put(value, integer);
    }

    fn put(&mut self, value: Option<f64>, integer: Option<i64>) {
        self.integers.push(integer);
        self.floats.push(value.filter(|_| integer.is_none()));
    }
}

/// Returns the integer of the decimal that `sum` is but for rounding errors.
fn near_decimal(sum: f64, exponent: u8) -> Option<i64> {
    let power = POWERS[usize::from(exponent)];
    let rounded = (sum * power).round_ties_even();
    let decimal = rounded / power;

    if (decimal - sum).abs() > sum.abs() * SUM_ROUNDING {
        return None;
    }

    scaled(decimal, exponent)
}
