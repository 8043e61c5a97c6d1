//! What the crates above expect of every store.

use std::sync::Arc;

use bytes::Bytes;
use duramen_bucket::{Bucket, LocalStore};
use duramen_runtime::RealDisk;
use duramen_testkit::SimDisk;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutMode, PutPayload, UpdateVersion,
    WriteMultipart,
};

use crate::stores::{bucket, bucket_with, clock, config, directory, real_s3, server};

async fn conforms(store: &dyn ObjectStore) {
    conforms_with_short_keys(store).await;
    keeps_keys(store, &[&format!("{0}/{0}", "long-".repeat(80))]).await;

    assert!(keys(store, None).await.is_empty());
}

/// Runs the tests that remain for a store in which a part of a key is the name of a file, of at
/// most 255 bytes. None of our keys is longer.
async fn conforms_with_short_keys(store: &dyn ObjectStore) {
    creates_once(store).await;
    reads_ranges(store).await;
    lists(store).await;
    deletes(store).await;
    copies(store).await;
    uploads_in_parts(store).await;

    keeps_keys(
        store,
        &[
            ".staging/0",
            "a/.b",
            "a b/c=d",
            "block=1/x.parquet",
            "dots../...",
        ],
    )
    .await;
    one_of_many_creates_wins(store).await;

    assert!(keys(store, None).await.is_empty());
}

fn key(text: &str) -> Path {
    Path::parse(text).unwrap()
}

async fn read(store: &dyn ObjectStore, at: &str) -> Bytes {
    store.get(&key(at)).await.unwrap().bytes().await.unwrap()
}

async fn put(store: &dyn ObjectStore, at: &str, body: &str) {
    store.put(&key(at), body.to_owned().into()).await.unwrap();
}

async fn create(store: &dyn ObjectStore, at: &str, body: &str) -> object_store::Result<()> {
    store
        .put_opts(
            &key(at),
            PutPayload::from(body.to_owned()),
            PutMode::Create.into(),
        )
        .await
        .map(|_| ())
}

async fn keys(store: &dyn ObjectStore, prefix: Option<&str>) -> Vec<String> {
    let metas: Vec<_> = store
        .list(prefix.map(key).as_ref())
        .try_collect()
        .await
        .unwrap();

    let mut keys: Vec<_> = metas
        .into_iter()
        .map(|meta| meta.location.to_string())
        .collect();

    keys.sort_unstable();
    keys
}

async fn remove_all(store: &dyn ObjectStore) {
    for at in keys(store, None).await {
        store.delete(&key(&at)).await.unwrap();
    }
}

async fn creates_once(store: &dyn ObjectStore) {
    create(store, "a/b", "first").await.unwrap();

    let second = create(store, "a/b", "second").await;
    assert!(
        matches!(second, Err(Error::AlreadyExists { .. })),
        "{second:?}"
    );

    assert_eq!(read(store, "a/b").await, "first");

    put(store, "a/b", "third").await;
    assert_eq!(read(store, "a/b").await, "third");

    let never = PutMode::Update(UpdateVersion {
        e_tag: Some("no such tag".to_owned()),
        version: None,
    });

    assert!(
        store
            .put_opts(&key("a/b"), "x".into(), never.into())
            .await
            .is_err()
    );

    assert_eq!(read(store, "a/b").await, "third");

    put(store, "a/empty", "").await;
    assert_eq!(read(store, "a/empty").await, "");

    remove_all(store).await;
}

async fn reads_ranges(store: &dyn ObjectStore) {
    put(store, "r", "0123456789").await;

    for (range, bytes) in [
        (GetRange::Bounded(2..5), "234"),
        (GetRange::Bounded(8..99), "89"),
        (GetRange::Offset(7), "789"),
        (GetRange::Suffix(3), "789"),
    ] {
        let options = GetOptions {
            range: Some(range),
            ..GetOptions::default()
        };
        let result = store.get_opts(&key("r"), options).await.unwrap();
        assert_eq!(result.meta.size, 10);
        assert_eq!(result.bytes().await.unwrap(), bytes);
    }

    assert!(store.get_range(&key("r"), 10..12).await.is_err());

    let ranges = store
        .get_ranges(&key("r"), &[0..1, 8..10, 3..5])
        .await
        .unwrap();

    assert_eq!(ranges, ["0", "89", "34"]);

    let head = store.head(&key("r")).await.unwrap();
    assert_eq!((head.size, head.location.as_ref()), (10, "r"));

    for gone in ["none", "r/none", "none/at/all"] {
        assert!(
            matches!(store.get(&key(gone)).await, Err(Error::NotFound { .. })),
            "{gone}"
        );

        assert!(
            matches!(store.head(&key(gone)).await, Err(Error::NotFound { .. })),
            "{gone}"
        );
    }

    remove_all(store).await;
}

async fn lists(store: &dyn ObjectStore) {
    for at in ["a/1", "a/2", "a/b/3", "ab/4", "c"] {
        put(store, at, at).await;
    }

    assert_eq!(
        keys(store, None).await,
        ["a/1", "a/2", "a/b/3", "ab/4", "c"]
    );

    assert_eq!(keys(store, Some("a")).await, ["a/1", "a/2", "a/b/3"]);
    assert!(keys(store, Some("c")).await.is_empty());
    assert!(keys(store, Some("none")).await.is_empty());

    let behind: Vec<_> = store
        .list_with_offset(Some(&key("a")), &key("a/1"))
        .try_collect()
        .await
        .unwrap();

    let mut behind: Vec<_> = behind
        .into_iter()
        .map(|meta| (meta.location.to_string(), meta.size))
        .collect();

    behind.sort_unstable();
    assert_eq!(behind, [("a/2".to_owned(), 3), ("a/b/3".to_owned(), 5)]);

    let level = store.list_with_delimiter(Some(&key("a"))).await.unwrap();
    let names: Vec<_> = level
        .objects
        .iter()
        .map(|meta| meta.location.as_ref())
        .collect();

    assert_eq!(
        (names, level.common_prefixes),
        (vec!["a/1", "a/2"], vec![key("a/b")])
    );

    let root = store.list_with_delimiter(None).await.unwrap();
    assert_eq!(
        (root.objects.len(), root.common_prefixes),
        (1, vec![key("a"), key("ab")])
    );

    remove_all(store).await;
}

async fn deletes(store: &dyn ObjectStore) {
    put(store, "d/1", "x").await;
    store.delete(&key("d/1")).await.unwrap();

    assert!(matches!(
        store.get(&key("d/1")).await,
        Err(Error::NotFound { .. })
    ));

    store.delete(&key("d/1")).await.unwrap();
    create(store, "d/1", "again").await.unwrap();
    remove_all(store).await;
}

async fn copies(store: &dyn ObjectStore) {
    put(store, "from", "x").await;
    put(store, "taken", "y").await;
    store.copy(&key("from"), &key("copies/to")).await.unwrap();
    store.copy(&key("from"), &key("copies/to")).await.unwrap();

    let taken = store.copy_if_not_exists(&key("from"), &key("taken")).await;
    assert!(
        matches!(taken, Err(Error::AlreadyExists { .. })),
        "{taken:?}"
    );

    store.rename(&key("from"), &key("taken")).await.unwrap();
    assert_eq!(
        (read(store, "taken").await, read(store, "copies/to").await),
        ("x".into(), "x".into())
    );

    assert!(matches!(
        store.get(&key("from")).await,
        Err(Error::NotFound { .. })
    ));

    assert!(matches!(
        store.copy(&key("none"), &key("to")).await,
        Err(Error::NotFound { .. })
    ));

    remove_all(store).await;
}

async fn uploads_in_parts(store: &dyn ObjectStore) {
    let body: Vec<u8> = (0..11_u32 << 20)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    let upload = store.put_multipart(&key("u/whole")).await.unwrap();
    let mut upload = WriteMultipart::new_with_chunk_size(upload, 5 << 20);

    upload.write(&body);
    assert!(keys(store, None).await.is_empty());

    upload.finish().await.unwrap();
    assert_eq!(read(store, "u/whole").await, body);

    let mut dropped = store.put_multipart(&key("u/dropped")).await.unwrap();
    dropped.put_part("x".into()).await.unwrap();
    dropped.abort().await.unwrap();

    assert_eq!(keys(store, None).await, ["u/whole"]);

    remove_all(store).await;
}

async fn keeps_keys(store: &dyn ObjectStore, odd: &[&str]) {
    for at in odd {
        create(store, at, at).await.unwrap();
        assert_eq!(read(store, at).await, **at);
    }

    let mut expected: Vec<_> = odd.iter().map(|at| (*at).to_owned()).collect();
    expected.sort_unstable();

    assert_eq!(keys(store, None).await, expected);

    remove_all(store).await;
}

async fn one_of_many_creates_wins(store: &dyn ObjectStore) {
    let bodies: Vec<_> = (0..8).map(|n| n.to_string()).collect();
    let creates = bodies.iter().map(|body| create(store, "race", body));
    let outcomes = futures::future::join_all(creates).await;

    let winners: Vec<_> = outcomes
        .iter()
        .zip(&bodies)
        .filter(|(outcome, _)| outcome.is_ok())
        .collect();

    assert_eq!(winners.len(), 1, "{outcomes:?}");
    assert_eq!(read(store, "race").await, *winners[0].1);

    remove_all(store).await;
}

#[tokio::test]
async fn memory_conforms() {
    conforms(&*Bucket::memory(clock()).store()).await;
}

#[tokio::test]
async fn a_directory_conforms() {
    let directory_of_test = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk);
    conforms(&LocalStore::open(disk, &directory_of_test.path().join("plain"), &*clock()).unwrap())
        .await;
    conforms(&*directory(&directory_of_test.path().join("a/b/bucket")).store()).await;
}

#[tokio::test]
async fn a_simulated_disk_conforms() {
    conforms(&LocalStore::open(Arc::new(SimDisk::new()), "/store".as_ref(), &*clock()).unwrap())
        .await;
}

#[tokio::test]
async fn s3_conforms() {
    let s3 = server().await;
    conforms(&*bucket(&s3).store()).await;
}

#[tokio::test]
async fn a_real_s3_conforms() {
    let Some(bucket) = real_s3() else { return };
    conforms_with_short_keys(&*bucket.store()).await;
}

#[tokio::test]
async fn a_prefix_in_s3_conforms_and_stays_inside() {
    let s3 = server().await;
    s3.plant("tenants", "a stranger's");
    s3.plant("pre/fixed", "a stranger's");
    conforms(&*bucket_with(&s3, "s3://test/pre/fix", &config(&s3)).store()).await;

    assert!(
        s3.log()
            .iter()
            .all(|entry| entry.key.is_empty() || entry.key.starts_with("pre/fix"))
    );

    assert!(s3.object("pre/fixed").is_some());
}
