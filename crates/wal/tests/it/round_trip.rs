use std::path::Path;
use std::sync::Arc;

use duramen_model::{FamilyMetadata, Life, MetricType};
use duramen_runtime::{Disk, RealDisk};
use duramen_testkit::SimDisk;
use duramen_wal::{Config, HistogramRow, Position, SegmentId, Wal};
use proptest::prelude::*;

use crate::support::{Record, numbered, open, write, writer};

fn any_bits() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        any::<i32>().prop_map(|number| f64::from(number).to_bits()),
        (-9_007_199_254_740_994_i64..9_007_199_254_740_994)
            .prop_map(|number| (number as f64).to_bits()),
        prop::sample::select(vec![
            0.0f64,
            -0.0,
            0.1,
            f64::NAN,
            f64::INFINITY,
            f64::MIN_POSITIVE
        ])
        .prop_map(f64::to_bits),
    ]
}

fn any_time() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        Just(i64::MIN),
        Just(i64::MAX),
        1_760_400_000_000..1_760_400_000_003i64
    ]
}

fn any_record() -> impl Strategy<Value = Record> {
    let series = prop::collection::vec(
        (any::<u32>(), prop::collection::vec(any::<u8>(), 0..40)),
        0..5,
    );

    let samples = prop::collection::vec((any::<u32>(), any_time(), any_bits(), any_life()), 0..200);
    let histogram = (
        any::<u32>(),
        any_time(),
        any_life(),
        prop::collection::vec(any::<u8>(), 0..300),
    );

    let exemplar = (
        any::<u32>(),
        any_time(),
        any_bits(),
        prop::collection::vec(any::<u8>(), 0..40),
    );

    let histograms = prop::collection::vec(histogram, 0..8);
    let exemplars = prop::collection::vec(exemplar, 0..8);
    let metadata = prop::collection::vec(any_family(), 0..8);

    (
        any::<u128>(),
        series,
        samples,
        histograms,
        exemplars,
        metadata,
    )
        .prop_map(
            |(tenant, series, samples, histograms, exemplars, metadata)| {
                let lives: Vec<_> = samples.iter().map(|sample| sample.3).collect();
                Record {
                    tenant,
                    series,
                    refs: samples.iter().map(|sample| sample.0).collect(),
                    ts_ms: samples.iter().map(|sample| sample.1).collect(),
                    bits: samples.iter().map(|sample| sample.2).collect(),
                    lives: if lives.iter().all(|life| *life == (0, 0)) {
                        vec![]
                    } else {
                        lives
                    },
                    histograms: histograms.into_iter().map(histogram_row).collect(),
                    exemplars,
                    metadata,
                }
            },
        )
}

/// Generates start and ttl; most samples have none.
fn any_life() -> impl Strategy<Value = (i64, i64)> {
    prop_oneof![4 => Just((0, 0)), 1 => (any_time(), Just(0)), 1 => (Just(0), 0..100_000i64), 1 => (any_time(), any_time())]
}

fn histogram_row(
    (series_ref, ts_ms, life, bytes): (u32, i64, (i64, i64), Vec<u8>),
) -> HistogramRow {
    HistogramRow {
        series_ref,
        ts_ms,
        life: Life {
            start_ms: life.0,
            ttl_ms: life.1,
        },
        bytes,
    }
}

fn any_family() -> impl Strategy<Value = FamilyMetadata> {
    let kind = prop::sample::select(MetricType::ALL.to_vec());
    (".{0,20}", kind, ".{0,60}", ".{0,9}", any_time()).prop_map(
        |(family, kind, help, unit, last_seen_ms)| FamilyMetadata {
            family,
            kind,
            help,
            unit,
            last_seen_ms,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn records_come_back_as_written(records in prop::collection::vec(any_record(), 0..8)) {
        let disk = SimDisk::new();
        let mut wal = open(&disk).wal;

        for record in &records {
            record.append_to(&mut wal).unwrap();
        }

        wal.sync().unwrap();

        let opened = open(&disk.crash(1));
        prop_assert_eq!(opened.records(), records);
        prop_assert!(opened.report.damage.is_empty() && opened.report.torn_tails.is_empty());
    }
}

#[test]
fn positions_go_on_over_segments_and_restarts() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;

    assert_eq!(wal.next_position(), Position(1));
    assert_eq!(
        wal.sync().unwrap(),
        Position(0),
        "nothing is durable in an empty log"
    );

    write(&mut wal, 0..3);
    wal.rotate().unwrap();
    write(&mut wal, 3..5);

    let opened = open(&disk);
    assert_eq!(opened.positions(), [1, 2, 3, 4, 5]);

    assert_eq!(
        opened
            .replayed
            .iter()
            .map(|found| found.0.0)
            .collect::<Vec<_>>(),
        [1, 1, 1, 2, 2]
    );

    assert_eq!(
        opened.wal.segment(),
        SegmentId(3),
        "a restart starts a segment"
    );

    assert_eq!(opened.wal.next_position(), Position(6));
}

#[test]
fn positions_go_on_when_all_older_segments_are_trimmed() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    write(&mut wal, 0..4);
    wal.rotate().unwrap();

    assert_eq!(
        wal.trim(Position(4)).unwrap(),
        0,
        "record 4 is still needed"
    );

    assert_eq!(wal.trim(Position(5)).unwrap(), 1);
    assert_eq!(
        wal.trim(Position(u64::MAX)).unwrap(),
        0,
        "the open segment stays"
    );

    let opened = open(&disk.crash(3));
    assert_eq!(opened.positions(), [0; 0]);
    assert_eq!(opened.wal.next_position(), Position(5));
    assert_eq!(opened.report.first_position, Some(Position(5)));
}

#[test]
fn skipped_positions_are_not_missing() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    write(&mut wal, 0..1);
    wal.skip_to(Position(100));
    wal.skip_to(Position(50));
    write(&mut wal, 1..2);

    let opened = open(&disk);
    assert_eq!(opened.positions(), [1, 100]);
    assert_eq!(opened.report.damage, []);
}

#[test]
fn a_full_segment_asks_for_the_next() {
    let disk = SimDisk::new();
    let config = Config {
        segment_bytes_max: 400,
    };
    let mut wal = crate::support::try_open(&disk, &config).unwrap().wal;
    let mut rotations = 0;

    for number in 0..20 {
        if wal.needs_rotation() {
            wal.rotate().unwrap();
            rotations += 1;
        }

        write(&mut wal, number..number + 1);
    }

    assert!((3..10).contains(&rotations), "{rotations}");
    assert_eq!(wal.segments().len(), rotations + 1);

    assert_eq!(
        wal.bytes(),
        wal.segments()
            .iter()
            .map(|segment| segment.bytes)
            .sum::<u64>()
    );

    assert_eq!(open(&disk).records(), numbered(0..20));
}

#[test]
fn a_record_beyond_the_limit_is_refused_and_nothing_else() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;

    let mut large = Record::numbered(0);
    large.series = vec![(0, vec![0; 64 << 20])];

    let error = large.append_to(&mut wal).unwrap_err();
    assert_eq!(error.kind(), duramen_model::ErrorKind::TooMuch);

    write(&mut wal, 1..2);
    assert_eq!(open(&disk).records(), numbered(1..2));
}

#[test]
fn the_real_disk_keeps_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a/wal");

    let reopen = |replayed: &mut Vec<Record>| {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        Wal::open(
            disk,
            Path::new(&dir),
            writer(),
            Config::default(),
            |_, _, record| {
                replayed.push(Record::from(record));
                Ok(())
            },
        )
        .unwrap()
        .0
    };

    let mut wal = reopen(&mut vec![]);
    write(&mut wal, 0..3);
    wal.rotate().unwrap();
    write(&mut wal, 3..6);

    assert_eq!(wal.trim(Position(4)).unwrap(), 1);

    drop(wal);

    let mut replayed = vec![];
    reopen(&mut replayed);

    assert_eq!(replayed, numbered(3..6));
}
