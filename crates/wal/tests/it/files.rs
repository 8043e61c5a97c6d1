use std::path::Path;
use std::sync::Arc;

use duramen_model::{ErrorKind, WriterId};
use duramen_runtime::Disk;
use duramen_testkit::SimDisk;
use duramen_wal::{Config, Damage, Error, Position, Reason, SegmentId, Wal};

use crate::support::{DIR, numbered, open, path, try_open, write};

/// Returns segments 1 to 4 with the records 0..3, 3..6, 6..9 and none.
fn three_segments() -> SimDisk {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;

    for first in [0, 3, 6] {
        write(&mut wal, first..first + 3);
        wal.rotate().unwrap();
    }

    disk
}

fn refusal(disk: &SimDisk) -> Error {
    let error = try_open(disk, &Config::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);

    error
}

#[test]
fn a_missing_segment_in_the_middle_is_told_and_the_rest_is_read() {
    let disk = three_segments();
    disk.remove_file(&path(2)).unwrap();

    let opened = open(&disk);
    assert_eq!(opened.records(), [numbered(0..3), numbered(6..9)].concat());

    let positions = Position(4)..Position(7);
    let missing = Damage {
        segment: SegmentId(2),
        offsets: 0..0,
        positions,
        reason: Reason::MissingSegment,
    };

    assert_eq!(opened.report.damage, [missing]);
    assert_eq!(opened.report.records_lost(), 3);
}

#[test]
fn a_missing_oldest_segment_shows_in_the_first_position() {
    let disk = three_segments();
    disk.remove_file(&path(1)).unwrap();

    let opened = open(&disk);
    assert_eq!(opened.report.first_position, Some(Position(4)));
    assert_eq!(opened.records(), numbered(3..9));
}

#[test]
fn a_copy_under_another_name_is_refused() {
    let disk = three_segments();
    disk.hard_link(&path(2), &path(9)).unwrap();

    let error = refusal(&disk);
    assert!(
        matches!(&error, Error::Misnamed { path: named, expected: SegmentId(9), actual: SegmentId(2) } if *named == path(9)),
        "{error}"
    );
}

#[test]
fn segments_that_changed_places_are_refused() {
    let disk = three_segments();
    let aside = Path::new("/data/aside");
    disk.rename(&path(1), aside).unwrap();
    disk.rename(&path(2), &path(1)).unwrap();
    disk.rename(aside, &path(2)).unwrap();

    assert!(matches!(refusal(&disk), Error::Misnamed { .. }));
}

#[test]
fn a_segment_of_another_writer_is_refused() {
    let disk = three_segments();
    let other = WriterId(1.into());
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());

    let error = Wal::open(
        shared,
        Path::new(DIR),
        other,
        Config::default(),
        |_, _, _| Ok(()),
    )
    .unwrap_err();
    assert!(matches!(error, Error::Foreign { .. }), "{error}");

    assert_eq!(
        open(&disk).records(),
        numbered(0..9),
        "and nothing was changed"
    );
}

#[test]
fn overlapping_positions_are_refused_and_both_files_named() {
    // Two histories of one writer, as after an old copy of the directory was restored and then
    // written to.
    let one = three_segments();
    let two = SimDisk::new();
    let mut wal = open(&two).wal;

    write(&mut wal, 0..1);
    wal.rotate().unwrap();
    write(&mut wal, 50..52);
    one.plant(&path(2), two.read(&path(2)).unwrap()).unwrap();

    let error = refusal(&one);
    assert!(
        matches!(&error, Error::Overlap { earlier, later, end: Position(4), start: Position(2) }
            if *earlier == path(1) && *later == path(2)),
        "{error}"
    );
}

#[test]
fn an_unknown_version_is_refused() {
    for unknown in [0, 2] {
        let disk = three_segments();
        let mut bytes = disk.read(&path(2)).unwrap();
        bytes[8] = unknown;

        let crc = crc32c::crc32c(&bytes[..44]).to_le_bytes();
        bytes[44..48].copy_from_slice(&crc);
        disk.plant(&path(2), bytes).unwrap();

        let error = refusal(&disk).to_string();
        let message = format!("WAL format {unknown} is not supported; this version reads format 1");
        assert!(error.starts_with(&message), "{error}");
    }
}

#[test]
fn other_files_are_left_alone_and_told() {
    let disk = three_segments();
    let stranger = Path::new(DIR).join("notes.txt");
    disk.create_new(&stranger).unwrap();
    disk.create_new(&Path::new(DIR).join("1.wal")).unwrap();

    let opened = open(&disk);
    assert_eq!(opened.report.ignored, ["1.wal", "notes.txt"]);
    assert_eq!(opened.records(), numbered(0..9));

    disk.stat(&stranger).unwrap();
}

#[test]
fn an_unfinished_segment_is_swept() {
    let disk = three_segments();
    let unfinished = path(7).with_extension("wal.new");
    disk.create_new(&unfinished).unwrap();

    let opened = open(&disk);
    assert_eq!(opened.report.ignored, Vec::<String>::new());

    disk.stat(&unfinished).unwrap_err();
}

#[test]
fn an_empty_or_garbled_segment_file_is_damage() {
    for bytes in [vec![], vec![0; 30], vec![0xff; 500]] {
        let disk = three_segments();
        disk.plant(&path(2), bytes).unwrap();

        let opened = open(&disk);
        assert_eq!(opened.records(), [numbered(0..3), numbered(6..9)].concat());
        assert_eq!(opened.report.records_lost(), 3);

        assert!(
            opened
                .report
                .damage
                .iter()
                .any(|damage| damage.reason == Reason::Header)
        );
    }
}

#[test]
fn a_refused_record_ends_the_replay() {
    let disk: Arc<dyn Disk> = Arc::new(three_segments());
    let opened = Wal::open(
        disk,
        Path::new(DIR),
        crate::support::writer(),
        Config::default(),
        |_, position, _| {
            if position == Position(5) {
                Err("no".into())
            } else {
                Ok(())
            }
        },
    );

    let error = opened.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Apply {
                segment: SegmentId(2),
                position: Position(5),
                ..
            }
        ),
        "{error}"
    );
}
