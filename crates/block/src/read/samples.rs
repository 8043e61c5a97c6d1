//! Decodes the pages of samples into contiguous times and values.

use std::ops::Range;

use duramen_model::STALE_NAN;
use duramen_source::{Floats, Lives};
use parquet::basic::Type as Physical;
use parquet::errors::Result;
use parquet::file::metadata::ParquetMetaData;

use crate::layout::decimal::{EXPONENT_MAX, unscaled};
use crate::layout::schema::sample;
use crate::read::column::Column;
use crate::read::cut::Cut;
use crate::read::fetch::SparseFile;
use crate::read::pages::{ChunkLayout, Pages, Unpacker};
use crate::read::plan::{self, GroupRows};
use crate::read::values::{self, Indexed, Integers, Unread};
use crate::read::varint::malformed;

/// At most so many times are decoded before their rows are asked for: a page as we write it.
const AHEAD_ROWS_MAX: usize = 64 << 10;

/// What is read of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Depth {
    #[default]
    Values,
    /// Only which of them are stale markers. Any other value is 0.
    StaleMarkers,
}

/// The samples of one batch, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) ts: Vec<i64>,
    pub(crate) values: Vec<f64>,
    pub(crate) lives: Lives,
    depth: Depth,
}

/// Memory that is reused from row group to row group.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    unpacker: Unpacker,
    ts: Pages,
    integers: Pages,
    exponents: Pages,
    floats: Pages,
    lives: Pages,
    times: Times,
    goes_on: bool,
}

/// Times that are decoded. Pages of times are larger than the pieces of a batch, so the rest of a
/// page is kept for the next piece.
#[derive(Debug, Default)]
struct Times {
    /// The file and the row group. `None`: nothing is kept.
    of: Option<(SparseFile, usize)>,
    /// The rows that are kept.
    rows: Range<usize>,
    /// The times of these rows, behind `start` times that are not needed any more.
    ts: Vec<i64>,
    start: usize,
}

impl Times {
    /// Drops what lies in front of `row`. If `row` is not there, everything is dropped.
    fn begin_at(&mut self, row: usize, file: &SparseFile, group: usize) {
        let is_same = |(of, at): (SparseFile, usize)| of.is(file) && at == group;

        if self.of.take().is_some_and(is_same) && self.rows.contains(&row) {
            self.start += row - self.rows.start;
            self.rows.start = row;
        } else {
            self.clear();
            self.rows = row..row;
        }

        // What is kept moves to the front only if it is less than what lies in front of it.
        if self.start > self.ts.len() / 2 {
            self.ts.drain(..self.start);
            self.start = 0;
        }
    }

    fn clear(&mut self) {
        self.ts.clear();
        self.start = 0;
    }

    /// Returns the first `length` times.
    fn first(&self, length: usize) -> &[i64] {
        self.ts
            .get(self.start..self.start + length)
            .unwrap_or_default()
    }
}

impl Scratch {
    /// Says whether the rows behind those that are read will be read next.
    pub(crate) const fn go_on(&mut self, goes_on: bool) {
        self.goes_on = goes_on;
    }

    /// Decodes the times of the rows `wanted`. They are the first of [`Times`] then.
    fn read_times(
        &mut self,
        chunk: &ChunkLayout<'_>,
        file: &SparseFile,
        wanted: &GroupRows,
    ) -> Result<()> {
        let [rows] = &wanted.rows[..] else {
            self.times.of = None;
            self.times.clear();
            return self.append_times(chunk, file, &wanted.rows);
        };

        self.times.begin_at(rows.start, file, wanted.group);
        let from = self.times.rows.end;

        if from < rows.end {
            let mut behind = rows.end;
            if self.goes_on {
                behind = chunk.page_end(rows.end).min(rows.end + AHEAD_ROWS_MAX);
            }

            self.append_times(chunk, file, std::slice::from_ref(&(from..behind)))?;
            self.times.rows.end = behind;
        }

        self.times.of = Some((file.clone(), wanted.group));
        Ok(())
    }

    fn append_times(
        &mut self,
        chunk: &ChunkLayout<'_>,
        file: &SparseFile,
        rows: &[Range<usize>],
    ) -> Result<()> {
        self.ts.load(chunk, file, rows, &mut self.unpacker)?;
        append_ts(Column::new(&self.ts), rows, &mut self.times.ts)
    }
}

#[cfg(test)]
impl Scratch {
    /// How many bytes are kept for decompressed pages.
    fn memory(&self) -> usize {
        let Self {
            ts,
            integers,
            exponents,
            floats,
            lives,
            ..
        } = self;

        [ts, integers, exponents, floats, lives]
            .map(Pages::memory)
            .iter()
            .sum()
    }
}

impl Samples {
    pub(crate) fn with_capacity(samples: usize) -> Self {
        Self {
            ts: Vec::with_capacity(samples),
            values: Vec::with_capacity(samples),
            ..Self::default()
        }
    }

    /// The same samples, of whose values so much is read.
    pub(crate) fn read_to(self, depth: Depth) -> Self {
        Self { depth, ..self }
    }

    /// Appends the rows `wanted`, whose pages are in `file`. `lives` are the columns of life spans
    /// that are read too. With `cut`, only the rows that it keeps are appended, and only their
    /// values are decoded.
    pub(crate) fn append(
        &mut self,
        parsed: &ParquetMetaData,
        file: &SparseFile,
        wanted: &GroupRows,
        lives: &[usize],
        cut: Option<&mut Cut>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let first = self.ts.len();
        let chunk = ChunkLayout::of(parsed, wanted.group, sample::TS, Physical::INT64)?;
        scratch.read_times(&chunk, file, wanted)?;
        let length = wanted.rows.iter().map(Range::len).sum();
        let ts = scratch.times.first(length);

        let Some(cut) = cut else {
            self.ts.extend_from_slice(ts);
            return self.append_values(parsed, file, wanted, lives, first, scratch);
        };

        let rows = cut.keep(&wanted.rows, ts, &mut self.ts);

        if rows.is_empty() {
            return Ok(());
        }

        let kept = GroupRows {
            group: wanted.group,
            rows,
        };
        self.append_values(parsed, file, &kept, lives, first, scratch)
    }

    /// Appends the values and life spans of the rows `wanted`. The first of them is sample `first`.
    fn append_values(
        &mut self,
        parsed: &ParquetMetaData,
        file: &SparseFile,
        wanted: &GroupRows,
        lives: &[usize],
        first: usize,
        scratch: &mut Scratch,
    ) -> Result<()> {
        match self.depth {
            Depth::Values => self.append_numbers(parsed, file, wanted, scratch)?,
            Depth::StaleMarkers => self.append_stale_markers(parsed, file, wanted, scratch)?,
        }

        for &column in lives
            .iter()
            .filter(|column| plan::has_values(parsed, wanted.group, **column))
        {
            let target = if column == sample::TTL {
                &mut self.lives.ttls
            } else {
                &mut self.lives.starts
            };

            let pages = &mut scratch.lives;
            let chunk = ChunkLayout::of(parsed, wanted.group, column, Physical::INT64)?;
            pages.load(&chunk, file, &wanted.rows, &mut scratch.unpacker)?;
            append_lives(Column::new(pages), &wanted.rows, first, target)?;
        }

        Ok(())
    }

    /// Appends the values of the rows `wanted`.
    fn append_numbers(
        &mut self,
        parsed: &ParquetMetaData,
        file: &SparseFile,
        wanted: &GroupRows,
        scratch: &mut Scratch,
    ) -> Result<()> {
        for (column, physical, pages) in [
            (sample::VALUE_INT, Physical::INT64, &mut scratch.integers),
            (sample::EXPONENT, Physical::INT32, &mut scratch.exponents),
            (sample::VALUE, Physical::DOUBLE, &mut scratch.floats),
        ] {
            let chunk = ChunkLayout::of(parsed, wanted.group, column, physical)?;
            pages.load(&chunk, file, &wanted.rows, &mut scratch.unpacker)?;
        }

        let mut values = ValueColumns {
            integers: Column::new(&scratch.integers),
            exponents: Column::new(&scratch.exponents),
            floats: Column::new(&scratch.floats),
        };

        for rows in &wanted.rows {
            values.append(rows.clone(), &mut self.values)?;
        }

        Ok(())
    }

    /// Appends a stale marker or 0 for each of the rows `wanted`. No value is decoded.
    fn append_stale_markers(
        &mut self,
        parsed: &ParquetMetaData,
        file: &SparseFile,
        wanted: &GroupRows,
        scratch: &mut Scratch,
    ) -> Result<()> {
        for (column, physical, pages) in [
            (sample::VALUE_INT, Physical::INT64, &mut scratch.integers),
            (sample::VALUE, Physical::DOUBLE, &mut scratch.floats),
        ] {
            let chunk = ChunkLayout::of(parsed, wanted.group, column, physical)?;
            pages.load(&chunk, file, &wanted.rows, &mut scratch.unpacker)?;
        }

        let mut integers = Column::<Unread>::new(&scratch.integers);
        let mut floats = Column::<Unread>::new(&scratch.floats);

        for rows in &wanted.rows {
            let mut row = rows.start;

            while row < rows.end {
                let (is_integer, of_integers) = integers.run(row)?;
                let (is_float, of_floats) = floats.run(row)?;
                let run = (rows.end - row).min(of_integers).min(of_floats);
                integers.take(run)?;
                floats.take(run)?;

                let value = if is_integer || is_float {
                    0.0
                } else {
                    STALE_NAN
                };
                self.values.resize(self.values.len() + run, value);
                row += run;
            }
        }

        Ok(())
    }

    /// Returns all columns. A column of life spans has one value for each sample, or is absent if
    /// no sample has a value.
    pub(crate) fn into_columns(mut self, offsets: Vec<i32>) -> Floats {
        for column in [&mut self.lives.starts, &mut self.lives.ttls]
            .into_iter()
            .flatten()
        {
            column.resize(self.ts.len(), 0);
        }

        Floats {
            offsets,
            ts: self.ts.into(),
            values: self.values.into(),
            lives: self.lives,
        }
    }
}

/// Appends the times of the rows `wanted`.
fn append_ts<'a>(
    mut column: Column<'a, Integers<'a>>,
    wanted: &[Range<usize>],
    out: &mut Vec<i64>,
) -> Result<()> {
    for rows in wanted {
        let mut row = rows.start;

        while row < rows.end {
            let (_, run) = column.run(row)?;
            let run = run.min(rows.end - row);
            column.take(run)?.read(run, out)?;
            row += run;
        }
    }

    Ok(())
}

/// Appends the life spans of the rows `wanted`: 0 for a row without a value. The first of the rows
/// is sample `first` of the batch.
fn append_lives<'a>(
    mut column: Column<'a, Integers<'a>>,
    wanted: &[Range<usize>],
    first: usize,
    out: &mut Option<Vec<i64>>,
) -> Result<()> {
    let mut sample = first;

    for rows in wanted {
        let mut row = rows.start;

        while row < rows.end {
            let (has_value, run) = column.run(row)?;
            let run = run.min(rows.end - row);
            let values = column.take(run)?;

            if has_value {
                let out = out.get_or_insert_default();
                out.resize(sample, 0);
                values.read(run, out)?;
            }

            row += run;
            sample += run;
        }
    }

    Ok(())
}

/// The columns that make a value.
struct ValueColumns<'a> {
    integers: Column<'a, Integers<'a>>,
    exponents: Column<'a, Indexed<'a>>,
    floats: Column<'a, values::Floats<'a>>,
}

impl ValueColumns<'_> {
    /// Appends the values of `rows`. Each is an integer with an exponent, or a float. A row with
    /// neither is the stale marker.
    ///
    /// Rows are decoded run by run: as long as the same column has the value, and the exponent
    /// stays.
    fn append(&mut self, rows: Range<usize>, out: &mut Vec<f64>) -> Result<()> {
        let mut row = rows.start;

        while row < rows.end {
            let (is_integer, integers) = self.integers.run(row)?;
            let (is_float, floats) = self.floats.run(row)?;
            let (_, in_page) = self.exponents.run(row)?;
            let (exponent, exponents) = self.exponents.take(0)?.peek()?;
            let run = [integers, floats, in_page, exponents]
                .into_iter()
                .fold(rows.end - row, usize::min);

            let integers = self.integers.take(run)?;
            let floats = self.floats.take(run)?;
            self.exponents.take(run)?.pass(run);

            match (is_integer, is_float) {
                (true, false) => append_decimals(integers, exponent, run, out)?,
                (false, true) => floats.read(run, out)?,
                (false, false) => out.resize(out.len() + run, STALE_NAN),
                (true, true) => return Err(malformed("a row has both an integer and a float")),
            }

            row += run;
        }

        Ok(())
    }
}

/// Appends the next `count` integers, divided by 10^exponent.
fn append_decimals(
    integers: &mut Integers<'_>,
    exponent: i32,
    count: usize,
    out: &mut Vec<f64>,
) -> Result<()> {
    if !(0..=i32::from(EXPONENT_MAX)).contains(&exponent) {
        return Err(malformed("an exponent is not 0 to 22"));
    }

    // The division takes longer than everything else, and by 1 it changes nothing.
    if exponent == 0 {
        integers.visit(count, |some| {
            out.extend(some.iter().map(|i| unscaled(*i, 0)))
        })
    } else {
        integers.visit(count, |some| {
            out.extend(some.iter().map(|i| unscaled(*i, exponent)));
        })
    }
}

#[cfg(test)]
mod tests;
