//! The columns of decoded rows.

use arrow::array::{Array, RecordBatch};
use parquet::errors::ParquetError;

/// Returns the column `name`. An error if it is absent or does not have the type `T`.
pub(crate) fn column<'a, T: Array + 'static>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a T, ParquetError> {
    let column = batch
        .column_by_name(name)
        .and_then(|column| column.as_any().downcast_ref());
    column.ok_or_else(|| {
        ParquetError::General(format!(
            "a column has another type than the format says: {name}"
        ))
    })
}
