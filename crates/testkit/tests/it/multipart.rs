//! Uploads in parts.

use bytes::Bytes;
use duramen_testkit::s3::{S3, S3Options};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStoreExt, PutPayload, WriteMultipart};

use crate::client::{client, start};

#[tokio::test]
async fn parts_become_one_object_when_completed_and_not_before() {
    let s3 = start().await;
    let store = client(&s3, 0);
    let body: Bytes = (0..12_000_000_u32)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    let upload = store.put_multipart(&Path::from("k")).await.unwrap();
    let mut writer = WriteMultipart::new_with_chunk_size(upload, 5 << 20);

    writer.put(body.clone());
    writer.wait_for_capacity(0).await.unwrap();

    assert!(s3.objects().is_empty());

    let put = writer.finish().await.unwrap();
    assert_eq!(s3.object("k").unwrap(), body);
    assert_eq!(put.e_tag.unwrap(), s3.objects()[0].e_tag);

    let counts = s3.counts();
    assert_eq!(
        (
            counts.uploads_created,
            counts.parts,
            counts.uploads_completed
        ),
        (1, 3, 1)
    );

    assert_eq!(s3.open_uploads(), 0);
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let s3 = start().await;
    let store = client(&s3, 0);
    let mut upload = store.put_multipart(&Path::from("k")).await.unwrap();

    upload
        .put_part(PutPayload::from_static(b"x"))
        .await
        .unwrap();

    assert_eq!(s3.open_uploads(), 1);

    upload.abort().await.unwrap();
    assert_eq!(s3.open_uploads(), 0);
    assert!(s3.objects().is_empty());
    assert_eq!(s3.counts().uploads_aborted, 1);
}

#[tokio::test]
async fn an_upload_that_was_aborted_cannot_be_completed() {
    let s3 = start().await;
    let store = client(&s3, 0);
    let key = Path::from("k");
    let id = store.create_multipart(&key).await.unwrap();
    let part = store.put_part(&key, &id, 0, "x".into()).await.unwrap();

    store.abort_multipart(&key, &id).await.unwrap();

    let late = store.complete_multipart(&key, &id, vec![part]).await;
    assert!(matches!(late, Err(Error::NotFound { .. })), "{late:?}");
    assert!(s3.objects().is_empty());
}

#[tokio::test]
async fn only_the_last_part_may_be_small() {
    for (part_bytes_min, works) in [(2, false), (1, true)] {
        let s3 = S3::start(S3Options {
            part_bytes_min,
            ..S3Options::default()
        })
        .await
        .unwrap();

        let store = client(&s3, 0);
        let key = Path::from("k");
        let id = store.create_multipart(&key).await.unwrap();
        let first = store.put_part(&key, &id, 0, "x".into()).await.unwrap();
        let second = store.put_part(&key, &id, 1, "y".into()).await.unwrap();
        let completed = store
            .complete_multipart(&key, &id, vec![first, second])
            .await;

        assert_eq!(completed.is_ok(), works, "{completed:?}");
        assert_eq!(s3.object("k").is_some_and(|body| body == "xy"), works);
    }
}

#[tokio::test]
async fn a_part_is_named_by_its_tag() {
    let s3 = start().await;
    let store = client(&s3, 0);
    let key = Path::from("k");
    let id = store.create_multipart(&key).await.unwrap();
    let old = store.put_part(&key, &id, 0, "old".into()).await.unwrap();
    let new = store.put_part(&key, &id, 0, "new".into()).await.unwrap();

    assert!(
        store
            .complete_multipart(&key, &id, vec![old])
            .await
            .is_err()
    );

    store
        .complete_multipart(&key, &id, vec![new])
        .await
        .unwrap();

    assert_eq!(s3.object("k").unwrap(), "new");
}
