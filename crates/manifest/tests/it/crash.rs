//! A manifest in a directory, and losses of power.

use std::path::Path;
use std::sync::Arc;

use duramen_bucket::{Bucket, Config, LocalStore};
use duramen_manifest::Manifests;
use duramen_testkit::SimDisk;

use crate::values::{TENANT, clock, flush, identity, process};

fn open(disk: &SimDisk, epoch: u64) -> Option<Manifests> {
    let store =
        LocalStore::open(Arc::new(disk.clone()), Path::new("/data/store"), &*clock()).ok()?;
    let bucket = Bucket::over(
        Arc::new(store),
        "simulated".to_owned(),
        &Config::default(),
        clock(),
    );

    Some(process(&bucket, identity(1, epoch)))
}

/// Flushes in three processes, each ended by a loss of power. `Err` says what was lost.
async fn live(seed: u64, prepare: impl Fn(&SimDisk)) -> Result<(), String> {
    let mut disk = SimDisk::new();
    let mut acknowledged = 0;
    let mut n = 0;

    for epoch in 1..=3 {
        prepare(&disk);
        disk.power_off_after((seed * 31 + epoch * 97) % 700);

        if let Some(manifests) = open(&disk, epoch) {
            n = run(&manifests, epoch, n, &mut acknowledged).await?;
        }

        disk = disk.crash(seed + epoch);
    }

    let state = open(&disk, 4)
        .ok_or("no store")?
        .refresh(TENANT)
        .await
        .map_err(|e| e.to_string())?;

    let flush = state
        .flushed
        .values()
        .map(|flushed| flushed.flush)
        .max()
        .unwrap_or(0);

    if flush < acknowledged || flush > n || state.blocks.len() as u64 != flush {
        return Err(format!(
            "{acknowledged} acknowledged, {n} tried, flush {flush}, {} blocks",
            state.blocks.len()
        ));
    }

    Ok(())
}

/// Runs one process. Returns the number of the last flush that was tried.
async fn run(
    manifests: &Manifests,
    epoch: u64,
    mut n: u64,
    acknowledged: &mut u64,
) -> Result<u64, String> {
    let Ok(state) = manifests.fence(TENANT).await else {
        return Ok(n);
    };
    let found = state
        .flushed
        .values()
        .map(|flushed| flushed.flush)
        .max()
        .unwrap_or(0);

    if found < *acknowledged {
        return Err(format!(
            "{acknowledged} acknowledged, {found} found by epoch {epoch}"
        ));
    }

    n = found;

    while n < found + 70 {
        n += 1;
        if manifests
            .commit(TENANT, flush(identity(1, epoch), n))
            .await
            .is_err()
        {
            break;
        }
        *acknowledged = n;
    }

    Ok(n)
}

#[tokio::test]
async fn every_acknowledged_commit_survives_losses_of_power() {
    for seed in 0..80 {
        assert_eq!(live(seed, |_| {}).await, Ok(()), "seed {seed}");
    }
}

#[tokio::test]
async fn a_disk_that_lies_about_syncs_is_found_out_by_this_test() {
    for lie in [
        SimDisk::ignore_sync_data as fn(&SimDisk, bool),
        SimDisk::ignore_sync_dir,
    ] {
        let mut losses = 0;
        for seed in 0..12 {
            losses += u32::from(live(seed, |disk| lie(disk, true)).await.is_err());
        }
        assert!(losses > 6, "{losses} of 12");
    }
}
