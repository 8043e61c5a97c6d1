//! Tests the bytes of format version 1. `DURAMEN_BLESS=1` writes the files again, which changes the
//! durable format.

use std::path::PathBuf;

use duramen_model::{FamilyMetadata, Life, MetricType};
use duramen_runtime::Disk;
use duramen_testkit::SimDisk;
use duramen_wal::{HistogramRow, Position};

use crate::support::{Record, open, path};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/v1")
        .join(name)
}

/// Returns a record with all kinds of data, and one with metadata only.
fn full_records() -> [Record; 2] {
    let life = |start_ms, ttl_ms| Life { start_ms, ttl_ms };
    let histogram = |ts_ms, life, bytes: &[u8]| HistogramRow {
        series_ref: 7,
        ts_ms,
        life,
        bytes: bytes.to_vec(),
    };

    let family = |family: &str, kind, help: &str, unit: &str, last_seen_ms| FamilyMetadata {
        family: family.to_owned(),
        kind,
        help: help.to_owned(),
        unit: unit.to_owned(),
        last_seen_ms,
    };

    let start_ms = 1_760_400_000_000;
    let full = Record {
        tenant: 1,
        series: vec![(7, b"\x08__name__\x02up".to_vec())],
        refs: vec![7, 7],
        ts_ms: vec![start_ms + 10_000, start_ms + 25_000],
        bits: vec![1.0f64.to_bits(), 2.5f64.to_bits()],
        lives: vec![(start_ms, 0), (start_ms, 60_000)],
        histograms: vec![
            histogram(start_ms + 11_000, Life::NONE, b"the bytes of a histogram"),
            histogram(start_ms + 26_000, life(start_ms, 60_000), b""),
        ],
        exemplars: vec![
            (
                7,
                start_ms + 9_000,
                0.25f64.to_bits(),
                b"\x08trace_id\x04abcd".to_vec(),
            ),
            (7, start_ms + 9_001, f64::NAN.to_bits(), b"".to_vec()),
        ],
        metadata: vec![
            family(
                "up",
                MetricType::Gauge,
                "Whether the target answers.",
                "",
                start_ms,
            ),
            family(
                "m_seconds",
                MetricType::StateSet,
                "",
                "seconds",
                start_ms + 1,
            ),
        ],
    };

    let families = vec![family("größe", MetricType::Unknown, "Größe.", "", start_ms)];
    [
        full,
        Record {
            tenant: 2,
            metadata: families,
            ..Record::default()
        },
    ]
}

/// Returns a plain record, a compressed one with every kind of value after skipped positions, and
/// an empty one.
fn records() -> [Record; 3] {
    let first = Record {
        tenant: 1,
        series: vec![(7, b"\x08__name__\x02up".to_vec())],
        refs: vec![7],
        ts_ms: vec![1_760_400_000_000],
        bits: vec![1.0f64.to_bits()],
        ..Record::default()
    };

    let kinds = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        255.0,
        1e15,
        9_007_199_254_740_993.0,
        0.1,
        f64::INFINITY,
        f64::MIN,
    ];

    let mut bits: Vec<u64> = kinds.iter().map(|value: &f64| value.to_bits()).collect();
    bits.push(0x7ff0_0000_0000_0002);

    let bits: Vec<u64> = bits.iter().copied().cycle().take(110).collect();
    let second = Record {
        tenant: u128::MAX,
        series: (0..110)
            .map(|series_ref| (series_ref, format!("labels of {series_ref}").into_bytes()))
            .collect(),
        refs: (0..110).collect(),
        ts_ms: (0..110)
            .map(|index| 1_760_400_000_000 + index / 50 * 15_000)
            .collect(),
        bits,
        ..Record::default()
    };

    let third = Record::default();
    [first, second, third]
}

/// Compares the segment on `disk` with the file, and reads the file back.
fn check(disk: &SimDisk, name: &str, positions: &[u64], records: &[Record]) {
    let written = disk.read(&path(1)).unwrap();
    if std::env::var_os("DURAMEN_BLESS").is_some() {
        std::fs::write(golden(name), &written).unwrap();
    }

    let golden = std::fs::read(golden(name)).unwrap();
    assert!(
        written == golden,
        "the bytes of a segment have changed: that is another format"
    );

    let disk = SimDisk::new();
    drop(open(&disk));
    disk.plant(&path(1), golden).unwrap();

    let opened = open(&disk);
    assert_eq!(opened.positions(), positions);
    assert_eq!(opened.records(), records);
    assert_eq!(opened.report.damage, []);
}

#[test]
fn the_writer_of_today_makes_the_golden_segment_and_reads_it() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    let [first, second, third] = records();

    first.append_to(&mut wal).unwrap();
    second.append_to(&mut wal).unwrap();
    wal.skip_to(Position(10));
    third.append_to(&mut wal).unwrap();
    wal.sync().unwrap();
    check(&disk, "segment.wal", &[1, 2, 10], &records());
}

#[test]
fn the_writer_of_today_makes_the_golden_segment_of_full_records_and_reads_it() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;

    for record in full_records() {
        record.append_to(&mut wal).unwrap();
    }

    wal.sync().unwrap();
    check(&disk, "full.wal", &[1, 2], &full_records());
}
