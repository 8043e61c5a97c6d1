//! The rules for callers of the writer.

use duramen_block::{
    BlockWriter, EXEMPLARS_FILE, Error, METADATA_FILE, SERIES_FILE, SeriesContents, WriterOptions,
};
use duramen_model::{
    Counts, ErrorKind, Exemplar, FamilyMetadata, Histogram, Labels, Life, MetricType, ResetHint,
};
use duramen_source::HistogramRef;

use crate::fixture::{
    Series, collect, collect_all, disk, in_memory, in_memory_with, open, request,
};

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name)]).unwrap()
}

#[test]
fn what_is_out_of_order_is_refused_and_leaves_the_block_good() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer =
        BlockWriter::create(&disk(), &dir.path().join("b"), WriterOptions::default()).unwrap();
    writer
        .push(&labels("b"), &SeriesContents::floats(&[1, 2], &[1.0, 2.0]))
        .unwrap();

    let too_few_values: (&str, &[i64], &[f64]) = ("c", &[1, 2], &[1.0]);

    for (name, ts, values) in [
        ("a", &[1][..], &[1.0][..]),
        ("b", &[3], &[1.0]),
        ("c", &[], &[]),
        ("c", &[2, 1], &[1.0, 1.0]),
        ("c", &[1, 1], &[1.0, 1.0]),
        too_few_values,
    ] {
        let error = writer
            .push(&labels(name), &SeriesContents::floats(ts, values))
            .unwrap_err();
        assert!(matches!(error, Error::Contract { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Internal);
    }

    writer
        .push(&labels("c"), &SeriesContents::floats(&[1], &[1.0]))
        .unwrap();

    let stats = writer.finish().unwrap();
    assert_eq!(
        (
            stats.series,
            stats.samples,
            stats.min_ts_ms,
            stats.max_ts_ms
        ),
        (2, 3, 1, 2)
    );
}

#[test]
fn a_broken_contract_appends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer =
        BlockWriter::create(&disk(), &dir.path().join("b"), WriterOptions::default()).unwrap();
    let bytes = histogram().to_bytes();

    let at = |ts_ms| HistogramRef {
        ts_ms,
        life: Life::NONE,
        bytes: &bytes,
    };

    let exemplar = |ts_ms| Exemplar {
        ts_ms,
        value: 1.0,
        labels: Labels::empty(),
    };

    let floats = SeriesContents::floats(&[1, 2], &[0.5, 0.5]);
    let long_text = "x".repeat(17 << 20);
    let long_labels = Labels::from_pairs([("__name__", "long"), ("x", &long_text)]).unwrap();
    let long_exemplar = Exemplar {
        labels: long_labels.clone(),
        ..exemplar(1)
    };
    let long_histogram = HistogramRef {
        bytes: &long_text.as_bytes()[..5 << 20],
        ..at(3)
    };
    let bad = HistogramRef {
        bytes: b"",
        ..at(3)
    };

    for (contents, rule) in [
        (
            SeriesContents {
                lives: &[Life::NONE],
                ..floats
            },
            "times and life spans differ in number",
        ),
        (
            SeriesContents {
                histograms: &[at(3), at(3)],
                ..floats
            },
            "times of histograms do not ascend",
        ),
        (
            SeriesContents {
                histograms: &[at(0), at(2)],
                ..floats
            },
            "a time has both a float and a histogram",
        ),
        (
            SeriesContents {
                histograms: &[bad],
                ..floats
            },
            "a histogram is not in its byte form",
        ),
        (
            SeriesContents {
                exemplars: &[exemplar(2), exemplar(1)],
                ..floats
            },
            "exemplars do not ascend, or one comes twice",
        ),
        (
            SeriesContents {
                exemplars: &[exemplar(1), exemplar(1)],
                ..floats
            },
            "exemplars do not ascend, or one comes twice",
        ),
        (
            SeriesContents {
                exemplars: &[long_exemplar],
                ..floats
            },
            "the labels of an exemplar have more than 16 MiB",
        ),
        (
            SeriesContents {
                histograms: &[long_histogram],
                ..floats
            },
            "a histogram has more than 4 MiB",
        ),
        (
            SeriesContents::default(),
            "the series has neither samples nor exemplars",
        ),
    ] {
        match writer.push(&labels("a"), &contents).unwrap_err() {
            Error::Contract { rule: broken, .. } => assert_eq!(broken, rule),
            other => panic!("{other}"),
        }
    }

    let twice = writer.set_metadata(vec![family("f", 1), family("g", 1), family("f", 2)]);
    assert!(matches!(
        twice,
        Err(Error::Contract {
            rule: "a metric family comes twice",
            ..
        })
    ));

    let error = writer.push(&long_labels, &floats).unwrap_err().to_string();
    assert!(
        error.len() < 200 && error.contains("series=`long`"),
        "{error}"
    );

    let long = FamilyMetadata {
        help: long_text,
        ..family("f", 1)
    };
    let error = writer.set_metadata(vec![long]).unwrap_err().to_string();
    assert!(error.contains("more than 16 MiB. series=`f`"), "{error}");

    writer
        .push(
            &labels("a"),
            &SeriesContents {
                histograms: &[at(3)],
                exemplars: &[exemplar(9)],
                ..floats
            },
        )
        .unwrap();

    let stats = writer.finish().unwrap();
    assert_eq!(
        (
            stats.samples,
            stats.histograms,
            stats.exemplars,
            stats.families
        ),
        (2, 1, 1, 0)
    );

    assert_eq!(
        (stats.min_ts_ms, stats.max_ts_ms),
        (1, 9),
        "an exemplar counts: a query for it finds the block"
    );
}

fn histogram() -> Histogram {
    Histogram {
        schema: 0,
        hint: ResetHint::Unknown,
        sum: 0.0,
        zero_threshold: 0.0,
        counts: Counts::Integer {
            count: 0,
            zero_count: 0,
            positive: vec![],
            negative: vec![],
        },
        positive_spans: vec![],
        negative_spans: vec![],
        custom_values: vec![],
    }
}

fn family(name: &str, last_seen_ms: i64) -> FamilyMetadata {
    let kind = MetricType::Gauge;
    FamilyMetadata {
        family: name.into(),
        kind,
        help: String::new(),
        unit: String::new(),
        last_seen_ms,
    }
}

#[tokio::test]
async fn a_block_may_have_one_file_only() {
    let families = vec![family("a", 7), family("b", 3)];
    let (store, stats) = in_memory_with(&[], families.clone(), WriterOptions::default()).await;

    assert_eq!(
        stats
            .files
            .iter()
            .map(|file| file.name.as_str())
            .collect::<Vec<_>>(),
        [METADATA_FILE]
    );

    assert_eq!(
        (
            stats.series,
            stats.families,
            stats.min_ts_ms,
            stats.max_ts_ms
        ),
        (0, 2, 3, 7)
    );

    let block = open(store, &stats).await.unwrap();
    assert_eq!(collect_all(&block).await.unwrap(), (vec![], families));

    block.verify().await.unwrap();
}

#[tokio::test]
async fn a_series_of_exemplars_alone_is_in_no_selection() {
    let exemplars = vec![Exemplar {
        ts_ms: 5,
        value: 1.0,
        labels: Labels::empty(),
    }];

    let series = Series {
        exemplars,
        ..Series::new(&[("__name__", "m")], [])
    };

    let (store, stats) = in_memory(std::slice::from_ref(&series), WriterOptions::default()).await;
    assert_eq!(
        stats
            .files
            .iter()
            .map(|file| file.name.as_str())
            .collect::<Vec<_>>(),
        [SERIES_FILE, EXEMPLARS_FILE]
    );

    let block = open(store, &stats).await.unwrap();
    assert_eq!(collect(&block, &request(vec![])).await.unwrap(), []);
    assert_eq!(collect_all(&block).await.unwrap(), (vec![series], vec![]));
}

#[test]
fn a_block_without_anything_and_a_folder_that_exists_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        BlockWriter::create(&disk(), dir.path(), WriterOptions::default()),
        Err(Error::Write { .. })
    ));

    let writer =
        BlockWriter::create(&disk(), &dir.path().join("b"), WriterOptions::default()).unwrap();
    assert!(matches!(writer.finish(), Err(Error::Contract { .. })));
}

#[test]
fn the_same_series_make_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let mut writer =
            BlockWriter::create(&disk(), &dir.path().join(name), WriterOptions::default()).unwrap();

        for i in 0..500 {
            let number = format!("{i:03}");
            let l = format!("l{}", i % 90);
            let labels =
                Labels::from_pairs([("__name__", "m"), ("i", number.as_str()), (l.as_str(), "v")]);

            writer
                .push(
                    &labels.unwrap(),
                    &SeriesContents::floats(&[1, 2], &[0.1, f64::from(i)]),
                )
                .unwrap();
        }

        writer.finish().unwrap()
    };

    assert_eq!(write("a"), write("b"));
}
