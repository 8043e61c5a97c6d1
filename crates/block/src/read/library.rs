//! Calls the reader of the Parquet library. It panics on some pages that no writer makes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::errors::{ParquetError, Result};

/// Returns what `decode` returns, or an error if it panics. What `decode` changes must not be used
/// after an error.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        let what = "the Parquet library met a page that it cannot decode";
        Err(ParquetError::General(what.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::RecordBatch;
    use bytes::Bytes;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::basic::{Encoding, Repetition, Type as Physical};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::types::{SchemaDescriptor, Type};

    use super::*;
    use crate::write::page::{Compressor, PagesWriter};

    /// A file with one column of one chunk: the dictionary `["a"]`, and a page of one row with
    /// `body`, which says that its values are indexes into the dictionary.
    fn file(body: &[u8]) -> Bytes {
        let text = Type::primitive_type_builder("text", Physical::BYTE_ARRAY)
            .with_repetition(Repetition::REQUIRED)
            .build()
            .unwrap();
        let schema = Type::group_type_builder("file")
            .with_fields(vec![Arc::new(text)])
            .build()
            .unwrap();

        let schema = Arc::new(schema);
        let column = SchemaDescriptor::new(Arc::clone(&schema)).column(0);
        let mut compressor = Compressor::new(1).unwrap();
        let mut pages = PagesWriter::new(column);
        pages
            .dictionary(&mut compressor, b"\x01\0\0\0a", 1)
            .unwrap();
        pages
            .data(&mut compressor, body, 1, Encoding::RLE_DICTIONARY)
            .unwrap();

        let chunk = pages.close(&compressor, None).unwrap();
        let properties = Arc::new(WriterProperties::default());
        let mut file = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
        let mut group = file.next_row_group().unwrap();
        group.append_column(&chunk.bytes, chunk.close).unwrap();
        group.close().unwrap();

        file.into_inner().unwrap().into()
    }

    fn read(file: Bytes) -> Result<RecordBatch> {
        let mut batches = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
        Ok(batches.next().expect("the file has a row")?)
    }

    #[test]
    fn a_page_that_makes_the_library_panic_is_an_error() {
        // Indexes of 1 bit: a run of one, which is 0.
        let whole = file(&[1, 2, 0]);
        assert_eq!(guarded(|| read(whole)).unwrap().num_rows(), 1);

        // The library takes the width of the indexes from the first byte, which is absent.
        let empty = file(&[]);
        assert!(catch_unwind(|| read(empty.clone())).is_err());

        let error = guarded(|| read(empty)).unwrap_err();
        assert!(error.to_string().contains("cannot decode"), "{error}");
    }
}
