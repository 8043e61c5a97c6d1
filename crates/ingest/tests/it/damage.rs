//! Damaged staged blocks, and how a flush recovers from them.

use std::fs;
use std::path::{Path, PathBuf};

use duramen_block::{Block, OpenOptions};
use duramen_bucket::keys;
use duramen_ingest::Error;
use duramen_model::ErrorKind;
use duramen_runtime::Disk;
use duramen_source::{Columns, Reads};
use duramen_testkit::SimDisk;
use duramen_testkit::prompb::v1::TimeSeries;
use duramen_testkit::s3::{Fault, Op, Rule, S3, S3Options, When};
use futures::TryStreamExt;

use crate::body::{exemplar, family, histogram, of, of_metadata, one, sample, series};
use crate::system::{NOW_MS, System};

/// Damages a file.
type Harm = fn(&Path);

const HARMS: [(&str, Harm); 4] = [
    ("a flipped bit", |path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(path, bytes).unwrap();
    }),
    ("a lost page", |path| {
        let mut bytes = fs::read(path).unwrap();
        let page = bytes.len().min(4096);
        bytes[..page].fill(0);
        fs::write(path, bytes).unwrap();
    }),
    ("a lost end", |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
    }),
    ("a lost file", |path| fs::remove_file(path).unwrap()),
];

/// Returns a system whose head has all kinds of data staged, while the store is unavailable.
async fn staged(store_disk: &SimDisk) -> System {
    let system = System::start_on(store_disk).await;
    let mut all = TimeSeries {
        samples: vec![sample(NOW_MS, 1.0)],
        ..series("m")
    };

    all.exemplars = vec![exemplar(NOW_MS, "t")];

    let histograms = TimeSeries {
        histograms: vec![histogram(NOW_MS, 4)],
        ..series("h")
    };

    system.store(&of_metadata([family("m", "M.")])).await;
    system.store(&of([all, histograms])).await;
    system.store(&one("m", NOW_MS + 1, 2.0)).await;
    store_disk.power_off_after(0);
    system.ingester.flush_all().await.unwrap_err();
    store_disk.power_on();

    system
}

/// Returns the files of the one staged block.
fn staged_files(system: &System) -> Vec<PathBuf> {
    let blocks: Vec<_> = fs::read_dir(system.staging.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();

    assert_eq!(blocks.len(), 1, "{blocks:?}");

    let files = fs::read_dir(&blocks[0])
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files.collect()
}

/// Returns the number of floats, histograms, exemplars and families in the blocks of the bucket.
/// Verifies every byte of them.
async fn committed(system: &System) -> [u64; 4] {
    let state = system.manifests.refresh(system.tenant_id()).await.unwrap();
    let mut held = [0; 4];

    for entry in state.blocks.values() {
        let store = system.bucket.store();
        let directory = keys::block(system.tenant_id(), entry);
        let reads = Reads::default();

        let block = Block::open(
            store,
            directory,
            &entry.stats,
            OpenOptions::default(),
            &reads,
        )
        .await
        .unwrap();
        block.verify().await.unwrap();

        let stats = &entry.stats;

        for (sum, one) in held.iter_mut().zip([
            stats.samples,
            stats.histograms,
            stats.exemplars,
            stats.families,
        ]) {
            *sum += one;
        }
    }

    held
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_staged_file_never_goes_up_and_is_made_again_from_the_log() {
    let count = {
        let store_disk = SimDisk::new();
        staged_files(&staged(&store_disk).await).len()
    };

    assert_eq!(count, 6, "five files and meta");

    for (what, harm) in HARMS {
        for file in 0..count {
            let store_disk = SimDisk::new();
            let system = staged(&store_disk).await;
            let path = &staged_files(&system)[file];

            harm(path);

            system.ingester.flush_all().await.unwrap();
            assert_eq!(
                committed(&system).await,
                [2, 1, 1, 1],
                "{what} in {}",
                path.display()
            );

            assert_eq!(
                system.metric("duramen_flush_rebuilds_total"),
                1.0,
                "{what} in {}",
                path.display()
            );

            let system = system.crash().await;
            assert_eq!(system.report.samples, 0, "everything is in the bucket");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_of_a_damaged_staged_block_is_right_or_an_error() {
    for (what, harm) in HARMS {
        let store_disk = SimDisk::new();
        let system = staged(&store_disk).await;

        for path in staged_files(&system) {
            harm(&path);
        }

        for part in system.parts().await {
            let selected = part
                .source
                .select(&system.request(Columns::Everything))
                .await;

            let Ok(batches) = selected else { continue };
            let batches: Result<Vec<_>, _> = batches.try_collect().await;
            let Ok(batches) = batches else { continue };

            for batch in &batches {
                for row in 0..batch.len() {
                    let (times, values) = batch.samples_at(row);
                    let is_right = |(ts, value): (&i64, &f64)| {
                        [(NOW_MS, 1.0), (NOW_MS + 1, 2.0)].contains(&(*ts, *value))
                    };

                    assert!(times.iter().zip(values).all(is_right), "{what}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_log_is_damaged_too_both_are_kept_and_the_flush_says_so() {
    let store_disk = SimDisk::new();
    let system = staged(&store_disk).await;
    HARMS[0].1(&staged_files(&system)[0]);

    let directory = Path::new("/data/wal");
    let name = |entry: duramen_runtime::disk::DirEntry| directory.join(entry.name);

    let segments: Vec<_> = system
        .disk
        .read_dir(directory)
        .unwrap()
        .into_iter()
        .map(name)
        .collect();

    let segment = segments
        .iter()
        .max_by_key(|path| system.disk.stat(path).unwrap().length)
        .unwrap();

    let whole = system.disk.read(segment).unwrap();
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    system.disk.plant(segment, damaged).unwrap();

    let error = system.ingester.flush_all().await.unwrap_err();
    assert!(matches!(error, Error::LogDamaged { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(system.disk.stat(segment).is_ok(), "nothing is trimmed");

    system.disk.plant(segment, whole).unwrap();
    system.ingester.flush_all().await.unwrap();

    assert_eq!(committed(&system).await, [2, 1, 1, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_doubt_is_made_again_with_its_own_blocks_whatever_became_of_the_staged_ones() {
    let s3 = S3::start(S3Options::default()).await.unwrap();
    let system = System::start_at(&s3).await;
    system.store(&one("m", NOW_MS, 1.0)).await;

    let manifest = format!("t/{}/manifest/", system.tenant_id());
    let lost_answer = When::op(Op::Put).under(manifest.clone());
    s3.inject(Rule {
        when: lost_answer,
        fault: Fault::ResetAfterCommit,
    });

    s3.inject(Rule {
        when: When::op(Op::Get).under(manifest),
        fault: Fault::Status(503),
    });

    system.ingester.flush_all().await.unwrap_err();
    s3.clear_faults();

    for file in staged_files(&system) {
        fs::write(file, "damaged").unwrap();
    }

    system.ingester.flush_all().await.unwrap();

    let state = system.manifests.refresh(system.tenant_id()).await.unwrap();
    assert_eq!(state.blocks.len(), 1);
    assert_eq!(system.ingester.head_bytes(), 0);
}
