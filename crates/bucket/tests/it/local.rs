//! What only the local store can get wrong.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use duramen_bucket::keys;
use duramen_model::{BlockId, TenantId};
use duramen_runtime::RealDisk;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use ulid::Ulid;

use crate::stores::directory;

#[tokio::test]
async fn sql_engines_see_a_hive_partition() {
    let root = tempfile::tempdir().unwrap();
    let bucket = directory(root.path());
    let key = keys::block_file(TenantId(Ulid(1)), BlockId(Ulid(2)), "series.parquet");
    bucket.put(&key, Bytes::from_static(b"x")).await.unwrap();
    let path = root.path().join(format!("t/{}/blocks/block={}/series.parquet", Ulid(1), Ulid(2)));
    assert_eq!(fs::read(path).unwrap(), b"x");
}

#[tokio::test]
async fn files_of_strangers_are_no_objects() {
    let root = tempfile::tempdir().unwrap();
    let bucket = directory(root.path());
    fs::write(root.path().join(".DS_Store"), "x").unwrap();
    fs::write(root.path().join("100%"), "x").unwrap();
    fs::write(root.path().join("%41"), "x").unwrap();
    assert!(bucket.list(&Path::default(), None).await.unwrap().is_empty());
}

#[tokio::test]
async fn stale_staging_files_are_gone_after_an_open() {
    let root = tempfile::tempdir().unwrap();
    let staging = root.path().join(".staging");
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("0"), "half of something").unwrap();
    let bucket = directory(root.path());
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
    bucket.put(&Path::from("k"), Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
}

#[tokio::test]
async fn an_object_cannot_be_a_prefix_too() {
    let root = tempfile::tempdir().unwrap();
    let bucket = directory(root.path());
    bucket.put(&Path::from("a"), Bytes::from_static(b"x")).await.unwrap();
    assert!(bucket.put(&Path::from("a/b"), Bytes::from_static(b"y")).await.is_err());
    assert_eq!(bucket.get(&Path::from("a"), 10).await.unwrap(), "x");
}

#[tokio::test]
async fn a_large_file_goes_up_and_comes_down_in_pieces() {
    let root = tempfile::tempdir().unwrap();
    let body: Vec<u8> = (0..40_u32 << 20).map(|n| u8::try_from(n % 249).unwrap()).collect();
    let file = root.path().join("staged");
    fs::write(&file, &body).unwrap();
    let disk: Arc<dyn duramen_runtime::Disk> = Arc::new(RealDisk);
    let s3 = crate::stores::server().await;
    for bucket in [directory(&root.path().join("store")), crate::stores::bucket(&s3)] {
        let key = Path::from("large");
        bucket.put_file(&key, &disk, &file).await.unwrap();
        assert!(bucket.get(&key, u64::MAX).await.unwrap() == body);
        assert_eq!(bucket.get_range(&key, 20_000_000..20_000_007).await.unwrap(), body[20_000_000..20_000_007]);
        assert!(bucket.get(&key, 1_000).await.is_err());
        assert_eq!(bucket.store().head(&key).await.unwrap().size, 40 << 20);
    }
}
