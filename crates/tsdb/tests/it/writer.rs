//! The writer of blocks: what it wrote is read, here and by the tool of Prometheus.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use duramen_model::{Histogram, Labels, STALE_NAN, TimeRange};
use duramen_proto::chunk::{Chunk, ChunkBuilder};
use duramen_tsdb::{TsdbWriter, WrittenBlock, find};
use proptest::prelude::*;
use ulid::Ulid;

use crate::promtool::promtool;
use crate::round_trip::{disk, read, series};
use crate::written::{Series, ULID};

fn chunks(floats: &[(i64, f64)], histograms: &[(i64, Histogram)]) -> Vec<Chunk> {
    let mut builder = ChunkBuilder::default();
    let mut chunks = Vec::new();

    for (ts_ms, value) in floats {
        chunks.extend(builder.push_float(*ts_ms, *value));
    }

    for (ts_ms, histogram) in histograms {
        chunks.extend(builder.push_histogram(*ts_ms, histogram).unwrap());
    }

    chunks.extend(builder.finish());
    chunks
}

fn labels(series: &Series) -> Labels {
    let pairs = series.labels.iter();
    Labels::from_pairs(pairs.map(|(name, value)| (&**name, &**value))).unwrap()
}

fn write(parent: &Path, series: &[Series], range: TimeRange) -> Option<WrittenBlock> {
    let ulid = Ulid::from_string(ULID).unwrap();
    let mut writer = TsdbWriter::create(&disk(), parent, ulid, range).unwrap();
    let all: Vec<Labels> = series.iter().map(labels).collect();

    for (number, one) in series.iter().enumerate() {
        writer
            .push(number, &chunks(&one.floats, &one.histograms))
            .unwrap();
    }

    writer.finish(&all).unwrap()
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let range = TimeRange::new(0, 10_000_000).unwrap();
    let written = write(folder.path(), &series(), range).unwrap();

    assert_eq!(
        (written.series, written.floats, written.histograms),
        (3, 301, 200)
    );
    assert_eq!(
        find(&*disk(), folder.path()).unwrap(),
        std::slice::from_ref(&written.directory)
    );

    let read = read(&written.directory, TimeRange::ALL).unwrap();
    assert_eq!(read.len(), 3);

    for (expected, (held, samples)) in series().iter().zip(&read) {
        assert_eq!(*held, labels(expected));
        assert_eq!(samples.histograms, expected.histograms);

        let floats = samples.ts_ms.iter().copied().zip(samples.values.clone());
        assert!(floats.eq(expected.floats.iter().copied()), "{held}");
    }
}

#[test]
fn a_block_without_series_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let range = TimeRange::new(0, 10).unwrap();

    assert_eq!(write(folder.path(), &[], range), None);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Runs the tool, which must succeed. Returns what it prints.
fn told(tool: &Path, arguments: &[&str], data: &Path) -> String {
    let mut command = Command::new(tool);
    let output = command.arg("tsdb").args(arguments).arg(data);
    let output = output.output().unwrap();

    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn promtool_lists_analyzes_and_dumps_what_was_written() {
    let Some(tool) = promtool() else { return };
    let folder = tempfile::tempdir().unwrap();
    let range = TimeRange::new(0, 7_200_000).unwrap();
    let tool: PathBuf = tool;

    // `A` comes before `__name__`, so our order of series is not that of a TSDB.
    let pairs = |pairs: &[(&str, &str)]| crate::round_trip::pairs(pairs);
    let mut all = series();

    all.push(Series {
        labels: pairs(&[("A", "1"), ("__name__", "zeta"), ("text", "a\"\\\n\u{e9}")]),
        floats: vec![(5, -0.0), (6, STALE_NAN), (7, f64::INFINITY)],
        histograms: Vec::new(),
    });

    let written = write(folder.path(), &all, range).unwrap();
    let listed = told(&tool, &["list"], folder.path());
    assert!(listed.contains(ULID), "{listed}");

    let mut command = Command::new(&tool);
    let analyzed = command.args(["tsdb", "analyze"]).args([folder.path()]);
    let analyzed = analyzed.arg(ULID).output().unwrap();
    let text = String::from_utf8_lossy(&analyzed.stdout);
    assert!(analyzed.status.success(), "{analyzed:?}");
    assert!(text.contains("\nSeries: 4\n"), "{text}");

    // The tool wants the log of a Prometheus beside the blocks.
    std::fs::create_dir(folder.path().join("wal")).unwrap();
    let dumped = told(&tool, &["dump"], folder.path());
    let lines: BTreeSet<&str> = dumped.lines().collect();
    // Not every version of the tool prints histograms.
    assert!(lines.len() as u64 >= written.floats, "{dumped}");

    let held = |line: &str| assert!(lines.contains(line), "{line} is not in {dumped}");
    held("{__name__=\"bytes\", instance=\"a\"} 149.5 4485000");
    held("{__name__=\"up\", instance=\"b\"} 0 0");
    assert!(dumped.contains("-0 5"), "{dumped}");

    let matched = told(&tool, &["dump", "--match", "{A=\"1\"}"], folder.path());
    assert_eq!(matched.lines().count(), 3, "{matched}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn random_series_come_back_bit_for_bit(
        all in prop::collection::btree_map(
            ("[A-Za-z_]{1,4}", "[a-z]{1,8}"),
            prop::collection::btree_map(0..100_000_000i64, any::<u64>(), 1..400),
            0..12,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut series: Vec<Series> = all
            .iter()
            .map(|((label, name), samples)| Series {
                labels: vec![("__name__".to_owned(), name.clone()), (label.clone(), name.clone())],
                floats: samples.iter().map(|(ts, bits)| (*ts, f64::from_bits(*bits))).collect(),
                histograms: Vec::new(),
            })
            .collect();
        series.sort_by(|a, b| labels(a).cmp_in_block(&labels(b)));

        let written = write(folder.path(), &series, TimeRange::new(0, 100_000_000).unwrap());
        let read = match written {
            Some(written) => read(&written.directory, TimeRange::ALL).unwrap(),
            None => Vec::new(),
        };
        prop_assert_eq!(read.len(), series.len());

        for (expected, (held, samples)) in series.iter().zip(&read) {
            prop_assert_eq!(held, &labels(expected));
            let bits = samples.values.iter().map(|value| value.to_bits());
            let held: Vec<_> = samples.ts_ms.iter().copied().zip(bits).collect();
            let sent: Vec<_> = expected.floats.iter().map(|(ts, v)| (*ts, v.to_bits())).collect();
            prop_assert_eq!(held, sent);
        }
    }
}
