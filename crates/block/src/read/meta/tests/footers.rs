//! The metadata that is made from `meta` against that which the library reads from the footers.

use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader,
};

use super::blocks::random;
use crate::layout::file_names::{SAMPLES_FILE, SERIES_FILE};
use crate::layout::schema::sample;
use crate::read::rebuilt::parquet_metadata;

#[test]
fn rebuilt_metadata_equals_the_footer() {
    let mut chunks = 0;

    for seed in 0..60 {
        let written = random(seed);

        for described in written.meta().files {
            let name = described.file.name.as_str();
            let rebuilt = parquet_metadata(&described).unwrap();
            let footer = ParquetMetaDataReader::new()
                .with_column_index_policy(PageIndexPolicy::Skip)
                .with_offset_index_policy(PageIndexPolicy::Optional)
                .parse_and_finish(written.file(name))
                .unwrap();

            chunks += compare(name, &rebuilt, &footer);
        }
    }

    assert!(chunks > 8000, "{chunks}");
}

/// Returns how many chunks were compared.
fn compare(name: &str, rebuilt: &ParquetMetaData, footer: &ParquetMetaData) -> usize {
    let mut compared = 0;
    let ours = rebuilt.file_metadata();
    let theirs = footer.file_metadata();

    assert_eq!(ours.schema(), theirs.schema(), "{name}");
    assert_eq!(ours.num_rows(), theirs.num_rows(), "{name}");
    assert_eq!(rebuilt.num_row_groups(), footer.num_row_groups(), "{name}");

    for (group, (ours, theirs)) in rebuilt
        .row_groups()
        .iter()
        .zip(footer.row_groups())
        .enumerate()
    {
        assert_eq!(ours.num_rows(), theirs.num_rows(), "{name}");
        assert_eq!(ours.num_columns(), theirs.num_columns(), "{name}");

        for (column, (ours, theirs)) in ours.columns().iter().zip(theirs.columns()).enumerate() {
            assert_eq!(place(ours), place(theirs), "{name} {group} {column}");

            let pages = |file: &ParquetMetaData| {
                let index = file.offset_index()?.get(group)?.get(column)?;
                Some(index.page_locations().clone())
            };

            match pages(footer) {
                Some(theirs) => assert_eq!(pages(rebuilt).unwrap(), theirs, "{name} {column}"),
                None => {
                    assert_eq!(name, SERIES_FILE);
                    assert_eq!(pages(rebuilt).unwrap().len(), 1);
                }
            }

            statistics(name, column, ours, theirs);
            compared += 1;
        }
    }

    compared
}

type Place = ((u64, u64), i64, Option<i64>, parquet::basic::Type, bool);

fn place(chunk: &ColumnChunkMetaData) -> Place {
    let zstd = matches!(
        chunk.compression_codec(),
        parquet::basic::CompressionCodec::ZSTD
    );
    (
        chunk.byte_range(),
        chunk.data_page_offset(),
        chunk.dictionary_page_offset(),
        chunk.column_type(),
        zstd,
    )
}

fn statistics(name: &str, column: usize, ours: &ColumnChunkMetaData, theirs: &ColumnChunkMetaData) {
    if name == SAMPLES_FILE && [sample::START_TS, sample::TTL].contains(&column) {
        assert_eq!(ours.statistics().is_some(), theirs.statistics().is_some());
    }

    if name == SERIES_FILE && column == 0 {
        let ours = ours.statistics().unwrap();
        let theirs = theirs.statistics().unwrap();
        let last = theirs.max_bytes_opt().unwrap_or_default();
        let first = match theirs.null_count_opt() {
            Some(0) => theirs.min_bytes_opt().unwrap_or_default(),
            _ => &[],
        };

        assert_eq!(ours.min_bytes_opt(), Some(first));
        assert_eq!(ours.max_bytes_opt(), Some(last));
    }
}
