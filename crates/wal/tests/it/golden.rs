//! The bytes of format version 0. `DURAMEN_BLESS=1` writes the file anew: a change of the durable format.

use std::path::PathBuf;

use duramen_runtime::Disk;
use duramen_testkit::SimDisk;
use duramen_wal::Position;

use crate::support::{Record, open, path};

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v0/segment.wal")
}

/// A plain record, a compressed one with every kind of value, skipped positions, and an empty record.
fn records() -> [Record; 3] {
    let first = Record {
        tenant: 1,
        series: vec![(7, b"\x08__name__\x02up".to_vec())],
        refs: vec![7],
        ts_ms: vec![1_760_400_000_000],
        bits: vec![1.0f64.to_bits()],
    };
    let kinds = [0.0, -0.0, 1.0, -1.0, 255.0, 1e15, 9_007_199_254_740_993.0, 0.1, f64::INFINITY, f64::MIN];
    let mut bits: Vec<u64> = kinds.iter().map(|value: &f64| value.to_bits()).collect();
    bits.push(0x7ff0_0000_0000_0002);
    let bits: Vec<u64> = bits.iter().copied().cycle().take(110).collect();
    let second = Record {
        tenant: u128::MAX,
        series: (0..110).map(|series_ref| (series_ref, format!("labels of {series_ref}").into_bytes())).collect(),
        refs: (0..110).collect(),
        ts_ms: (0..110).map(|index| 1_760_400_000_000 + index / 50 * 15_000).collect(),
        bits,
    };
    let third = Record { tenant: 0, series: vec![], refs: vec![], ts_ms: vec![], bits: vec![] };
    [first, second, third]
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
    let written = disk.read(&path(1)).unwrap();
    if std::env::var_os("DURAMEN_BLESS").is_some() {
        std::fs::write(golden(), &written).unwrap();
    }
    let golden = std::fs::read(golden()).unwrap();
    assert!(written == golden, "the bytes of a segment have changed: that is another format");

    let disk = SimDisk::new();
    drop(open(&disk));
    disk.plant(&path(1), golden).unwrap();
    let opened = open(&disk);
    assert_eq!(opened.positions(), [1, 2, 10]);
    assert_eq!(opened.records(), records());
    assert_eq!(opened.report.damage, []);
}
