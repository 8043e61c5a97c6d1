//! Large and numerous objects on a real S3 server.

use std::sync::Arc;

use bytes::Bytes;
use duramen_bucket::probe::probe;
use duramen_runtime::{Disk, RealDisk};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path;

use crate::stores::real_s3;

/// More objects than one response to a LIST holds.
const OBJECTS: usize = 1100;

#[tokio::test]
async fn a_real_s3_passes_the_probe_and_is_left_clean() {
    let Some(bucket) = real_s3() else { return };
    assert_eq!(probe(&bucket).await.unwrap().requests, 8);

    assert!(
        bucket
            .list(&Path::default(), None)
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_large_file_goes_up_in_parts_and_comes_back_as_a_whole_and_in_ranges() {
    let Some(bucket) = real_s3() else { return };
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("large");
    let body: Vec<u8> = (0..(40_u32 << 20) + 7)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();

    std::fs::write(&file, &body).unwrap();

    let key = Path::from("blocks/large");
    let disk = Arc::new(RealDisk) as Arc<dyn Disk>;
    bucket
        .put_file(&key, &disk, &file, body.len() as u64, |_| Ok(()))
        .await
        .unwrap();

    assert_eq!(bucket.head(&key).await.unwrap().size, body.len() as u64);
    assert!(bucket.get(&key, body.len() as u64).await.unwrap() == body);

    // This range crosses the border of two parts.
    let border = 16 << 20;
    let across = bucket
        .get_range(&key, border - 5..border + 5)
        .await
        .unwrap();

    let border = usize::try_from(border).unwrap();
    assert_eq!(across, body[border - 5..border + 5]);

    bucket.delete(&key).await.unwrap();
}

#[tokio::test]
async fn a_list_of_many_pages_is_whole_and_begins_where_it_is_told() {
    let Some(bucket) = real_s3() else { return };
    let keys: Vec<Path> = (0..OBJECTS)
        .map(|number| Path::from(format!("many/{number:05}")))
        .collect();
    let put = |key: Path| {
        let bucket = bucket.clone();
        async move { bucket.put(&key, Bytes::from_static(b"x")).await }
    };

    let puts = futures::stream::iter(keys.clone())
        .map(put)
        .buffer_unordered(16);
    puts.try_collect::<Vec<()>>().await.unwrap();

    let listed = |metas: Vec<ObjectMeta>| {
        metas
            .into_iter()
            .map(|meta| meta.location)
            .collect::<Vec<_>>()
    };

    assert_eq!(
        listed(bucket.list(&Path::from("many"), None).await.unwrap()),
        keys
    );

    let behind = bucket
        .list(&Path::from("many"), Some(&keys[49]))
        .await
        .unwrap();

    assert_eq!(listed(behind), keys[50..]);

    for key in keys {
        bucket.delete(&key).await.unwrap();
    }
}
