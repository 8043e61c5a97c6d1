//! The contract of the writer.

use duramen_block::{BlockWriter, Error, SeriesContents, WriterOptions};
use duramen_model::{ErrorKind, Labels};

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name)]).unwrap()
}

#[test]
fn what_is_out_of_order_is_refused_and_leaves_the_block_good() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = BlockWriter::create(&dir.path().join("b"), WriterOptions::default()).unwrap();
    writer.push(&labels("b"), &SeriesContents::floats(&[1, 2], &[1.0, 2.0])).unwrap();
    let too_few_values: (&str, &[i64], &[f64]) = ("c", &[1, 2], &[1.0]);
    for (name, ts, values) in [
        ("a", &[1][..], &[1.0][..]),
        ("b", &[3], &[1.0]),
        ("c", &[], &[]),
        ("c", &[2, 1], &[1.0, 1.0]),
        ("c", &[1, 1], &[1.0, 1.0]),
        too_few_values,
    ] {
        let error = writer.push(&labels(name), &SeriesContents::floats(ts, values)).unwrap_err();
        assert!(matches!(error, Error::Contract { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Internal);
    }
    writer.push(&labels("c"), &SeriesContents::floats(&[1], &[1.0])).unwrap();
    let stats = writer.finish().unwrap();
    assert_eq!((stats.series, stats.samples, stats.min_ts_ms, stats.max_ts_ms), (2, 3, 1, 2));
}

#[test]
fn a_block_without_series_and_a_folder_that_exists_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(BlockWriter::create(dir.path(), WriterOptions::default()), Err(Error::Write { .. })));
    let writer = BlockWriter::create(&dir.path().join("b"), WriterOptions::default()).unwrap();
    assert!(matches!(writer.finish(), Err(Error::Contract { .. })));
}

#[test]
fn the_same_series_make_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let mut writer = BlockWriter::create(&dir.path().join(name), WriterOptions::default()).unwrap();
        for i in 0..500 {
            let (number, l) = (format!("{i:03}"), format!("l{}", i % 90));
            let labels = Labels::from_pairs([("__name__", "m"), ("i", number.as_str()), (l.as_str(), "v")]);
            writer.push(&labels.unwrap(), &SeriesContents::floats(&[1, 2], &[0.1, f64::from(i)])).unwrap();
        }
        writer.finish().unwrap()
    };
    assert_eq!(write("a"), write("b"));
}
