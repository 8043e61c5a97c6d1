use duramen_model::ErrorKind;
use duramen_testkit::SimDisk;
use duramen_wal::{Error, Position};

use crate::support::{Record, numbered, open, write};

#[test]
fn a_full_disk_drops_what_was_not_synced_and_recovers() {
    let room = u64::try_from({
        let disk = SimDisk::new();
        let mut wal = open(&disk).wal;
        Record::numbered(1).append_to(&mut wal).unwrap();
        Record::numbered(2).append_to(&mut wal).unwrap();
        wal.pending_bytes()
    })
    .unwrap();
    for space in 0..room {
        let disk = SimDisk::new();
        let mut wal = open(&disk).wal;
        write(&mut wal, 0..1);
        disk.set_space(Some(space));
        Record::numbered(1).append_to(&mut wal).unwrap();
        Record::numbered(2).append_to(&mut wal).unwrap();
        let error = wal.sync().unwrap_err();
        assert!(matches!(error, Error::Full { .. }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(wal.needs_rotation());
        let refused = Record::numbered(3).append_to(&mut wal).unwrap_err();
        assert!(matches!(refused, Error::RotationNeeded { .. }), "{refused}");
        disk.set_space(Some(space.min(47)));
        assert!(matches!(wal.rotate().unwrap_err(), Error::Full { .. }), "still no space for a segment");

        disk.set_space(None);
        wal.rotate().unwrap();
        assert_eq!(
            Record::numbered(4).append_to(&mut wal).unwrap(),
            Position(4),
            "dropped positions are not used again"
        );
        assert_eq!(wal.sync().unwrap(), Position(4));
        for seed in 0..5 {
            let opened = open(&disk.crash(seed));
            assert_eq!(opened.records(), [numbered(0..1), numbered(4..5)].concat(), "space {space}");
            assert_eq!((&opened.report.damage[..], &opened.report.torn_tails[..]), (&[][..], &[][..]), "space {space}");
        }
    }
}

#[test]
fn no_space_for_a_new_segment_leaves_the_old_one_in_use() {
    for space in 0..48 {
        let disk = SimDisk::new();
        let mut wal = open(&disk).wal;
        write(&mut wal, 0..1);
        disk.set_space(Some(space));
        assert!(matches!(wal.rotate().unwrap_err(), Error::Full { .. }));
        disk.set_space(None);
        write(&mut wal, 1..2);
        wal.rotate().unwrap();
        write(&mut wal, 2..3);
        let opened = open(&disk.crash(space));
        assert_eq!(opened.records(), numbered(0..3));
        assert_eq!(opened.report.ignored, Vec::<String>::new());
    }
}

#[test]
fn a_failed_fdatasync_poisons_the_log() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    write(&mut wal, 0..2);
    Record::numbered(2).append_to(&mut wal).unwrap();
    disk.fail_sync_data(1);
    let error = wal.sync().unwrap_err();
    assert!(matches!(error, Error::Disk { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Internal);
    assert!(matches!(Record::numbered(3).append_to(&mut wal), Err(Error::Poisoned)));
    assert!(matches!(wal.sync(), Err(Error::Poisoned)));
    assert!(matches!(wal.rotate(), Err(Error::Poisoned)));
    assert!(matches!(wal.trim(Position(9)), Err(Error::Poisoned)));
    for seed in 0..50 {
        assert_eq!(open(&disk.crash(seed)).records()[..2], numbered(0..2));
    }
}

#[test]
fn a_failed_fdatasync_of_a_new_segment_poisons_the_log() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    write(&mut wal, 0..1);
    disk.fail_sync_data(1);
    wal.rotate().unwrap_err();
    assert!(matches!(wal.sync(), Err(Error::Poisoned)));
    assert_eq!(open(&disk.crash(1)).records(), numbered(0..1));
}
