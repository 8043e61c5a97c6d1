//! Power is lost at any operation of the disk that holds the WAL and the store.

use std::path::PathBuf;
use std::sync::Arc;

use duramen_bucket::{Bucket, LocalStore};
use duramen_runtime::{Clock, Disk, SystemClock};
use duramen_testkit::SimDisk;
use futures::future::OptionFuture;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::system::{Samples, System};

/// Lives between two losses of power, under one seed.
const LIVES: usize = 3;

fn bucket(disk: &SimDisk, clock: &Arc<dyn Clock>) -> anyhow::Result<Bucket> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let store = LocalStore::open(disk, &PathBuf::from("/store"))?;
    let mut config = duramen_bucket::Config::default();
    // A disk without power does not come back by itself.
    config.retry.attempts_max = 1;
    Ok(Bucket::over(Arc::new(store), "sim".to_owned(), &config, Arc::clone(clock)))
}

/// Writes and flushes until the power goes; what was acknowledged is added to `acknowledged`.
async fn live(
    disk: &SimDisk,
    clock: &Arc<dyn Clock>,
    rng: &mut StdRng,
    acknowledged: &mut Samples,
    offered: &mut Samples,
) -> anyhow::Result<()> {
    let system = System::start(bucket(disk, clock)?, Arc::new(disk.clone()), Arc::clone(clock)).await?;
    let seen = system.read(&system.storage(Arc::new(system.ingester.clone()))).await?;
    check(&seen, acknowledged, offered)?;
    let base_ms = clock.now_ms() - 3_600_000;
    disk.power_off_after(rng.random_range(1..120));
    for _ in 0..60 {
        let flush = async {
            // It may fail: only what is acknowledged counts.
            let _ = system.ingester.flush_all().await;
        };
        let flush = OptionFuture::from(rng.random_bool(0.1).then_some(flush));
        let batch: Vec<(String, i64, f64)> = (0..rng.random_range(1..5))
            .map(|_| {
                let (series, ts_ms) = (rng.random_range(0..5), base_ms + rng.random_range(0..3_600_000));
                (series.to_string(), ts_ms, f64::from(rng.random_range(0..1_000_000)) / 8.0)
            })
            .filter(|(series, ts_ms, _)| !offered.contains_key(&(series.clone(), *ts_ms)))
            .collect();
        for (series, ts_ms, value) in &batch {
            offered.entry((series.clone(), *ts_ms)).or_insert_with(|| value.to_bits());
        }
        // Both at once: what comes while a flush commits must not be trimmed with what it committed.
        if let (Ok(report), _) = tokio::join!(system.write(&batch), flush) {
            anyhow::ensure!(report.rejected.is_empty(), "{}", report.rejected);
            for (series, ts_ms, value) in batch {
                acknowledged.insert((series, ts_ms), value.to_bits());
            }
        }
        if disk.is_off() {
            break;
        }
    }
    Ok(())
}

/// Everything acknowledged is there, and nothing that was never offered.
fn check(seen: &Samples, acknowledged: &Samples, offered: &Samples) -> anyhow::Result<()> {
    for (sample, bits) in acknowledged {
        anyhow::ensure!(seen.get(sample) == Some(bits), "{sample:?} was acknowledged and is missing");
    }
    for (sample, bits) in seen {
        anyhow::ensure!(offered.get(sample) == Some(bits), "{sample:?} was never offered");
    }
    Ok(())
}

/// Several lives and what is there after the last. An error is a broken promise.
async fn run(seed: u64, disk: SimDisk) -> anyhow::Result<usize> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut disk, mut acknowledged, mut offered) = (disk, Samples::new(), Samples::new());
    for _ in 0..LIVES {
        live(&disk, &clock, &mut rng, &mut acknowledged, &mut offered).await?;
        disk = disk.crash(rng.random());
    }
    let system = System::start(bucket(&disk, &clock)?, Arc::new(disk.clone()), Arc::clone(&clock)).await?;
    anyhow::ensure!(system.report.lost_records == 0, "replay lost records");
    let seen = system.read(&system.storage(Arc::new(system.ingester.clone()))).await?;
    check(&seen, &acknowledged, &offered)?;
    Ok(acknowledged.len())
}

/// The first seed under which a promise is broken.
fn first_broken(seeds: std::ops::Range<u64>, disk: impl Fn() -> SimDisk) -> Option<(u64, String)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut acknowledged = 0;
    for seed in seeds {
        match runtime.block_on(run(seed, disk())) {
            Ok(samples) => acknowledged += samples,
            Err(error) => return Some((seed, format!("{error:#}"))),
        }
    }
    println!("{acknowledged} samples were acknowledged and found again");
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
