use duramen_testkit::{DiskOp, SimDisk};
use duramen_wal::Position;

use crate::support::{DIR, Record, open, path, write};

/// Asserts that every append to a segment is followed by a sync, and that the segment's name was
/// durable before.
fn check_all_durable(ops: &[DiskOp]) {
    for (index, op) in ops.iter().enumerate() {
        let DiskOp::Append { path: appended, .. } = op else {
            continue;
        };
        let synced = ops[index..]
            .iter()
            .any(|later| matches!(later, DiskOp::SyncData { path } if path == appended));

        assert!(synced, "an append to {} was not synced", appended.display());

        if appended
            .extension()
            .is_some_and(|extension| extension == "wal")
        {
            let named = ops[..index]
                .iter()
                .rposition(|op| matches!(op, DiskOp::Rename { to, .. } if to == appended));
            let named = named.expect("a segment gets its name by a rename");
            let name_synced = ops[named..index].contains(&DiskOp::SyncDir { path: DIR.into() });

            assert!(
                name_synced,
                "{} was used before its name was durable",
                appended.display()
            );
        }
    }
}

#[test]
fn every_sync_that_returns_was_preceded_by_an_fdatasync() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;

    for number in 0..40 {
        if number % 10 == 9 {
            wal.rotate().unwrap();
        }

        Record::numbered(number).append_to(&mut wal).unwrap();

        if number % 3 == 0 {
            wal.sync().unwrap();

            let open_segment = path(wal.segment().0);
            assert_eq!(
                disk.ops().last(),
                Some(&DiskOp::SyncData { path: open_segment })
            );

            check_all_durable(&disk.ops());
        }
    }
}

#[test]
fn a_group_is_one_write_and_one_sync() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    let before = disk.ops().len();

    for number in 0..50 {
        Record::numbered(number).append_to(&mut wal).unwrap();
    }

    assert_eq!(
        disk.ops().len(),
        before,
        "appending alone does not touch the disk"
    );

    let len = wal.pending_bytes();
    assert_eq!(wal.sync().unwrap(), Position(50));

    assert_eq!(
        disk.ops()[before..],
        [
            DiskOp::Append { path: path(1), len },
            DiskOp::SyncData { path: path(1) }
        ]
    );

    wal.sync().unwrap();
    assert_eq!(disk.ops().len(), before + 2, "nothing new, nothing to sync");
}

#[test]
fn a_new_segment_is_durable_before_it_is_used() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    write(&mut wal, 0..1);

    let before = disk.ops().len();
    wal.rotate().unwrap();

    let new = path(2).with_extension("wal.new");
    let expected = [
        DiskOp::Create { path: new.clone() },
        DiskOp::Append {
            path: new.clone(),
            len: 48,
        },
        DiskOp::SyncData { path: new.clone() },
        DiskOp::Rename {
            from: new,
            to: path(2),
        },
        DiskOp::SyncDir { path: DIR.into() },
    ];

    assert_eq!(disk.ops()[before..], expected);
}

#[test]
fn segments_are_trimmed_one_by_one_from_the_front() {
    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;

    for number in 0..3 {
        write(&mut wal, number..number + 1);
        wal.rotate().unwrap();
    }

    let before = disk.ops().len();
    assert_eq!(wal.trim(Position(3)).unwrap(), 2);

    let sync_dir = DiskOp::SyncDir { path: DIR.into() };
    let expected = [
        DiskOp::Remove { path: path(1) },
        sync_dir.clone(),
        DiskOp::Remove { path: path(2) },
        sync_dir,
    ];

    assert_eq!(disk.ops()[before..], expected);
    assert_eq!(
        wal.segments()
            .iter()
            .map(|segment| segment.id.0)
            .collect::<Vec<_>>(),
        [3, 4]
    );
}

#[test]
fn what_a_replay_hands_over_is_durable_though_nobody_synced_it() {
    use duramen_runtime::Disk;

    let disk = SimDisk::new();
    let mut wal = open(&disk).wal;
    write(&mut wal, 0..1);

    let synced = disk.read(&path(1)).unwrap().len();
    Record::numbered(1).append_to(&mut wal).unwrap();

    // The process dies between the write and the fdatasync: the bytes are in the page cache.
    disk.power_off_after(1);
    wal.sync().unwrap_err();
    disk.power_on();

    assert!(disk.read(&path(1)).unwrap().len() > synced);

    assert_eq!(open(&disk).positions(), [1, 2]);

    for seed in 0..50 {
        let opened = open(&disk.crash(seed));
        assert_eq!(opened.positions(), [1, 2]);
        assert_eq!(opened.report.damage, []);
    }
}
