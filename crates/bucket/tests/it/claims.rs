//! Claims: who may write to a store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::{Bucket, Claim, DataDir, Error, LogLeft, TakeOver, WriterIdentity};
use duramen_model::ErrorKind;
use duramen_runtime::{Clock, MockClock, RealDisk};
use object_store::path::Path as Key;
use tempfile::TempDir;

use crate::stores::clock;

fn open(path: &Path) -> DataDir {
    DataDir::open(Arc::new(RealDisk), path, &*clock()).unwrap()
}

async fn take(bucket: &Bucket, path: &Path) -> Result<(Claim, DataDir), Error> {
    let mut data_dir = open(path);
    let claim = Claim::take(bucket, &mut data_dir, TakeOver::IfGone).await?;

    assert_eq!(claim.identity(), data_dir.identity());

    Ok((claim, data_dir))
}

/// Takes the store and dies. Returns the identity.
async fn run(bucket: &Bucket, path: &Path) -> WriterIdentity {
    let (claim, data_dir) = take(bucket, path).await.unwrap();
    drop(data_dir);
    claim.identity()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::copy(from.join("writer.json"), to.join("writer.json")).unwrap();
}

/// Rewrites the newest claim as if its process ran on an unknown machine.
async fn elsewhere(bucket: &Bucket) {
    let all = bucket.list(&Key::from("claims"), None).await.unwrap();
    let key = all
        .iter()
        .map(|object| object.location.clone())
        .max()
        .unwrap();

    let slot: u64 = key.filename().unwrap().parse().unwrap();
    let object = bucket.get(&key, 1 << 20).await.unwrap();
    let entry = duramen_bucket::chain::decode(&key, slot, &object).unwrap();
    let mut body: serde_json::Value = serde_json::from_slice(&entry.body).unwrap();

    body["holder"]["process"]["boot"] = "another machine".into();

    let body = serde_json::to_vec(&body).unwrap();
    bucket
        .put(
            &key,
            duramen_bucket::chain::encode(slot, entry.author, &body),
        )
        .await
        .unwrap();
}

struct Place {
    root: TempDir,
    bucket: Bucket,
}

impl Place {
    fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            bucket: Bucket::memory(clock()),
        }
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }
}

#[tokio::test]
async fn the_successor_on_a_data_directory_goes_on_at_once_with_a_later_epoch() {
    let place = Place::new();
    let mut epochs = Vec::new();

    for _ in 0..3 {
        let identity = run(&place.bucket, &place.at("a")).await;
        elsewhere(&place.bucket).await;
        epochs.push((identity.writer, identity.epoch));
    }

    let writer = epochs[0].0;
    assert_eq!(epochs, [(writer, 1), (writer, 2), (writer, 3)]);
}

#[tokio::test]
async fn a_second_live_writer_is_refused_and_told_what_to_do() {
    let place = Place::new();
    let (_claim, _data_dir) = take(&place.bucket, &place.at("a")).await.unwrap();
    let error = take(&place.bucket, &place.at("b")).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid);

    let text = error.to_string();
    assert!(
        text.contains("--take-over") && text.contains(&std::process::id().to_string()),
        "{text}"
    );
}

#[tokio::test]
async fn a_copy_of_a_directory_whose_process_lives_is_refused() {
    let place = Place::new();
    run(&place.bucket, &place.at("a")).await;
    copy(&place.at("a"), &place.at("b"));

    let (claim, _data_dir) = take(&place.bucket, &place.at("a")).await.unwrap();
    elsewhere(&place.bucket).await;

    let error = take(&place.bucket, &place.at("b")).await.unwrap_err();
    assert!(matches!(error, Error::Held { .. }), "{error}");

    claim.assure().await.unwrap();
}

#[tokio::test]
async fn a_copy_of_a_directory_that_went_on_takes_a_new_name_and_keeps_its_log() {
    let place = Place::new();
    let first = run(&place.bucket, &place.at("a")).await;
    copy(&place.at("a"), &place.at("b"));

    let (claim, data_dir) = take(&place.bucket, &place.at("a")).await.unwrap();
    claim.release(LogLeft::Nothing).await.unwrap();
    drop(data_dir);

    let (claim, data_dir) = take(&place.bucket, &place.at("b")).await.unwrap();
    assert_ne!(claim.identity().writer, first.writer);

    assert_eq!(
        data_dir.log(),
        first.writer,
        "its segments have the old name"
    );

    drop(data_dir);

    let again = run(&place.bucket, &place.at("b")).await;
    assert_eq!((again.writer, again.epoch), (claim.identity().writer, 2));
}

#[tokio::test]
async fn a_directory_that_a_copy_has_overtaken_takes_a_new_name_in_its_turn() {
    let place = Place::new();
    let first = run(&place.bucket, &place.at("a")).await;

    // It is copied while it runs, so that the copy knows the last process.
    copy(&place.at("a"), &place.at("b"));
    elsewhere(&place.bucket).await;

    let copied = run(&place.bucket, &place.at("b")).await;
    assert_eq!((copied.writer, copied.epoch), (first.writer, 2));

    elsewhere(&place.bucket).await;

    let mut data_dir = open(&place.at("a"));
    let claim = Claim::take(&place.bucket, &mut data_dir, TakeOver::Always)
        .await
        .unwrap();

    assert_ne!(claim.identity().writer, first.writer);
}

#[tokio::test]
async fn another_directory_starts_at_once_when_the_former_process_is_done_and_else_only_when_asked()
{
    let place = Place::new();
    let (claim, data_dir) = take(&place.bucket, &place.at("a")).await.unwrap();
    claim.release(LogLeft::Samples).await.unwrap();
    drop(data_dir);
    run(&place.bucket, &place.at("b")).await;
    elsewhere(&place.bucket).await;

    assert!(matches!(
        take(&place.bucket, &place.at("c")).await,
        Err(Error::Held { .. })
    ));

    let mut data_dir = open(&place.at("c"));
    Claim::take(&place.bucket, &mut data_dir, TakeOver::Always)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_process_that_was_overtaken_learns_it_before_it_relies_on_what_it_knew() {
    let place = Place::new();
    let clock = MockClock::at(1_000_000);

    let bucket = Bucket::over(
        place.bucket.store(),
        "shared".to_owned(),
        &duramen_bucket::Config::default(),
        Arc::clone(&clock) as Arc<dyn Clock>,
    );

    let mut first = open(&place.at("a"));
    let claim = Claim::take(&bucket, &mut first, TakeOver::IfGone)
        .await
        .unwrap();
    let mut second = open(&place.at("b"));
    let later = Claim::take(&bucket, &mut second, TakeOver::Always)
        .await
        .unwrap();

    claim.assure().await.unwrap();
    clock.advance(Duration::from_secs(16));

    let error = claim.assure().await.unwrap_err();
    assert!(matches!(error, Error::TakenOver { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Fenced);

    later.assure().await.unwrap();

    let over = later.over(claim.identity().writer).unwrap();
    assert_eq!(
        (over.epoch, over.incarnation),
        (2, later.identity().incarnation)
    );

    assert!(claim.release(LogLeft::Nothing).await.is_err());
}

#[tokio::test]
async fn a_claim_that_cannot_be_read_is_overcome_by_a_persons_word_alone() {
    let place = Place::new();
    let first = run(&place.bucket, &place.at("a")).await;

    place
        .bucket
        .put(&Key::from("claims/00000000000000000001"), "damaged")
        .await
        .unwrap();

    let error = take(&place.bucket, &place.at("a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(
        error.to_string().contains("claims/00000000000000000001"),
        "{error}"
    );

    let mut data_dir = open(&place.at("a"));
    let claim = Claim::take(&place.bucket, &mut data_dir, TakeOver::Always)
        .await
        .unwrap();

    assert_ne!(
        claim.identity().writer,
        first.writer,
        "nobody knows whether others wrote under it"
    );
}
