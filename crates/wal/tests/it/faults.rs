use std::path::Path;

use duramen_model::ErrorKind;
use duramen_runtime::Disk;
use duramen_testkit::{Fault, SimDisk};
use duramen_wal::{Config, Error, Position, Wal};

use crate::support::{DIR, Record, numbered, open, path, try_open, write};

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
        assert!(
            matches!(wal.rotate().unwrap_err(), Error::Full { .. }),
            "still no space for a segment"
        );

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
            assert_eq!(
                opened.records(),
                [numbered(0..1), numbered(4..5)].concat(),
                "space {space}"
            );

            assert_eq!(
                (&opened.report.damage[..], &opened.report.torn_tails[..]),
                (&[][..], &[][..]),
                "space {space}"
            );
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
    assert!(matches!(
        Record::numbered(3).append_to(&mut wal),
        Err(Error::Poisoned)
    ));

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

/// The result of a life of a log: the records that were acknowledged, and the position before which
/// it was trimmed.
#[derive(Default)]
struct Life {
    acknowledged: Vec<(Position, u32)>,
    trimmed_before: Position,
}

const RECORDS: u32 = 14;

/// Writes records one by one, with rotations and a trim in between. Goes on after every error that
/// need not end the process.
fn live(disk: &SimDisk, life: &mut Life) -> Result<(), Error> {
    let mut wal = try_open(
        disk,
        &Config {
            segment_bytes_max: 400,
        },
    )?
    .wal;

    for number in 0..RECORDS {
        if wal.needs_rotation() {
            passing(wal.rotate())?;
        }

        if let Some(position) = passing(store(&mut wal, number))? {
            life.acknowledged.push((position, number));
        }

        if number == RECORDS / 2 {
            life.trimmed_before = wal.next_position();
            passing(wal.trim(life.trimmed_before))?;
        }
    }

    Ok(())
}

fn store(wal: &mut Wal, number: u32) -> Result<Position, Error> {
    let position = Record::numbered(number).append_to(wal)?;
    assert!(wal.sync()? >= position);

    Ok(position)
}

/// Returns `None` for an error after which the log goes on.
fn passing<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Full { .. } | Error::RotationNeeded { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Asserts that every record that was acknowledged and not trimmed is read back, and that nothing
/// is damaged.
fn is_kept(disk: &SimDisk, life: &Life, what: &str) {
    for seed in 0..5 {
        let opened = open(&disk.crash(seed));
        assert!(
            opened.report.damage.is_empty(),
            "{what}: {:?}",
            opened.report
        );

        for (position, number) in life
            .acknowledged
            .iter()
            .filter(|(at, _)| *at >= life.trimmed_before)
        {
            let found = opened.replayed.iter().find(|(_, at, _)| at == position);
            assert_eq!(
                found.map(|(_, _, record)| record),
                Some(&Record::numbered(*number)),
                "{what}: {position}"
            );
        }
    }
}

#[test]
fn want_of_space_or_descriptors_at_any_call_costs_no_acknowledged_record_and_the_log_goes_on() {
    for fault in [Fault::Full, Fault::Quota, Fault::Descriptors] {
        let mut nth = 0;

        loop {
            nth += 1;

            let disk = SimDisk::new();
            disk.fail_call(nth, fault);

            let mut life = Life::default();
            let lived = live(&disk, &mut life);
            let what = format!("{fault:?} at call {nth}");

            if disk.take_failure() {
                break;
            }

            match lived {
                // The failure came once, so the next write passes.
                Ok(()) => assert!(life.acknowledged.len() + 1 >= RECORDS as usize, "{what}"),
                // There is no log without a first segment, so the start is tried again.
                Err(error) => {
                    assert!(matches!(error, Error::Full { .. }), "{what}: {error}");
                    assert!(life.acknowledged.is_empty(), "{what}");
                }
            }

            is_kept(&disk, &life, &what);
        }

        assert!(nth > 8, "{fault:?} met {nth} calls");
    }
}

#[test]
fn a_broken_device_at_any_call_costs_no_acknowledged_record() {
    let mut nth = 0;

    loop {
        nth += 1;

        let disk = SimDisk::new();
        disk.fail_call(nth, Fault::Broken);

        let mut life = Life::default();
        let lived = live(&disk, &mut life);

        if disk.take_failure() {
            break;
        }

        is_kept(
            &disk,
            &life,
            &format!("EIO at call {nth}, {:?}", lived.err()),
        );
    }

    assert!(nth > 20, "{nth}");
}

#[test]
fn no_space_at_an_fdatasync_drops_the_group_and_the_segment_stays_whole() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    write(&mut wal, 0..2);

    let whole = disk.read(&path(1)).unwrap();

    Record::numbered(2).append_to(&mut wal).unwrap();
    disk.fail_call(2, Fault::Full);

    let error = wal.sync().unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert_eq!(disk.read(&path(1)).unwrap(), whole);

    wal.rotate().unwrap();
    write(&mut wal, 3..4);

    for seed in 0..20 {
        assert_eq!(
            open(&disk.crash(seed)).records(),
            [numbered(0..2), numbered(3..4)].concat()
        );
    }
}

#[test]
fn a_segment_that_is_not_whole_after_its_cut_ends_the_log() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    let ends = write(&mut wal, 0..2);
    let mut damaged = disk.read(&path(1)).unwrap();

    damaged[usize::try_from(ends[0]).unwrap() + 30] ^= 1;
    disk.plant(&path(1), damaged).unwrap();

    Record::numbered(2).append_to(&mut wal).unwrap();
    disk.fail_call(2, Fault::Full);

    let error = wal.sync().unwrap_err();
    assert!(
        matches!(
            error,
            Error::Disk {
                action: "read back",
                ..
            }
        ),
        "{error}"
    );

    assert!(matches!(wal.rotate(), Err(Error::Poisoned)));
}

#[test]
fn a_name_that_may_not_be_durable_keeps_the_old_segment_closed() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    write(&mut wal, 0..1);

    // A rotation opens the directory second, to sync it.
    disk.fail_call(2, Fault::Descriptors);
    assert!(matches!(wal.rotate(), Err(Error::Full { .. })));
    assert!(wal.needs_segment());
    assert!(matches!(
        Record::numbered(1).append_to(&mut wal),
        Err(Error::RotationNeeded { .. })
    ));

    wal.rotate().unwrap();
    write(&mut wal, 1..2);

    assert!(
        disk.read_dir(Path::new(DIR))
            .unwrap()
            .iter()
            .all(|entry| entry.name.ends_with(".wal"))
    );

    for seed in 0..20 {
        assert_eq!(open(&disk.crash(seed)).records(), numbered(0..2));
    }
}
