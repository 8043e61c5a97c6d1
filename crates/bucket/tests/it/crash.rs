//! The promises of the local store in a loss of power.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use duramen_bucket::LocalStore;
use duramen_bucket::local::CompleteFile;
use duramen_runtime::Disk;
use duramen_testkit::SimDisk;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, WriteMultipart,
};

use crate::stores::clock;

const ROOT: &str = "/data/store";

fn open(disk: &SimDisk) -> Option<LocalStore> {
    LocalStore::open(Arc::new(disk.clone()), FilePath::new(ROOT), &*clock()).ok()
}

/// The objects that must exist, and the one that may exist too: that of the write that was cut
/// short.
#[derive(Debug, Default)]
struct Ledger {
    acknowledged: BTreeMap<String, Option<String>>,
    in_doubt: BTreeMap<String, Option<String>>,
}

impl Ledger {
    fn record<T>(&mut self, key: &str, body: Option<&str>, result: &object_store::Result<T>) {
        let body = body.map(str::to_owned);
        if result.is_ok() {
            self.acknowledged.insert(key.to_owned(), body);
        } else {
            self.in_doubt.insert(key.to_owned(), body);
        }
    }
}

/// Makes all kinds of writes until the power is cut. The seed gives them their keys and sizes.
async fn work(disk: &SimDisk, store: &LocalStore, seed: u64, ledger: &mut Ledger) {
    for n in 0..6 {
        let new = format!("t/{}/{n}", seed % 3);
        let body = "x".repeat(usize::try_from((seed * 7 + n * 13) % 50).unwrap());
        let payload = PutPayload::from(body.clone());
        let created = store
            .put_opts(&Path::from(new.as_str()), payload, PutMode::Create.into())
            .await;

        ledger.record(&new, Some(&body), &created);

        let replaced = format!("{body}{n}");
        let put = store
            .put(&Path::from("hint"), replaced.clone().into())
            .await;
        ledger.record("hint", Some(&replaced), &put);

        let big = format!("blocks/block={n}/samples.parquet");
        let uploaded = upload(store, &big, &body).await;
        ledger.record(&big, Some(&body.repeat(3)), &uploaded);

        let moved = format!("blocks/block={n}/series.parquet");
        if let Ok(file) = complete(disk, n, &body) {
            let mut options = PutOptions::default();
            options.extensions.insert(file);
            let put = store
                .put_opts(&Path::from(moved.as_str()), PutPayload::default(), options)
                .await;
            ledger.record(&moved, Some(&body), &put);
        }

        let copy = format!("copies/{n}");
        let copied = store
            .copy(&Path::from(new.as_str()), &Path::from(copy.as_str()))
            .await;
        ledger.record(&copy, Some(&body), &copied);

        if n % 2 == 1 {
            let deleted = store.delete(&Path::from(new.as_str())).await;
            ledger.record(&new, None, &deleted);
        }

        if put.is_err() {
            return;
        }
    }
}

/// Writes a file beside the store, as a writer of blocks does, without a sync.
fn complete(disk: &SimDisk, n: u64, body: &str) -> std::io::Result<CompleteFile> {
    let path = FilePath::new("/data").join(format!("staged-{n}"));
    disk.create_new(&path)?.append(body.as_bytes())?;

    Ok(CompleteFile {
        id: disk.stat(&path)?.id,
        path,
        bytes: body.len() as u64,
        crc32c: crc32c::crc32c(body.as_bytes()),
    })
}

async fn upload(store: &LocalStore, key: &str, third: &str) -> object_store::Result<()> {
    let upload = store.put_multipart(&Path::from(key)).await?;
    let mut upload = WriteMultipart::new_with_chunk_size(upload, 16);
    (0..3).for_each(|_| upload.write(third.as_bytes()));

    upload.finish().await.map(|_| ())
}

/// Returns the first object that is not as it was acknowledged.
async fn first_loss(store: &LocalStore, ledger: &Ledger) -> Option<String> {
    for (key, body) in &ledger.acknowledged {
        let actual = match store.get(&Path::from(key.as_str())).await {
            Ok(result) => Some(result.bytes().await.unwrap()),
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Some(format!("{key}: {error}")),
        };

        let actual = actual.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let is_doubtful = ledger
            .in_doubt
            .get(key)
            .is_some_and(|doubtful| *doubtful == actual);

        if actual != *body && !is_doubtful {
            return Some(format!("{key}: expected {body:?}, found {actual:?}"));
        }
    }

    let known =
        |key: &String| ledger.acknowledged.contains_key(key) || ledger.in_doubt.contains_key(key);
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();

    listed
        .into_iter()
        .map(|meta| meta.location.to_string())
        .find(|key| !known(key))
        .map(|key| format!("{key}: never written"))
}

/// Cuts the power at a step that the seed chooses. Returns what was lost.
async fn loss_of(seed: u64, prepare: impl Fn(&SimDisk)) -> Option<String> {
    let disk = SimDisk::new();
    prepare(&disk);

    // There are about 340 steps.
    disk.power_off_after(seed * 37 % 380);

    let mut ledger = Ledger::default();
    if let Some(store) = open(&disk) {
        work(&disk, &store, seed, &mut ledger).await;
    }

    // A second loss of power, during the recovery from the first.
    let disk = disk.crash(seed);
    disk.power_off_after(seed % 7);

    let _ = open(&disk);
    let disk = disk.crash(seed + 1);
    let store = open(&disk).unwrap();

    assert!(
        disk.read_dir(&FilePath::new(ROOT).join(".staging"))
            .unwrap()
            .is_empty()
    );

    first_loss(&store, &ledger).await
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_loss_of_power_at_any_step() {
    for seed in 0..1_000 {
        let loss = loss_of(seed, |_| {}).await;
        assert_eq!(loss, None, "seed {seed}");
    }
}

#[tokio::test]
async fn a_disk_that_lies_about_syncs_is_found_out_by_this_test() {
    for lie in [
        SimDisk::ignore_sync_data as fn(&SimDisk, bool),
        SimDisk::ignore_sync_dir,
    ] {
        let mut losses = 0;
        for seed in 0..60 {
            losses += u32::from(loss_of(seed, |disk| lie(disk, true)).await.is_some());
        }
        assert!(losses > 30, "{losses} of 60");
    }
}

#[tokio::test]
async fn what_a_read_has_shown_survives_although_its_writer_was_killed_before_the_sync() {
    for seed in 0..50 {
        let disk = SimDisk::new();
        let store = open(&disk).unwrap();

        // A sync of a directory that does nothing is like a process that is killed after it gave a
        // name and before it synced it.
        disk.ignore_sync_dir(true);
        store
            .put(&Path::from("t/a/b"), "seen".into())
            .await
            .unwrap();

        disk.ignore_sync_dir(false);
        drop(store);

        let next = open(&disk).unwrap();

        match seed % 3 {
            0 => assert!(next.get(&Path::from("t/a/b")).await.is_ok()),
            1 => assert!(
                !next
                    .list(None)
                    .try_collect::<Vec<_>>()
                    .await
                    .unwrap()
                    .is_empty()
            ),
            _ => {
                let again = next
                    .put_opts(&Path::from("t/a/b"), "x".into(), PutMode::Create.into())
                    .await;
                assert!(matches!(again, Err(Error::AlreadyExists { .. })));
            }
        }

        let after = open(&disk.crash(seed)).unwrap();
        assert_eq!(
            after
                .get(&Path::from("t/a/b"))
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap(),
            "seen",
            "seed {seed}"
        );
    }
}

#[tokio::test]
async fn directories_that_a_killed_process_has_made_are_made_to_stay() {
    for seed in 0..20 {
        let disk = SimDisk::new();
        disk.ignore_sync_dir(true);
        drop(open(&disk).unwrap());
        disk.ignore_sync_dir(false);

        open(&disk)
            .unwrap()
            .put(&Path::from("k"), "x".into())
            .await
            .unwrap();

        let after = open(&disk.crash(seed)).unwrap();
        assert!(after.get(&Path::from("k")).await.is_ok(), "seed {seed}");
    }
}

#[tokio::test]
async fn a_failed_sync_or_a_full_disk_fails_the_write_and_leaves_nothing_behind() {
    let disk = SimDisk::new();
    let store = open(&disk).unwrap();
    let key = Path::from("k");

    disk.fail_sync_data(1);
    assert!(store.put(&key, "x".into()).await.is_err());

    disk.set_space(Some(4));
    assert!(store.put(&key, "longer than that".into()).await.is_err());

    disk.set_space(None);
    assert!(matches!(store.get(&key).await, Err(Error::NotFound { .. })));

    assert!(
        disk.read_dir(&FilePath::new(ROOT).join(".staging"))
            .unwrap()
            .is_empty()
    );

    store
        .put_opts(&key, "fits".into(), PutMode::Create.into())
        .await
        .unwrap();
}
