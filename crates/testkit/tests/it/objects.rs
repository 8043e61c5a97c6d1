//! Objects: reading, writing, listing and deleting.

use duramen_testkit::s3::{ByteRange, Op, S3, S3Options};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutOptions,
    PutPayload,
};

use crate::client::{builder, client, read, start};

/// Keys that a careless server or client would confuse.
const ODD_KEYS: [&str; 9] = [
    "block=01J/series.parquet",
    "a b",
    "a+b",
    "a%20b",
    "a%2Bb",
    "ü/日本/ñ",
    "q?x=1&y#z",
    "<xml>&\"quoted\"'",
    "tilde~star*(paren)!$',;:@",
];

#[tokio::test]
async fn what_was_put_is_read_back() {
    let s3 = start().await;
    let store = client(&s3, 0);
    let put = store
        .put(&Path::from("a/b"), PutPayload::from_static(b"hello"))
        .await
        .unwrap();

    let got = store.get(&Path::from("a/b")).await.unwrap();
    assert_eq!(got.meta.e_tag, put.e_tag);
    assert_eq!(got.meta.size, 5);
    assert!(got.meta.last_modified.timestamp() > 1_700_000_000);
    assert_eq!(got.bytes().await.unwrap(), "hello");
    assert_eq!(s3.object("a/b").unwrap(), "hello");
}

#[tokio::test]
async fn an_overwrite_is_seen_at_once_and_changes_the_tag() {
    let s3 = start().await;
    let store = client(&s3, 0);
    let key = Path::from("k");
    let first = store.put(&key, "one".into()).await.unwrap();
    let second = store.put(&key, "two".into()).await.unwrap();

    assert_ne!(first.e_tag, second.e_tag);
    assert_eq!(read(&store, "k").await.unwrap(), "two");
    assert_eq!(
        store.put(&key, "one".into()).await.unwrap().e_tag,
        first.e_tag
    );
}

#[tokio::test]
async fn attributes_come_back_with_the_object() {
    let s3 = start().await;
    let store = client(&s3, 0);
    let attributes = Attributes::from_iter([
        (Attribute::ContentType, "text/plain"),
        (Attribute::Metadata("writer".into()), "7"),
    ]);

    let options = PutOptions {
        attributes: attributes.clone(),
        ..PutOptions::default()
    };

    store
        .put_opts(&Path::from("k"), "x".into(), options)
        .await
        .unwrap();

    store
        .copy(&Path::from("k"), &Path::from("copy"))
        .await
        .unwrap();

    for key in ["k", "copy"] {
        assert_eq!(
            store.get(&Path::from(key)).await.unwrap().attributes,
            attributes,
            "{key}"
        );
    }
}

#[tokio::test]
async fn odd_keys_stay_apart_and_come_back_as_they_were() {
    let s3 = start().await;
    let store = client(&s3, 0);

    for key in ODD_KEYS {
        store
            .put(&Path::parse(key).unwrap(), key.into())
            .await
            .unwrap();
    }

    let mut expected = ODD_KEYS.map(str::to_owned);
    expected.sort_unstable();

    let held: Vec<String> = s3.objects().into_iter().map(|object| object.key).collect();
    assert_eq!(held, expected);

    let listed: Vec<_> = store
        .list(None)
        .map_ok(|meta| meta.location.to_string())
        .try_collect()
        .await
        .unwrap();

    assert_eq!(listed, expected);

    for key in ODD_KEYS {
        let path = Path::parse(key).unwrap();
        assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), key);
        assert_eq!(store.head(&path).await.unwrap().size, key.len() as u64);

        store.copy(&path, &Path::from("copy")).await.unwrap();
        assert_eq!(s3.object("copy").unwrap(), key);

        store.delete(&path).await.unwrap();
        assert!(s3.object(key).is_none(), "{key}");
    }
}

#[tokio::test]
async fn ranges_are_served_exactly() {
    let s3 = start().await;
    s3.plant("k", "0123456789");

    let store = client(&s3, 0);
    let key = Path::from("k");

    assert_eq!(store.get_range(&key, 2..5).await.unwrap(), "234");
    assert_eq!(store.get_range(&key, 8..20).await.unwrap(), "89");

    let parts = store.get_ranges(&key, &[0..1, 9..10]).await.unwrap();
    assert_eq!(parts, ["0", "9"]);

    for (range, expected) in [(GetRange::Suffix(3), "789"), (GetRange::Offset(7), "789")] {
        let options = GetOptions {
            range: Some(range),
            ..GetOptions::default()
        };

        let got = store.get_opts(&key, options).await.unwrap();
        assert_eq!((got.meta.size, got.range.clone()), (10, 7..10));
        assert_eq!(got.bytes().await.unwrap(), expected);
    }

    let ranges: Vec<_> = s3.log().into_iter().map(|entry| entry.range).collect();
    assert_eq!(ranges[0], Some(ByteRange::Bounded { start: 2, end: 5 }));
    assert_eq!(
        ranges[3..],
        [Some(ByteRange::Last(3)), Some(ByteRange::From(7))]
    );
}

#[tokio::test]
async fn a_range_beyond_the_object_is_refused() {
    let s3 = start().await;
    s3.plant("k", "0123456789");

    let store = client(&s3, 0);
    assert!(store.get_range(&Path::from("k"), 10..11).await.is_err());
    assert_eq!(s3.log()[0].status, Some(416));
}

#[tokio::test]
async fn reads_with_a_tag_hold_to_it() {
    let s3 = start().await;
    let store = client(&s3, 0);
    let key = Path::from("k");
    let e_tag = store.put(&key, "x".into()).await.unwrap().e_tag;
    let matching = GetOptions {
        if_match: e_tag.clone(),
        ..GetOptions::default()
    };

    assert!(store.get_opts(&key, matching).await.is_ok());

    let other = GetOptions {
        if_match: Some("\"other\"".into()),
        ..GetOptions::default()
    };

    assert!(matches!(
        store.get_opts(&key, other).await,
        Err(Error::Precondition { .. })
    ));

    let unchanged = GetOptions {
        if_none_match: e_tag,
        ..GetOptions::default()
    };

    assert!(matches!(
        store.get_opts(&key, unchanged).await,
        Err(Error::NotModified { .. })
    ));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let s3 = start().await;
    let store = client(&s3, 0);
    let key = Path::from("k");

    assert!(matches!(store.get(&key).await, Err(Error::NotFound { .. })));
    assert!(matches!(
        store.head(&key).await,
        Err(Error::NotFound { .. })
    ));

    assert!(matches!(
        store.copy(&key, &Path::from("l")).await,
        Err(Error::NotFound { .. })
    ));

    let elsewhere = builder(&s3, 0).with_bucket_name("other").build().unwrap();
    assert!(matches!(
        elsewhere.put(&key, "x".into()).await,
        Err(Error::NotFound { .. })
    ));
}

#[tokio::test]
async fn lists_see_each_write_and_delete_at_once() {
    let s3 = start().await;
    let store = client(&s3, 0);

    let keys = || async {
        store
            .list(None)
            .map_ok(|meta| meta.location.to_string())
            .try_collect::<Vec<_>>()
            .await
    };

    store.put(&Path::from("a"), "x".into()).await.unwrap();
    assert_eq!(keys().await.unwrap(), ["a"]);

    store.put(&Path::from("b"), "x".into()).await.unwrap();
    assert_eq!(keys().await.unwrap(), ["a", "b"]);

    store.delete(&Path::from("a")).await.unwrap();
    assert_eq!(keys().await.unwrap(), ["b"]);
}

#[tokio::test]
async fn a_list_goes_on_over_pages_of_a_thousand() {
    let keys = (0..2500).map(|n| (format!("p/{n:04}"), "x".into()));
    let s3 = S3::start(S3Options {
        contents: keys.collect(),
        ..S3Options::default()
    })
    .await
    .unwrap();
    s3.plant("q", "x");

    let store = client(&s3, 0);
    let listed: Vec<_> = store
        .list(Some(&Path::from("p")))
        .try_collect()
        .await
        .unwrap();

    assert_eq!(listed.len(), 2500);
    assert!(listed.is_sorted_by(|left, right| left.location < right.location));
    assert_eq!(
        listed[0].e_tag.as_deref(),
        Some(s3.objects()[0].e_tag.as_str())
    );

    assert_eq!(s3.counts().lists, 3);
}

#[tokio::test]
async fn a_delimiter_folds_folders() {
    let s3 = start().await;
    for key in ["t/a", "t/b/1", "t/b/2", "t/c/1", "u"] {
        s3.plant(key, "x");
    }

    let listed = client(&s3, 0)
        .list_with_delimiter(Some(&Path::from("t")))
        .await
        .unwrap();

    let objects: Vec<_> = listed
        .objects
        .iter()
        .map(|meta| meta.location.as_ref())
        .collect();

    let folders: Vec<_> = listed.common_prefixes.iter().map(AsRef::as_ref).collect();
    assert_eq!((objects, folders), (vec!["t/a"], vec!["t/b", "t/c"]));
}

#[tokio::test]
async fn a_list_starts_after_its_offset() {
    let s3 = start().await;
    for key in ["m/1", "m/2", "m/3", "m/4"] {
        s3.plant(key, "x");
    }

    let store = client(&s3, 0);
    let listed: Vec<_> = store
        .list_with_offset(Some(&Path::from("m")), &Path::from("m/2"))
        .map_ok(|meta| meta.location.to_string())
        .try_collect()
        .await
        .unwrap();

    assert_eq!(listed, ["m/3", "m/4"]);
}

#[tokio::test]
async fn a_thousand_keys_are_deleted_by_one_request() {
    let keys = (0..1001).map(|n| (format!("{n:04}"), "x".into()));
    let s3 = S3::start(S3Options {
        contents: keys.collect(),
        ..S3Options::default()
    })
    .await
    .unwrap();

    let store = client(&s3, 0);
    let keys: Vec<_> = s3
        .objects()
        .into_iter()
        .map(|object| Ok(Path::from(object.key)))
        .collect();

    let deleted: Vec<_> = store
        .delete_stream(stream::iter(keys).boxed())
        .try_collect()
        .await
        .unwrap();

    assert_eq!(deleted.len(), 1001);
    assert!(s3.objects().is_empty());
    assert_eq!(s3.counts().bulk_deletes, 2);
    assert!(store.delete(&Path::from("never there")).await.is_ok());
}

#[tokio::test]
async fn every_request_is_counted_and_logged_with_its_bytes() {
    let s3 = start().await;
    let store = client(&s3, 0);
    store.put(&Path::from("k"), "hello".into()).await.unwrap();
    store.get_range(&Path::from("k"), 0..2).await.unwrap();
    store.head(&Path::from("k")).await.unwrap();
    store.get(&Path::from("none")).await.unwrap_err();

    let counts = s3.counts();
    assert_eq!(
        (counts.puts, counts.gets, counts.heads, counts.failures),
        (1, 2, 1, 1)
    );

    assert_eq!(
        (counts.requests(), counts.writes_billed(), counts.bytes_in),
        (4, 1, 5)
    );

    let log = s3.log();
    let told: Vec<_> = log
        .iter()
        .map(|entry| (entry.op, entry.key.as_str(), entry.status))
        .collect();

    assert_eq!(
        told,
        [
            (Op::Put, "k", Some(200)),
            (Op::Get, "k", Some(206)),
            (Op::Head, "k", Some(200)),
            (Op::Get, "none", Some(404))
        ]
    );

    assert_eq!(
        (log[0].bytes_in, log[1].bytes_out, log[2].bytes_out),
        (5, 2, 0)
    );

    assert_eq!(log[0].access_key.as_deref(), Some("key-of-the-test"));
    assert!(log.is_sorted_by_key(|entry| entry.at_ms));

    s3.reset_counts();
    assert_eq!((s3.counts().requests(), s3.log().len()), (0, 0));
}

#[tokio::test]
async fn only_the_required_key_may_ask() {
    let options = S3Options {
        require_key: Some("right".into()),
        ..S3Options::default()
    };

    let s3 = S3::start(options).await.unwrap();
    let right = builder(&s3, 0).with_access_key_id("right").build().unwrap();
    let wrong = builder(&s3, 0).with_access_key_id("wrong").build().unwrap();

    right.put(&Path::from("k"), "x".into()).await.unwrap();
    assert!(matches!(
        wrong.get(&Path::from("k")).await,
        Err(Error::PermissionDenied { .. })
    ));
}
