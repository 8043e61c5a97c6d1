//! Decodes the pages of samples into contiguous times and values.

use std::ops::Range;
use std::sync::Arc;

use duramen_source::{Floats, Lives};
use parquet::column::reader::{ColumnReaderImpl, get_column_reader, get_typed_column_reader};
use parquet::data_type::{DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use crate::layout::decimal::unscaled;
use crate::layout::schema::sample;
use crate::read::fetch::SparseFile;
use crate::read::plan::{self, GroupRows};

/// The samples of one batch, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) ts: Vec<i64>,
    pub(crate) values: Vec<f64>,
    pub(crate) lives: Lives,
}

/// Buffers that are reused for each range of rows.
struct Scratch {
    integers: Vec<i64>,
    is_integer: Vec<i16>,
    exponents: Vec<i32>,
    floats: Vec<f64>,
    is_float: Vec<i16>,
}

impl Samples {
    pub(crate) fn with_capacity(samples: usize) -> Self {
        Self {
            ts: Vec::with_capacity(samples),
            values: Vec::with_capacity(samples),
            lives: Lives::default(),
        }
    }

    /// Appends the rows `wanted`, whose pages are in `file`. `lives` are the columns of life spans
    /// that are read too.
    pub(crate) fn append(
        &mut self,
        parsed: &ParquetMetaData,
        file: &SparseFile,
        wanted: &GroupRows,
        lives: &[usize],
    ) -> Result<()> {
        let file = Arc::new(file.clone());
        for &column in lives
            .iter()
            .filter(|column| plan::has_values(parsed, wanted.group, **column))
        {
            let target = if column == sample::TTL {
                &mut self.lives.ttls
            } else {
                &mut self.lives.starts
            };

            append_lives(
                Column::open(parsed, &file, wanted.group, column)?,
                wanted,
                self.ts.len(),
                target,
            )?;
        }

        let mut ts = Column::<Int64Type>::open(parsed, &file, wanted.group, sample::TS)?;
        let mut integers =
            Column::<Int64Type>::open(parsed, &file, wanted.group, sample::VALUE_INT)?;
        let mut exponents =
            Column::<Int32Type>::open(parsed, &file, wanted.group, sample::EXPONENT)?;
        let mut floats = Column::<DoubleType>::open(parsed, &file, wanted.group, sample::VALUE)?;
        let mut scratch =
            Scratch::with_capacity(wanted.rows.iter().map(Range::len).max().unwrap_or(0));

        for rows in &wanted.rows {
            scratch.clear();
            ts.read(rows, None, &mut self.ts)?;
            integers.read(rows, Some(&mut scratch.is_integer), &mut scratch.integers)?;
            exponents.read(rows, None, &mut scratch.exponents)?;
            floats.read(rows, Some(&mut scratch.is_float), &mut scratch.floats)?;
            scratch.merge(rows.len(), &mut self.values)?;
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

/// Appends the life spans of the rows `wanted`: 0 for a row without a value. The first of the rows
/// is sample `first` of the batch.
fn append_lives(
    mut column: Column<Int64Type>,
    wanted: &GroupRows,
    first: usize,
    out: &mut Option<Vec<i64>>,
) -> Result<()> {
    let mut levels = Vec::new();
    let mut values = Vec::new();

    for rows in &wanted.rows {
        column.read(rows, Some(&mut levels), &mut values)?;
    }

    if values.is_empty() {
        return Ok(());
    }

    let mut values = values.into_iter();
    let out = out.get_or_insert_default();
    out.resize(first, 0);

    out.extend(levels.iter().map(|level| {
        if *level == 1 {
            values.next().unwrap_or(0)
        } else {
            0
        }
    }));

    Ok(())
}

impl Scratch {
    fn with_capacity(rows: usize) -> Self {
        Self {
            integers: Vec::with_capacity(rows),
            is_integer: Vec::with_capacity(rows),
            exponents: Vec::with_capacity(rows),
            floats: Vec::with_capacity(rows),
            is_float: Vec::with_capacity(rows),
        }
    }

    fn clear(&mut self) {
        let Self {
            integers,
            is_integer,
            exponents,
            floats,
            is_float,
        } = self;

        integers.clear();
        is_integer.clear();
        exponents.clear();
        floats.clear();
        is_float.clear();
    }

    /// Appends the values of `rows` rows. Each is in exactly one of the two columns.
    fn merge(&self, rows: usize, out: &mut Vec<f64>) -> Result<()> {
        let malformed = || {
            ParquetError::General("a row has both an integer and a float, or neither".to_owned())
        };
        if self.integers.len() + self.floats.len() != rows || self.exponents.len() != rows {
            return Err(malformed());
        }

        if self.floats.is_empty() {
            out.extend(
                self.integers
                    .iter()
                    .zip(&self.exponents)
                    .map(|(i, e)| unscaled(*i, *e)),
            );

            return Ok(());
        }

        if self.integers.is_empty() {
            out.extend_from_slice(&self.floats);
            return Ok(());
        }

        let mut integers = self.integers.iter();
        let mut floats = self.floats.iter();

        for (is_integer, exponent) in self.is_integer.iter().zip(&self.exponents) {
            let value = if *is_integer == 1 {
                integers.next().map(|integer| unscaled(*integer, *exponent))
            } else {
                floats.next().copied()
            };

            out.push(value.ok_or_else(malformed)?);
        }

        Ok(())
    }
}

/// One column of one row group, read forwards.
struct Column<T: DataType> {
    reader: ColumnReaderImpl<T>,
    row: usize,
}

impl<T: DataType> Column<T> {
    fn open(
        parsed: &ParquetMetaData,
        file: &Arc<SparseFile>,
        group: usize,
        column: usize,
    ) -> Result<Self> {
        let absent = || ParquetError::General("a column has no offset index".to_owned());
        let index = parsed
            .offset_index()
            .and_then(|groups| groups.get(group)?.get(column))
            .ok_or_else(absent)?;

        let group = parsed.row_group(group);
        let chunk = group.columns().get(column).ok_or_else(absent)?;

        if chunk.column_type() != T::get_physical_type() {
            return Err(ParquetError::General(
                "a column has another type than the format says".to_owned(),
            ));
        }

        let rows = usize::try_from(group.num_rows()).unwrap_or(0);
        let pages = SerializedPageReader::new(
            Arc::clone(file),
            chunk,
            rows,
            Some(index.page_locations().clone()),
        )?;

        let reader = get_column_reader(chunk.column_descr_ptr(), Box::new(pages));
        Ok(Self {
            reader: get_typed_column_reader(reader),
            row: 0,
        })
    }

    /// Appends `rows`, which must lie behind the rows that were read before. `levels` is needed for
    /// a column with nulls.
    fn read(
        &mut self,
        rows: &Range<usize>,
        levels: Option<&mut Vec<i16>>,
        out: &mut Vec<T::T>,
    ) -> Result<()> {
        let skip = rows.start - self.row;
        let skipped = self.reader.skip_records(skip)?;
        let (read, _, _) = self.reader.read_records(rows.len(), levels, None, out)?;

        if skipped != skip || read != rows.len() {
            return Err(ParquetError::EOF(
                "a column ends before its row group".to_owned(),
            ));
        }

        self.row = rows.end;
        Ok(())
    }
}
