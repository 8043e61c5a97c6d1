//! Reads samples with the library's reader of columns, which is the reference.

use std::ops::Range;
use std::sync::Arc;

use duramen_model::STALE_NAN_BITS;
use parquet::column::reader::{ColumnReaderImpl, get_column_reader, get_typed_column_reader};
use parquet::data_type::{DataType, DoubleType, Int32Type, Int64Type};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use crate::layout::decimal::unscaled;
use crate::layout::schema::sample;
use crate::read::fetch::SparseFile;

/// Returns the times and the bits of the values.
pub(super) fn samples(
    parsed: &ParquetMetaData,
    file: &SparseFile,
    wanted: &[Range<usize>],
) -> (Vec<i64>, Vec<u64>) {
    let ts = column::<Int64Type>(parsed, file, sample::TS, wanted);
    let integers = column::<Int64Type>(parsed, file, sample::VALUE_INT, wanted);
    let exponents = column::<Int32Type>(parsed, file, sample::EXPONENT, wanted);
    let floats = column::<DoubleType>(parsed, file, sample::VALUE, wanted);

    let values = integers.iter().zip(floats).zip(exponents);
    let bits = values.map(|((integer, float), exponent)| match (integer, float) {
        (Some(integer), None) => unscaled(*integer, exponent.unwrap()).to_bits(),
        (None, Some(float)) => float.to_bits(),
        (None, None) => STALE_NAN_BITS,
        (Some(_), Some(_)) => unreachable!(),
    });

    (ts.into_iter().map(Option::unwrap).collect(), bits.collect())
}

/// Returns the life spans of a column: 0 for a null.
pub(super) fn lives(
    parsed: &ParquetMetaData,
    file: &SparseFile,
    column_index: usize,
    wanted: &[Range<usize>],
) -> Vec<i64> {
    column::<Int64Type>(parsed, file, column_index, wanted)
        .into_iter()
        .map(Option::unwrap_or_default)
        .collect()
}

fn column<T: DataType>(
    parsed: &ParquetMetaData,
    file: &SparseFile,
    column: usize,
    wanted: &[Range<usize>],
) -> Vec<Option<T::T>> {
    let index = &parsed.offset_index().unwrap()[0][column];
    let group = parsed.row_group(0);
    let chunk = group.column(column);
    let pages = SerializedPageReader::new(
        Arc::new(file.clone()),
        chunk,
        usize::try_from(group.num_rows()).unwrap(),
        Some(index.page_locations().clone()),
    );

    let reader = get_column_reader(chunk.column_descr_ptr(), Box::new(pages.unwrap()));
    let mut reader: ColumnReaderImpl<T> = get_typed_column_reader(reader);
    let mut row = 0;
    let mut all = Vec::new();

    for rows in wanted {
        let mut levels = Vec::new();
        let mut values = Vec::new();
        assert_eq!(
            reader.skip_records(rows.start - row).unwrap(),
            rows.start - row
        );
        let (read, ..) = reader
            .read_records(rows.len(), Some(&mut levels), None, &mut values)
            .unwrap();
        assert_eq!(read, rows.len());

        // A column without nulls has no levels.
        levels.resize(rows.len(), 1);
        let mut values = values.into_iter();
        all.extend(
            levels
                .iter()
                .map(|level| if *level == 1 { values.next() } else { None }),
        );
        row = rows.end;
    }

    all
}
