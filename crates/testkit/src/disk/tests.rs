use std::io;
use std::path::Path;

use duramen_runtime::Disk;

use super::{DiskOp, SimDisk};

const FILE: &str = "/d/file";

/// Returns a disk with the synced directory `/d`.
fn disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir(Path::new("/d")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();

    disk
}

fn crashes(disk: &SimDisk) -> impl Iterator<Item = SimDisk> {
    (0..200).map(|seed| disk.crash(seed))
}

fn contents(disk: &SimDisk) -> Option<Vec<u8>> {
    disk.read(Path::new(FILE)).ok()
}

#[test]
fn what_was_synced_survives_every_crash() {
    let disk = disk();
    let mut file = disk.create_new(Path::new(FILE)).unwrap();
    file.append(b"synced").unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file.append(b" and not").unwrap();

    let mut lengths = std::collections::BTreeSet::new();
    for after in crashes(&disk) {
        let bytes = contents(&after).unwrap();
        assert!(bytes.starts_with(b"synced"));

        lengths.insert(bytes.len());
    }

    assert_eq!(
        lengths.first(),
        Some(&6),
        "all that was not synced may be lost"
    );

    assert_eq!(lengths.last(), Some(&14), "and all of it may survive");
    assert!(lengths.len() > 4, "and a part of it");
}

#[test]
fn an_unsynced_tail_may_be_zeros() {
    let disk = disk();
    let mut file = disk.create_new(Path::new(FILE)).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file.append(b"abcdefgh").unwrap();

    assert!(crashes(&disk).any(|after| contents(&after).unwrap().ends_with(&[0, 0])));
}

#[test]
fn an_unsynced_name_may_be_lost_though_its_bytes_were_synced() {
    let disk = disk();
    let mut file = disk.create_new(Path::new(FILE)).unwrap();
    file.append(b"x").unwrap();
    file.sync_data().unwrap();

    let found = crashes(&disk)
        .filter(|after| contents(after).is_some())
        .count();
    assert!((1..200).contains(&found));
}

#[test]
fn an_unsynced_removal_may_be_undone() {
    let disk = disk();
    disk.create_new(Path::new(FILE)).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.remove_file(Path::new(FILE)).unwrap();

    let found = crashes(&disk)
        .filter(|after| contents(after).is_some())
        .count();
    assert!((1..200).contains(&found));

    disk.sync_dir(Path::new("/d")).unwrap();
    assert!(crashes(&disk).all(|after| contents(&after).is_none()));
}

#[test]
fn a_rename_in_one_directory_leaves_one_of_the_names() {
    let disk = disk();
    let new = Path::new("/d/new");
    disk.create_new(new).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.rename(new, Path::new(FILE)).unwrap();

    assert!(crashes(&disk).all(|after| contents(&after).is_some() != after.stat(new).is_ok()));
}

#[test]
fn what_lies_in_a_directory_that_was_not_synced_goes_with_it() {
    let disk = SimDisk::new();
    disk.create_dir(Path::new("/d")).unwrap();
    disk.create_new(Path::new(FILE)).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();

    assert!(
        crashes(&disk)
            .any(|after| after.stat(Path::new("/d")).is_err() && contents(&after).is_none())
    );
}

#[test]
fn a_full_disk_takes_what_fits_and_recovers() {
    let disk = disk();
    let mut file = disk.create_new(Path::new(FILE)).unwrap();
    disk.set_space(Some(3));

    assert_eq!(
        file.append(b"abcd").unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );

    assert_eq!(contents(&disk).unwrap(), b"abc");
    assert_eq!(
        disk.create_new(Path::new("/d/b")).unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );

    file.truncate(1).unwrap();
    file.append(b"xy").unwrap();

    assert_eq!(contents(&disk).unwrap(), b"axy");
}

#[test]
fn a_failed_sync_loses_its_bytes_for_good() {
    let disk = disk();
    let mut file = disk.create_new(Path::new(FILE)).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    disk.fail_sync_data(2);
    file.sync_data().unwrap();
    file.append(b"lost").unwrap();

    assert!(file.sync_data().is_err());

    file.append(b"kept").unwrap();
    file.sync_data().unwrap();

    assert_eq!(contents(&disk).unwrap(), b"lostkept");
    assert_eq!(contents(&disk.crash(0)).unwrap(), b"\0\0\0\0kept");
}

#[test]
fn a_lying_disk_loses_what_it_said_was_durable() {
    let disk = disk();
    disk.ignore_sync_data(true);

    let mut file = disk.create_new(Path::new(FILE)).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();
    file.append(b"x").unwrap();
    file.sync_data().unwrap();

    assert!(crashes(&disk).any(|after| contents(&after).unwrap().is_empty()));

    disk.ignore_sync_dir(true);
    disk.remove_file(Path::new(FILE)).unwrap();
    disk.sync_dir(Path::new("/d")).unwrap();

    assert!(crashes(&disk).any(|after| contents(&after).is_some()));
}

#[test]
fn nothing_changes_after_the_power_is_off() {
    let disk = disk();
    let mut file = disk.create_new(Path::new(FILE)).unwrap();
    disk.power_off_after(1);
    file.append(b"a").unwrap();

    assert!(!disk.is_off());
    assert!(file.append(b"b").is_err());
    assert!(file.sync_data().is_err());
    assert!(disk.is_off());
    assert_eq!(contents(&disk).unwrap(), b"a");
}

#[test]
fn the_log_names_a_file_as_it_is_called_then() {
    let disk = SimDisk::new();
    let mut file = disk.create_new(Path::new("a")).unwrap();
    disk.rename(Path::new("a"), Path::new("b")).unwrap();
    file.append(b"xyz").unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();

    let expected = [
        DiskOp::Create { path: "/a".into() },
        DiskOp::Rename {
            from: "/a".into(),
            to: "/b".into(),
        },
        DiskOp::Append {
            path: "/b".into(),
            len: 3,
        },
        DiskOp::SyncData { path: "/b".into() },
        DiskOp::SyncDir { path: "/".into() },
    ];

    assert_eq!(disk.ops(), expected);
}

#[test]
fn equal_seeds_crash_alike() {
    let disk = disk();
    disk.create_new(Path::new(FILE))
        .unwrap()
        .append(&[7; 100])
        .unwrap();

    for seed in 0..50 {
        assert_eq!(contents(&disk.crash(seed)), contents(&disk.crash(seed)));
    }
}
