//! Decodes the pages of samples into contiguous times and values.

use std::ops::Range;
use std::sync::Arc;

use duramen_model::STALE_NAN;
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

    /// Appends the values of `rows` rows. Each is in one of the two columns; a row without a value
    /// in either is the stale marker.
    fn merge(&self, rows: usize, out: &mut Vec<f64>) -> Result<()> {
        let malformed = |what: &str| ParquetError::General(what.to_owned());
        let levels = [&self.is_integer, &self.is_float];

        if self.exponents.len() != rows || levels.iter().any(|levels| levels.len() != rows) {
            return Err(malformed("a column has another number of rows than asked"));
        }

        if self.floats.is_empty() && self.integers.len() == rows {
            out.extend(
                self.integers
                    .iter()
                    .zip(&self.exponents)
                    .map(|(i, e)| unscaled(*i, *e)),
            );

            return Ok(());
        }

        if self.integers.is_empty() && self.floats.len() == rows {
            out.extend_from_slice(&self.floats);
            return Ok(());
        }

        let mut integers = self.integers.iter();
        let mut floats = self.floats.iter();

        for ((is_integer, is_float), exponent) in self
            .is_integer
            .iter()
            .zip(&self.is_float)
            .zip(&self.exponents)
        {
            let value = match (is_integer, is_float) {
                (1, 0) => integers.next().map(|integer| unscaled(*integer, *exponent)),
                (0, 1) => floats.next().copied(),
                (0, 0) => Some(STALE_NAN),
                _ => return Err(malformed("a row has both an integer and a float")),
            };

            let absent = || malformed("a column has fewer values than its levels say");
            out.push(value.ok_or_else(absent)?);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads rows of an integer, a float, or neither. The exponent of an integer is 1.
    fn merged(rows: &[(Option<i64>, Option<f64>)]) -> Result<Vec<u64>> {
        let mut scratch = Scratch::with_capacity(rows.len());
        for (integer, float) in rows {
            scratch.integers.extend(*integer);
            scratch.is_integer.push(i16::from(integer.is_some()));
            scratch.exponents.push(i32::from(integer.is_some()));
            scratch.floats.extend(*float);
            scratch.is_float.push(i16::from(float.is_some()));
        }

        let mut out = Vec::new();
        scratch.merge(rows.len(), &mut out)?;
        Ok(out.into_iter().map(f64::to_bits).collect())
    }

    #[test]
    fn a_row_without_a_value_is_the_stale_marker() {
        let int = (Some(15), None);
        let float = (None, Some(0.3));
        let stale = (None, None);
        let bits = [1.5f64.to_bits(), 0.3f64.to_bits(), STALE_NAN.to_bits()];
        let [i, f, s] = bits;

        for (rows, expected) in [
            (vec![stale], vec![s]),
            (vec![int, int], vec![i, i]),
            (vec![float, float], vec![f, f]),
            (vec![int, stale, int], vec![i, s, i]),
            (vec![float, stale], vec![f, s]),
            (vec![stale, stale], vec![s, s]),
            (vec![int, stale, float, int], vec![i, s, f, i]),
        ] {
            assert_eq!(merged(&rows).unwrap(), expected, "{rows:?}");
        }
    }

    #[test]
    fn a_row_with_two_values_is_refused() {
        let both = (Some(15), Some(0.3));

        for rows in [
            vec![both],
            vec![both, (None, None)],
            vec![(None, None), both],
        ] {
            let error = merged(&rows).unwrap_err().to_string();
            assert!(error.contains("both an integer and a float"), "{error}");
        }
    }
}
