//! The data directory of one process.

use std::path::Path;
use std::sync::Arc;

use duramen_bucket::{DataDir, Error, WriterIdentity};
use duramen_model::ErrorKind;
use duramen_runtime::RealDisk;
use duramen_testkit::SimDisk;

use crate::stores::clock;

fn open(path: &Path) -> Result<DataDir, Error> {
    DataDir::open(Arc::new(RealDisk), path, &*clock())
}

#[test]
fn a_second_process_is_refused_and_told_who_has_it() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("data");
    let first = open(&path).unwrap();
    let error = open(&path).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid);

    let text = error.to_string();
    assert!(
        text.contains(&std::process::id().to_string()) && text.contains("data"),
        "{text}"
    );

    drop(first);
    open(&path).unwrap();
}

#[test]
fn each_start_is_a_new_epoch_of_one_writer() {
    let root = tempfile::tempdir().unwrap();
    let identities: Vec<_> = (0..3)
        .map(|_| open(root.path()).unwrap().identity())
        .collect();

    assert_eq!(
        identities.iter().map(|i| i.epoch).collect::<Vec<_>>(),
        [1, 2, 3]
    );

    assert!(identities.iter().all(|i| i.writer == identities[0].writer));
}

#[test]
fn a_refused_start_takes_no_epoch() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path()).unwrap();
    open(root.path()).unwrap_err();

    assert_eq!(first.identity().epoch, 1);

    drop(first);
    assert_eq!(open(root.path()).unwrap().identity().epoch, 2);
}

#[test]
fn an_unreadable_identity_is_not_replaced() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("writer.json"), "{").unwrap();

    assert_eq!(open(root.path()).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// Starts several processes one after another. A loss of power stops each but the last.
fn starts(seed: u64, prepare: impl Fn(&SimDisk)) -> Result<Vec<WriterIdentity>, Error> {
    let open = |disk: &SimDisk| {
        let opened = DataDir::open_unlocked(Arc::new(disk.clone()), Path::new("/data"), &*clock());
        opened.map(|dir| dir.identity())
    };

    let mut disk = SimDisk::new();
    let mut identities = Vec::new();

    for n in 0..6 {
        prepare(&disk);
        disk.power_off_after((seed + n * 5) % 17);
        identities.extend(open(&disk));
        disk = disk.crash(seed + n);
    }

    identities.push(open(&disk)?);
    Ok(identities)
}

fn is_one_writer_of_rising_epochs(starts: &Result<Vec<WriterIdentity>, Error>) -> bool {
    let rises = |w: &[WriterIdentity]| w[0].writer == w[1].writer && w[0].epoch < w[1].epoch;
    starts
        .as_ref()
        .is_ok_and(|identities| identities.windows(2).all(rises))
}

#[test]
fn no_loss_of_power_lets_an_epoch_come_twice() {
    for seed in 0..1_000 {
        let starts = starts(seed, |_| {});
        assert!(
            is_one_writer_of_rising_epochs(&starts),
            "seed {seed}: {starts:?}"
        );
    }
}

#[test]
fn a_disk_that_lies_about_syncs_is_found_out_by_this_test() {
    for lie in [
        SimDisk::ignore_sync_data as fn(&SimDisk, bool),
        SimDisk::ignore_sync_dir,
    ] {
        let wrong =
            |seed: &u64| !is_one_writer_of_rising_epochs(&starts(*seed, |disk| lie(disk, true)));
        let wrong = (0..100).filter(wrong).count();
        assert!(wrong > 10, "{wrong} of 100");
    }
}
