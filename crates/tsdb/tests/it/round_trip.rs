//! What was written is read.

use std::path::Path;
use std::sync::Arc;

use duramen_model::{Counts, Histogram, Labels, ResetHint, Span, TimeRange};
use duramen_runtime::{Disk, RealDisk};
use duramen_tsdb::{Samples, TsdbBlock, find, is_deleted};
use proptest::prelude::*;

use crate::written::{Series, ULID, write};

pub(crate) fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

/// Reads all series with their samples.
pub(crate) fn read(
    directory: &Path,
    range: TimeRange,
) -> Result<Vec<(Labels, Samples)>, duramen_tsdb::Error> {
    let mut block = TsdbBlock::open(&disk(), directory)?;
    let series = block.series()?;
    let read = |(labels, series)| Ok((labels, block.samples(series, range)?));
    series.into_iter().map(read).collect()
}

fn histogram(count: u64) -> Histogram {
    Histogram {
        schema: 2,
        hint: ResetHint::Gauge,
        sum: 1.5,
        zero_threshold: 0.25,
        counts: Counts::Integer {
            count: count + 3,
            zero_count: 1,
            positive: vec![1, count.cast_signed()],
            negative: Vec::new(),
        },
        positive_spans: vec![Span {
            offset: -1,
            length: 2,
        }],
        negative_spans: Vec::new(),
        custom_values: Vec::new(),
    }
}

/// Two series of floats and one of histograms, some of several chunks.
pub(crate) fn series() -> Vec<Series> {
    let floats = |count: i64, by: f64| (0..count).map(|t| (t * 15_000, t as f64 * by)).collect();

    vec![
        Series {
            labels: pairs(&[("__name__", "bytes"), ("instance", "a")]),
            floats: floats(300, 0.5),
            histograms: Vec::new(),
        },
        Series {
            labels: pairs(&[("__name__", "seconds"), ("instance", "a")]),
            floats: Vec::new(),
            histograms: (0..200_i64)
                .map(|t| (t * 15_000, histogram(t.unsigned_abs())))
                .collect(),
        },
        Series {
            labels: pairs(&[("__name__", "up"), ("instance", "b")]),
            floats: floats(1, 1.0),
            histograms: Vec::new(),
        },
    ]
}

#[test]
fn floats_and_histograms_come_back_from_all_chunks_or_from_some() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join(ULID);
    write(&directory, &series(), 10_000_000, "{}");
    assert_eq!(
        find(&*disk(), folder.path()).unwrap(),
        std::slice::from_ref(&directory)
    );

    for range in [
        TimeRange::ALL,
        TimeRange::new(0, 15_000).unwrap(),
        TimeRange::new(1_799_999, 1_800_001).unwrap(),
        TimeRange::new(1_800_001, 3_000_000).unwrap(),
    ] {
        let read = read(&directory, range).unwrap();
        assert_eq!(read.len(), 3);

        for (expected, (labels, samples)) in series().iter().zip(&read) {
            let own = expected
                .labels
                .iter()
                .map(|(name, value)| (&**name, &**value));
            assert!(labels.iter().eq(own), "{labels}");

            let held = samples
                .ts_ms
                .iter()
                .copied()
                .zip(samples.values.iter().copied());
            let inside = expected.floats.iter().copied();
            assert!(
                held.eq(inside.filter(|(ts, _)| range.contains(*ts))),
                "{labels}"
            );

            let inside = expected.histograms.iter();
            let inside = inside.filter(|(ts, _)| range.contains(*ts));
            assert!(samples.histograms.iter().eq(inside), "{labels}");
        }
    }
}

#[test]
fn series_come_in_the_order_of_our_blocks_with_external_labels() {
    let folder = tempfile::tempdir().unwrap();
    let named = |labels: &[(&str, &str)]| Series {
        labels: pairs(labels),
        floats: vec![(1, 1.0)],
        histograms: Vec::new(),
    };

    // A capital letter comes before `__name__`.
    let series = [
        named(&[("A", "1"), ("__name__", "z")]),
        named(&[("__name__", "a"), ("cluster", "mine")]),
    ];
    write(
        folder.path(),
        &series,
        100,
        r#"{"labels":{"cluster":"eu"}}"#,
    );

    let read = read(folder.path(), TimeRange::ALL).unwrap();
    let names: Vec<_> = read
        .iter()
        .map(|(labels, _)| labels.get("__name__"))
        .collect();
    assert_eq!(names, [Some("a"), Some("z")]);
    assert!(
        read.iter()
            .all(|(labels, _)| labels.get("cluster") == Some("eu"))
    );
}

#[test]
fn marks_and_labels_of_thanos_and_mimir_are_honoured_and_their_other_files_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join(ULID);
    let labels =
        r#"{"labels":{"cluster":"eu","__compactor_shard_id__":"1_of_4","__org_id__":"a"}}"#;
    write(&directory, &series(), 10_000_000, labels);

    for name in ["index-header", "no-compact-mark.json", "table.parquet"] {
        std::fs::write(directory.join(name), "x").unwrap();
        std::fs::write(folder.path().join(name), "x").unwrap();
    }

    std::fs::create_dir(folder.path().join("debug")).unwrap();
    let found = find(&*disk(), folder.path()).unwrap();
    assert_eq!(found, std::slice::from_ref(&directory));
    assert!(!is_deleted(&*disk(), &directory).unwrap());

    let all = read(&directory, TimeRange::ALL).unwrap();
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|(labels, _)| {
        labels.get("cluster") == Some("eu") && labels.iter().all(|(name, _)| name != "__org_id__")
    }));

    let beside = folder.path().join("markers");
    let marks = [
        directory.join("deletion-mark.json"),
        beside.join(format!("{ULID}-deletion-mark.json")),
    ];
    std::fs::create_dir(&beside).unwrap();

    for mark in marks {
        std::fs::write(&mark, "{}").unwrap();
        assert!(is_deleted(&*disk(), &directory).unwrap(), "{mark:?}");
        std::fs::remove_file(&mark).unwrap();
    }
}

#[test]
fn what_nobody_here_can_read_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        &series(),
        100,
        r#"{"downsample":{"resolution":300000}}"#,
    );
    let error = read(folder.path(), TimeRange::ALL).unwrap_err().to_string();
    assert!(
        error.contains("downsampled by Thanos to 300000 ms"),
        "{error}"
    );

    write(folder.path(), &series(), 100, "{}");
    let index = folder.path().join("index");
    let mut bytes = std::fs::read(&index).unwrap();
    bytes[4] = 1;
    std::fs::write(&index, bytes).unwrap();
    let error = read(folder.path(), TimeRange::ALL).unwrap_err().to_string();
    assert!(error.contains("an index of version 1"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn random_series_come_back(
        all in prop::collection::btree_map(
            "[a-z]{1,8}",
            prop::collection::btree_map(0..100_000_000i64, any::<f64>(), 1..400),
            0..12,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let series: Vec<Series> = all
            .iter()
            .map(|(name, samples)| Series {
                labels: pairs(&[("__name__", name)]),
                floats: samples.iter().map(|(ts, value)| (*ts, *value)).collect(),
                histograms: Vec::new(),
            })
            .collect();

        write(folder.path(), &series, 100_000_000, "{}");
        let read = read(folder.path(), TimeRange::ALL).unwrap();
        prop_assert_eq!(read.len(), series.len());

        for (expected, (_, samples)) in series.iter().zip(&read) {
            let bits = samples.values.iter().map(|value| value.to_bits());
            let held: Vec<_> = samples.ts_ms.iter().copied().zip(bits).collect();
            let sent: Vec<_> = expected.floats.iter().map(|(ts, v)| (*ts, v.to_bits())).collect();
            prop_assert_eq!(held, sent);
        }
    }
}
