//! A disk without space: writes are refused, nothing acknowledged is lost, and the disk gets free
//! again.

use std::path::Path;

use duramen_ingest::Error;
use duramen_model::ErrorKind;
use duramen_runtime::Disk;
use duramen_testkit::prompb::v1::TimeSeries;
use duramen_testkit::{Fault, SimDisk};

use crate::body::{of, one, sample, series};
use crate::system::{NOW_MS, System};

const MIB: u64 = 1 << 20;

fn log_bytes(disk: &SimDisk) -> u64 {
    let directory = Path::new("/data/wal");
    let entries = disk.read_dir(directory).unwrap();
    entries
        .iter()
        .map(|entry| disk.stat(&directory.join(&entry.name)).unwrap().length)
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_room_is_refused_and_the_next_with_room_is_taken() {
    let system = System::start().await;
    system.store(&one("m", NOW_MS, 1.0)).await;
    system.clock.advance(std::time::Duration::from_secs(1));
    system.disk.set_space(Some(MIB / 8));

    let error = system.write(&one("m", NOW_MS + 1, 2.0)).await.unwrap_err();
    assert!(matches!(error, Error::NoRoom { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);

    assert!(
        error
            .to_string()
            .starts_with("no space for the write-ahead log"),
        "{error}"
    );

    assert_eq!(system.held("m").await.floats.len(), 1);

    system.disk.set_space(Some(MIB));
    system.store(&one("m", NOW_MS + 1, 2.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_blocks_go_up_from_memory_and_the_log_is_given_back() {
    let system = System::start().await;

    for minute in 0..100 {
        // The digits of roots cannot be compressed.
        let at = |tick: i64| {
            sample(
                NOW_MS - minute * 60_000 + tick * 100,
                ((minute * 600 + tick) as f64).sqrt(),
            )
        };

        system
            .store(&of([TimeSeries {
                samples: (0..600).map(at).collect(),
                ..series("m")
            }]))
            .await;
    }

    let before = log_bytes(&system.disk);
    assert!(before > MIB / 4, "{before}");

    system.disk.set_space(Some(1_000));
    system.clock.advance(std::time::Duration::from_secs(1));

    assert!(matches!(
        system.write(&one("m", NOW_MS + 90_000, 2.0)).await,
        Err(Error::NoRoom { .. })
    ));

    system.ingester.flush_all().await.unwrap();

    let staged = std::fs::read_dir(system.staging.path()).unwrap().count();
    assert_eq!(staged, 0, "nothing was staged");

    // A flush sends the trim. The commit thread answers later commands after it.
    system.disk.set_space(Some(MIB));
    system.store(&one("m", NOW_MS + 90_000, 2.0)).await;

    assert!(
        log_bytes(&system.disk) < before / 10,
        "{}",
        log_bytes(&system.disk)
    );

    let system = system.crash().await;
    assert_eq!(system.report.samples, 1, "the rest is in the bucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn want_of_space_or_descriptors_at_any_call_loses_no_acknowledged_sample_and_writes_go_on() {
    for fault in [Fault::Full, Fault::Quota, Fault::Descriptors] {
        for nth in 1.. {
            let system = System::start().await;
            system.store(&one("m", NOW_MS, 0.0)).await;
            system.disk.fail_call(nth, fault);

            let mut acknowledged = 1;
            for at in 1..4 {
                acknowledged += u64::from(system.write(&one("m", NOW_MS + at, 1.0)).await.is_ok());
            }

            let _ = system.ingester.flush_all().await;
            for at in 4..7 {
                acknowledged += u64::from(system.write(&one("m", NOW_MS + at, 1.0)).await.is_ok());
            }

            let is_over = system.disk.take_failure();

            let what = format!("{fault:?} at call {nth}");
            system.store(&one("m", NOW_MS + 7, 1.0)).await;
            system.ingester.flush_all().await.unwrap();

            let state = system.manifests.refresh(system.tenant_id()).await.unwrap();
            let flushed: u64 = state.blocks.values().map(|entry| entry.stats.samples).sum();

            assert!(
                flushed > acknowledged,
                "{what}: {flushed} of {acknowledged} and one"
            );

            let system = system.crash().await;
            assert_eq!(system.report.samples, 0, "{what}");

            if is_over {
                break;
            }
        }
    }
}
