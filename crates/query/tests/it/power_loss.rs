//! Power loss at any operation of the disk that holds the WAL and the store.

use std::path::PathBuf;
use std::sync::Arc;

use duramen_bucket::{Bucket, LocalStore};
use duramen_runtime::{Clock, Disk, SystemClock};
use duramen_testkit::SimDisk;
use futures::future::OptionFuture;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::ledger::Ledger;
use crate::system::System;

/// The number of lives between power losses, for one seed.
const LIVES: usize = 3;

fn bucket(disk: &SimDisk, clock: &Arc<dyn Clock>) -> anyhow::Result<Bucket> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let store = LocalStore::open(disk, &PathBuf::from("/store"), &**clock)?;
    let mut config = duramen_bucket::Config::default();

    // A disk without power does not recover by itself.
    config.retry.attempts_max = 1;
    Ok(Bucket::over(
        Arc::new(store),
        "sim".to_owned(),
        &config,
        Arc::clone(clock),
    ))
}

/// Writes and flushes until power is lost. Acknowledged writes are noted in `ledger`.
async fn live(
    disk: &SimDisk,
    clock: &Arc<dyn Clock>,
    rng: &mut StdRng,
    ledger: &mut Ledger,
) -> anyhow::Result<()> {
    let system = System::start(
        bucket(disk, clock)?,
        Arc::new(disk.clone()),
        Arc::clone(clock),
    )
    .await?;
    ledger.check(
        &system
            .contents(&system.storage(Arc::new(system.ingester.clone())))
            .await?,
    )?;

    let base_ms = clock.now_ms() - 3_600_000;
    disk.power_off_after(rng.random_range(1..160));

    for _ in 0..60 {
        let flush = async {
            // It may fail, because only acknowledged writes count.
            let _ = system.ingester.flush_all().await;
        };

        let flush = OptionFuture::from(rng.random_bool(0.1).then_some(flush));
        let (message, batch) = ledger.offer(rng, base_ms);

        // Both run at the same time: a write during the commit of a flush must not be trimmed with
        // the flushed data.
        if let (Ok(report), _) = tokio::join!(system.write_message(&message), flush) {
            for rejected in [
                &report.rejected,
                &report.lost_exemplars,
                &report.lost_metadata,
            ] {
                anyhow::ensure!(rejected.is_empty(), "{rejected}");
            }

            ledger.acknowledged.add(batch);
        }

        if disk.is_off() {
            break;
        }
    }

    Ok(())
}

/// Runs several lives and checks what is there after the last. An error is a broken promise.
/// Returns how much was acknowledged.
async fn run(seed: u64, mut disk: SimDisk) -> anyhow::Result<[usize; 3]> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let mut rng = StdRng::seed_from_u64(seed);
    let mut ledger = Ledger::default();

    for _ in 0..LIVES {
        live(&disk, &clock, &mut rng, &mut ledger).await?;
        disk = disk.crash(rng.random());
    }

    let system = System::start(
        bucket(&disk, &clock)?,
        Arc::new(disk.clone()),
        Arc::clone(&clock),
    )
    .await?;
    anyhow::ensure!(system.report.lost_records == 0, "replay lost records");

    ledger.check(
        &system
            .contents(&system.storage(Arc::new(system.ingester.clone())))
            .await?,
    )?;

    Ok(ledger.acknowledged.len())
}

/// Returns the first seed with a broken promise.
fn first_broken(seeds: std::ops::Range<u64>, disk: impl Fn() -> SimDisk) -> Option<(u64, String)> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();

    let mut acknowledged = [0; 3];
    for seed in seeds {
        match runtime.block_on(run(seed, disk())) {
            Ok(more) => acknowledged = std::array::from_fn(|kind| acknowledged[kind] + more[kind]),
            Err(error) => return Some((seed, format!("{error:#}"))),
        }
    }

    let [samples, exemplars, families] = acknowledged;
    println!(
        "{samples} samples, {exemplars} exemplars and {families} families were acknowledged and found again"
    );
    None
}

#[test]
fn nothing_acknowledged_is_lost_with_the_power() {
    assert_eq!(first_broken(0..200, SimDisk::new), None);
}

#[test]
fn a_disk_that_does_not_sync_bytes_is_found_out() {
    let lying = || {
        let disk = SimDisk::new();
        disk.ignore_sync_data(true);
        disk
    };

    assert!(first_broken(0..50, lying).is_some());
}

#[test]
fn a_disk_that_does_not_sync_names_is_found_out() {
    let lying = || {
        let disk = SimDisk::new();
        disk.ignore_sync_dir(true);
        disk
    };

    assert!(first_broken(0..50, lying).is_some());
}
