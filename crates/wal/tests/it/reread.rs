//! Tests of reading a part of the log again while it is in use.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use duramen_runtime::Disk;
use duramen_testkit::SimDisk;
use duramen_wal::{Position, ReplayReport, reread};

use crate::support::{DIR, Record, open, path, write, writer};

fn read(disk: &SimDisk, positions: Range<u64>) -> (Vec<u64>, Vec<Record>, ReplayReport) {
    let mut at = Vec::new();
    let mut records = Vec::new();
    let positions = Position(positions.start)..Position(positions.end);

    let report = reread(
        Arc::new(disk.clone()),
        Path::new(DIR),
        writer(),
        positions,
        |_, position, record| {
            at.push(position.0);
            records.push(Record::from(record));
            Ok(())
        },
    );

    (at, records, report.unwrap())
}

#[test]
fn records_come_back_with_those_before_them_in_their_segment_and_none_behind() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;

    for segment in 0..3 {
        write(&mut wal, segment * 3..segment * 3 + 3);
        wal.rotate().unwrap();
    }

    write(&mut wal, 9..11);

    for (asked, found) in [
        (1..12, 1..12),
        (5..6, 4..6),
        (4..7, 4..7),
        (8..11, 7..11),
        (11..12, 10..12),
    ] {
        let (at, records, report) = read(&disk, asked.clone());
        assert_eq!(at, found.clone().collect::<Vec<_>>(), "{asked:?}");
        let numbers = found.map(|position| Record::numbered(u32::try_from(position).unwrap() - 1));
        assert_eq!(records, numbers.collect::<Vec<_>>(), "{asked:?}");
        assert!(report.damage.is_empty(), "{asked:?}: {report:?}");
    }
}

#[test]
fn what_is_being_appended_is_no_damage_and_what_is_damaged_is_told() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    let ends = write(&mut wal, 0..3);
    let mut bytes = disk.read(&path(1)).unwrap();

    let half = bytes[48..90].to_vec();
    bytes.extend(half);
    disk.plant(&path(1), bytes.clone()).unwrap();

    assert!(read(&disk, 1..4).2.damage.is_empty());

    bytes[usize::try_from(ends[0]).unwrap() + 30] ^= 1;
    disk.plant(&path(1), bytes).unwrap();

    let (at, _, report) = read(&disk, 1..4);
    assert_eq!(at, [1, 3]);
    assert_eq!(report.damage[0].positions, Position(2)..Position(3));
}
