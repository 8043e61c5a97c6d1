//! What `series.parquet` has, and what it costs.

use duramen_block::{SERIES_FILE, WriterOptions};
use duramen_model::{Exemplar, Labels};
use parquet::basic::{ConvertedType, LogicalType, Type};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use crate::cost::ten_thousand;
use crate::fixture::{Series, sorted, write};

/// Writes `series` and returns the footer of their series file, with its length.
fn footer(series: &[Series], options: WriterOptions) -> (ParquetMetaData, u64) {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("block");
    let stats = write(&dir, series, options);
    let file = std::fs::File::open(dir.join(SERIES_FILE)).unwrap();
    let bytes = stats.files.iter().find(|file| file.name == SERIES_FILE);
    let footer = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .parse_and_finish(&file)
        .unwrap();

    (footer, bytes.unwrap().bytes)
}

/// Returns the names of the columns.
fn columns(file: &ParquetMetaData) -> Vec<&str> {
    let fields = file.file_metadata().schema().get_fields();
    fields.iter().map(|field| field.name()).collect()
}

/// Makes a series of one sample with `pairs` beside its name and its number.
fn one(number: usize, pairs: &[(&str, &str)]) -> Series {
    let number = format!("{number:05}");
    let mut all = vec![("__name__", "m"), ("number", number.as_str())];
    all.extend(pairs);
    all.sort_unstable();

    Series::new(&all, [(0, 1.0)])
}

#[test]
fn a_label_has_a_column_if_one_series_in_a_hundred_carries_it() {
    let make = |rare: usize| {
        let series = |i: usize| {
            if i < rare {
                one(i, &[("rare", "x")])
            } else {
                one(i, &[])
            }
        };

        footer(
            &sorted((0..250).map(series).collect()),
            WriterOptions::default(),
        )
    };

    assert!(!columns(&make(2).0).contains(&"label_rare"));
    assert!(columns(&make(3).0).contains(&"label_rare"));
}

#[test]
fn names_that_differ_in_case_have_one_column_and_no_more_than_64_have_one() {
    let names: Vec<String> = (0..70).map(|i| format!("n{i:02}")).collect();
    let mut pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    pairs.push(("N00", "y"));

    let (file, _) = footer(&[one(0, &pairs)], WriterOptions::default());
    let labels: Vec<_> = columns(&file)
        .into_iter()
        .filter_map(|name| name.strip_prefix("label_"))
        .collect();

    assert_eq!(labels.len(), 64);
    assert!(labels.contains(&"N00") && !labels.contains(&"n00"));
}

#[test]
fn a_block_has_columns_for_what_it_has() {
    let plain = one(0, &[]);
    let (file, _) = footer(std::slice::from_ref(&plain), WriterOptions::default());

    assert_eq!(
        columns(&file),
        [
            "__name__",
            "label_number",
            "labels",
            "samples_first_row",
            "samples_n_rows",
            "min_ts",
            "max_ts",
            "sref"
        ]
    );

    let exemplar = Exemplar {
        ts_ms: 0,
        value: 0.5,
        labels: Labels::empty(),
    };

    let with = Series {
        exemplars: vec![exemplar],
        ..plain
    };

    let (file, _) = footer(&[with], WriterOptions::default());

    assert!(columns(&file).contains(&"exemplars_n_rows"));
    assert!(!columns(&file).contains(&"histograms_n_rows"));
}

#[test]
fn numbers_are_signed_and_chunks_have_one_page() {
    let options = WriterOptions {
        series_group_rows_max: 100,
        ..WriterOptions::default()
    };

    let series: Vec<_> = ten_thousand(1).into_iter().step_by(40).collect();
    let (file, _) = footer(&series, options);

    assert_eq!(
        file.row_groups()
            .iter()
            .map(|g| g.num_rows())
            .collect::<Vec<_>>(),
        [84, 84, 82]
    );
    assert!(file.offset_index().is_none());

    for column in file.file_metadata().schema_descr().columns() {
        let unsigned = matches!(
            column.logical_type_ref(),
            Some(LogicalType::Integer(integer)) if !integer.is_signed
        );

        assert!(!unsigned, "{}", column.name());

        if column.name() == "sref" {
            assert_eq!(column.physical_type(), Type::INT32);
            assert_eq!(column.converted_type(), ConvertedType::NONE);
        }
    }

    for chunk in file.row_groups().iter().flat_map(|group| group.columns()) {
        let named = chunk.column_path().string() == "__name__";
        assert_eq!(chunk.statistics().is_some(), named);
        assert!(chunk.page_encoding_stats().is_none());
    }
}

/// The bounds are a tenth above what was measured.
#[test]
fn a_series_costs_a_few_bytes() {
    for (step, bytes_max) in [(100, 19.4), (5, 1.7), (1, 2.9)] {
        let series: Vec<_> = ten_thousand(1).into_iter().step_by(step).collect();
        let (_, bytes) = footer(&series, WriterOptions::default());
        let each = bytes as f64 / series.len() as f64;

        println!("{} series: {each:.1} bytes each", series.len());
        assert!(each < bytes_max, "{} series: {each:.1}", series.len());
    }
}
