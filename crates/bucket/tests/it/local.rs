//! Tests that only concern the local store.

use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use duramen_bucket::{Bucket, Config, Error, LocalStore, StoreUrl, keys};
use duramen_model::{ErrorKind, TenantId};
use duramen_runtime::{Disk, RealDisk};
use duramen_testkit::SimDisk;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use ulid::Ulid;

use crate::stores::{clock, directory};

#[tokio::test]
async fn sql_engines_see_a_hive_partition() {
    let root = tempfile::tempdir().unwrap();
    let bucket = directory(root.path());
    let key = keys::blocks(TenantId(Ulid(1)))
        .join(format!("block={}", Ulid(2)))
        .join("series.parquet");

    bucket.put(&key, Bytes::from_static(b"x")).await.unwrap();

    let path = root.path().join(format!(
        "t/{}/blocks/block={}/series.parquet",
        Ulid(1),
        Ulid(2)
    ));

    assert_eq!(fs::read(path).unwrap(), b"x");
}

#[tokio::test]
async fn files_of_strangers_are_no_objects() {
    let root = tempfile::tempdir().unwrap();
    let bucket = directory(root.path());
    fs::write(root.path().join(".DS_Store"), "x").unwrap();
    fs::write(root.path().join("100%"), "x").unwrap();
    fs::write(root.path().join("%41"), "x").unwrap();

    assert!(
        bucket
            .list(&Path::default(), None)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn stale_staging_files_are_gone_after_an_open() {
    let root = tempfile::tempdir().unwrap();
    let staging = root.path().join(".staging");
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("0"), "half of something").unwrap();

    let bucket = directory(root.path());
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);

    bucket
        .put(&Path::from("k"), Bytes::from_static(b"x"))
        .await
        .unwrap();

    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
}

#[tokio::test]
async fn a_second_process_on_one_directory_is_refused_and_told_who_has_it() {
    let root = tempfile::tempdir().unwrap();
    let store = root.path().join("store");
    let first = LocalStore::open(Arc::new(RealDisk), &store, &*clock()).unwrap();

    // Another path to the same directory is locked too.
    let link = root.path().join("link");
    std::os::unix::fs::symlink(&store, &link).unwrap();

    for path in [&store, &link] {
        let error = LocalStore::open(Arc::new(RealDisk), path, &*clock()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);

        let text = error.to_string();
        assert!(
            text.contains("the store is in use by another process"),
            "{text}"
        );

        assert!(text.contains(&std::process::id().to_string()), "{text}");
    }

    drop(first);
    LocalStore::open(Arc::new(RealDisk), &store, &*clock()).unwrap();
}

#[tokio::test]
async fn a_process_that_reads_is_beside_another_and_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    let first = LocalStore::open(Arc::new(RealDisk), root.path(), &*clock()).unwrap();
    let key = Path::from("t/k");
    first.put(&key, "there".into()).await.unwrap();

    let mut upload = first.put_multipart(&Path::from("later")).await.unwrap();
    upload.put_part("half".into()).await.unwrap();

    let reader = LocalStore::open_to_read(Arc::new(RealDisk), root.path(), &*clock());
    let read = reader.get(&key).await.unwrap().bytes().await.unwrap();
    assert_eq!(read, "there");

    reader
        .put(&Path::from("new"), "x".into())
        .await
        .unwrap_err();
    reader.put_multipart(&Path::from("new")).await.unwrap_err();
    reader.copy(&key, &Path::from("new")).await.unwrap_err();
    reader.delete(&key).await.unwrap_err();
    drop(reader);

    upload.complete().await.unwrap();
    let listed: Vec<_> = first.list(None).try_collect().await.unwrap();
    let names: Vec<_> = listed.into_iter().map(|object| object.location).collect();
    assert_eq!(names, [Path::from("later"), key]);
}

#[tokio::test]
async fn a_refused_process_sweeps_nothing() {
    let root = tempfile::tempdir().unwrap();
    let first = LocalStore::open(Arc::new(RealDisk), root.path(), &*clock()).unwrap();
    let mut upload = first.put_multipart(&Path::from("k")).await.unwrap();

    upload.put_part("half".into()).await.unwrap();

    LocalStore::open(Arc::new(RealDisk), root.path(), &*clock()).unwrap_err();
    upload.complete().await.unwrap();

    assert_eq!(
        first
            .get(&Path::from("k"))
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap(),
        "half"
    );
}

#[tokio::test]
async fn without_locks_two_processes_stage_beside_each_other() {
    let disk = SimDisk::new();
    disk.refuse_locks(true);

    let open = || LocalStore::open(Arc::new(disk.clone()), "/store".as_ref(), &*clock()).unwrap();
    let one = open();
    let mut slow = one.put_multipart(&Path::from("of one")).await.unwrap();

    slow.put_part("one".into()).await.unwrap();

    // The second process starts while the first stages files, and stages as many.
    let two = open();
    let mut other = two.put_multipart(&Path::from("of two")).await.unwrap();
    other.put_part("two".into()).await.unwrap();
    slow.complete().await.unwrap();
    other.complete().await.unwrap();

    for (store, key, body) in [(&one, "of two", "two"), (&two, "of one", "one")] {
        assert_eq!(
            store
                .get(&Path::from(key))
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap(),
            body
        );
    }
}

#[tokio::test]
async fn a_staged_file_that_another_replaced_gets_no_name() {
    let disk = SimDisk::new();
    let store = LocalStore::open(Arc::new(disk.clone()), "/store".as_ref(), &*clock()).unwrap();
    let key = Path::from("k");
    let mut upload = store.put_multipart(&key).await.unwrap();

    upload.put_part("ours".into()).await.unwrap();

    let staging = std::path::Path::new("/store/.staging");
    let staged = staging.join(&disk.read_dir(staging).unwrap()[0].name);
    disk.remove_file(&staged).unwrap();
    disk.create_new(&staged)
        .unwrap()
        .append(b"not ours")
        .unwrap();

    let error = upload.complete().await.unwrap_err();
    assert!(error.to_string().contains("another file stands"), "{error}");
    assert!(matches!(
        store.head(&key).await,
        Err(object_store::Error::NotFound { .. })
    ));
}

/// Returns a bucket in a directory of `disk`, and the disk as the bucket has it.
fn on(disk: &SimDisk) -> (Bucket, Arc<dyn Disk>) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let url = StoreUrl::File("/store".into());
    let bucket = Bucket::open(&url, &Config::default(), Arc::clone(&disk), clock()).unwrap();

    (bucket, disk)
}

/// Writes a file that is not synced.
fn staged(disk: &SimDisk, body: &[u8]) -> PathBuf {
    let path = PathBuf::from("/staging");
    let _ = disk.create_dir(&path);

    let path = path.join("file");
    disk.create_new(&path).unwrap().append(body).unwrap();
    path
}

#[tokio::test]
async fn a_file_on_the_disk_of_the_store_becomes_the_object() {
    let sim = SimDisk::new();
    let (bucket, disk) = on(&sim);
    let key = Path::from("blocks/block=1/samples.parquet");
    let body = vec![7; 40 << 20];
    let file = staged(&sim, &body);

    let mut checked = 0;
    let check = |bytes: &[u8]| {
        checked += bytes.len();
        Ok(())
    };

    let length = body.len() as u64;
    let before = bucket.metrics().requests_total();
    bucket
        .put_file(&key, &disk, &file, length, check)
        .await
        .unwrap();

    assert_eq!(bucket.metrics().requests_total() - before, 1);
    assert_eq!(checked, body.len());

    let object = FilePath::new("/store").join(key.as_ref());
    assert_eq!(disk.stat(&object).unwrap().id, disk.stat(&file).unwrap().id);

    // A second put, as after a lost answer, changes nothing.
    bucket
        .put_file(&key, &disk, &file, length, |_| Ok(()))
        .await
        .unwrap();
    disk.remove_file(&file).unwrap();
    assert!(
        disk.read_dir(FilePath::new("/store/.staging"))
            .unwrap()
            .is_empty()
    );
    assert!(bucket.get(&key, u64::MAX).await.unwrap() == body);

    // Bytes, name and directories are durable, although nobody synced the file before.
    drop(bucket);
    for seed in 0..20 {
        let (bucket, _) = on(&sim.crash(seed));
        assert!(bucket.get(&key, u64::MAX).await.unwrap() == body, "{seed}");
    }
}

#[tokio::test]
async fn a_file_that_fails_its_check_becomes_no_object() {
    let sim = SimDisk::new();
    let (bucket, disk) = on(&sim);
    let key = Path::from("k");
    let file = staged(&sim, b"damaged");

    let refused = bucket
        .put_file(&key, &disk, &file, 7, |_| Err("damage".into()))
        .await;
    assert!(matches!(refused, Err(Error::Damaged { .. })), "{refused:?}");

    // The file is replaced after its bytes were checked.
    let mut other = Some(());
    let replaced = bucket
        .put_file(&key, &disk, &file, 7, |_| {
            if other.take().is_some() {
                sim.remove_file(&file).unwrap();
                staged(&sim, b"another");
            }
            Ok(())
        })
        .await;

    assert!(replaced.is_err());
    assert!(bucket.get(&key, 10).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn without_links_between_staging_and_store_the_bytes_are_copied() {
    let sim = SimDisk::new();
    let (bucket, disk) = on(&sim);
    let key = Path::from("k");
    let file = staged(&sim, b"bytes");

    sim.refuse_links(true);
    bucket
        .put_file(&key, &disk, &file, 5, |_| Ok(()))
        .await
        .unwrap();

    assert_eq!(bucket.get(&key, 10).await.unwrap(), "bytes");
    assert_ne!(
        disk.stat(FilePath::new("/store/k")).unwrap().id,
        disk.stat(&file).unwrap().id
    );
}

#[tokio::test]
async fn the_lock_is_no_object() {
    let root = tempfile::tempdir().unwrap();
    let store = LocalStore::open(Arc::new(RealDisk), root.path(), &*clock()).unwrap();

    assert!(root.path().join(".lock").exists());
    assert_eq!(store.list(None).count().await, 0);

    let level = store.list_with_delimiter(None).await.unwrap();
    assert!(level.objects.is_empty() && level.common_prefixes.is_empty());
}

#[tokio::test]
async fn an_object_cannot_be_a_prefix_too() {
    let root = tempfile::tempdir().unwrap();
    let bucket = directory(root.path());
    bucket
        .put(&Path::from("a"), Bytes::from_static(b"x"))
        .await
        .unwrap();

    assert!(
        bucket
            .put(&Path::from("a/b"), Bytes::from_static(b"y"))
            .await
            .is_err()
    );

    assert_eq!(bucket.get(&Path::from("a"), 10).await.unwrap(), "x");
}

#[tokio::test]
async fn a_large_file_goes_up_and_comes_down_in_pieces() {
    let root = tempfile::tempdir().unwrap();
    let body: Vec<u8> = (0..40_u32 << 20)
        .map(|n| u8::try_from(n % 249).unwrap())
        .collect();
    let file = root.path().join("staged");

    fs::write(&file, &body).unwrap();

    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let s3 = crate::stores::server().await;

    for bucket in [
        directory(&root.path().join("store")),
        crate::stores::bucket(&s3),
    ] {
        let key = Path::from("large");
        bucket
            .put_file(&key, &disk, &file, body.len() as u64, |_| Ok(()))
            .await
            .unwrap();
        assert!(bucket.get(&key, u64::MAX).await.unwrap() == body);
        assert_eq!(
            bucket
                .get_range(&key, 20_000_000..20_000_007)
                .await
                .unwrap(),
            body[20_000_000..20_000_007]
        );
        assert!(bucket.get(&key, 1_000).await.is_err());
        assert_eq!(bucket.store().head(&key).await.unwrap().size, 40 << 20);
    }
}
