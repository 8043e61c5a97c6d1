//! Values and stores for tests.

use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::{Bucket, Config, Credentials, RetryPolicy, S3Config, WriterIdentity};
use duramen_manifest::{Commit, Flushed, Manifests};
use duramen_model::{
    BlockEntry, BlockFile, BlockId, BlockStats, Content, Incarnation, NameBounds, Order, TenantId,
    WriterId,
};
use duramen_runtime::{Clock, RealDisk, SystemClock};
use duramen_testkit::s3::{S3, S3Options};
use ulid::Ulid;

pub(crate) const TENANT: TenantId = TenantId(Ulid(1));

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}

pub(crate) fn identity(writer: u128, epoch: u64) -> WriterIdentity {
    WriterIdentity {
        writer: WriterId(Ulid(writer)),
        epoch,
        incarnation: Incarnation(Ulid(u128::from(epoch))),
    }
}

/// Returns the identity of a process with a copy of the data directory of [`identity`].
pub(crate) fn twin(writer: u128, epoch: u64) -> WriterIdentity {
    WriterIdentity {
        incarnation: Incarnation(Ulid(1_000_000 + u128::from(epoch))),
        ..identity(writer, epoch)
    }
}

/// Makes a block with samples in the seconds `[id, id + 1)`.
pub(crate) fn block(id: u128) -> BlockEntry {
    let order = Order {
        opened: 5 << 16,
        writer: WriterId(Ulid(7)),
        flush: 3,
    };

    let min_ts_ms = i64::try_from(id % 1_000_000).unwrap() * 1_000;
    BlockEntry::of_flush(
        BlockId(Ulid(id)),
        order,
        content(id),
        BlockStats {
            series: 10,
            samples: 1_000,
            histograms: 0,
            exemplars: 0,
            families: 0,
            ttl_max_ms: 0,
            min_ts_ms,
            max_ts_ms: min_ts_ms + 999,
            names: Some(NameBounds {
                first: "a".to_owned(),
                last: "z".to_owned(),
            }),
            files: vec![
                BlockFile {
                    name: "series.parquet".to_owned(),
                    bytes: 100,
                },
                BlockFile {
                    name: "samples.parquet".to_owned(),
                    bytes: 3_000,
                },
            ],
            meta_bytes: 50,
            meta_crc32c: 0xdead_beef,
        },
    )
}

/// Makes a content of its own for each number.
pub(crate) fn content(id: u128) -> Content {
    let order = Order {
        opened: 1,
        writer: WriterId(Ulid(id)),
        flush: 1,
    };

    Content::of_flush(TENANT, order, 0)
}

/// Makes the n-th flush of a writer, which adds one block.
pub(crate) fn flush(identity: WriterIdentity, n: u64) -> Commit {
    let WriterIdentity {
        writer,
        epoch,
        incarnation,
    } = identity;

    let flushed = Flushed {
        writer,
        epoch,
        incarnation,
        position: n * 100,
        flush: n,
    };

    let id = identity.writer.0.0 * 1_000_000 + u128::from(n);
    Commit::flush(vec![block(id)], flushed)
}

/// Returns the one block that a commit adds.
pub(crate) fn added(commit: &mut Commit) -> &mut BlockEntry {
    let replace = commit.replace.as_mut().unwrap();
    Arc::make_mut(&mut replace.add[0])
}

/// Returns what a commit records about its writer's log.
pub(crate) fn flushed(commit: &mut Commit) -> &mut Flushed {
    &mut commit.flush.as_mut().unwrap().0
}

/// Makes the merge of the blocks of `remove`.
pub(crate) fn compaction(add: u128, remove: &[u128]) -> Commit {
    let merged = BlockEntry {
        level: 1,
        content: Content::of_merge(remove.iter().map(|id| content(*id))),
        ..block(add)
    };

    let remove = remove.iter().map(|id| BlockId(Ulid(*id))).collect();
    Commit::replace(remove, vec![merged])
}

/// Makes one of the siblings with the content of block `output`, from the first name to the last.
pub(crate) fn sibling(output: u128, id: u128, first: &str, last: &str) -> BlockEntry {
    let mut entry = BlockEntry {
        level: 1,
        content: content(output),
        ..block(id)
    };

    entry.stats.names = Some(NameBounds {
        first: first.to_owned(),
        last: last.to_owned(),
    });

    entry
}

pub(crate) async fn server() -> S3 {
    S3::start(S3Options::default()).await.unwrap()
}

/// Returns a new client of the server. It retries often and without waiting.
pub(crate) fn bucket(s3: &S3) -> Bucket {
    let retry = RetryPolicy {
        attempts_max: 30,
        backoff_first: Duration::from_millis(1),
        backoff_max: Duration::from_millis(4),
        saved_max: 1_000_000,
        saved_per_success: 1.0,
    };

    bucket_with(s3, retry)
}

pub(crate) fn bucket_with(s3: &S3, retry: RetryPolicy) -> Bucket {
    let credentials = Some(Credentials {
        access_key_id: "key-of-the-test".to_owned(),
        secret_access_key: "secret".to_owned(),
        session_token: None,
    });

    let region = Some("us-east-1".to_owned());
    let config = S3Config {
        endpoint: Some(s3.endpoint()),
        region,
        path_style: None,
        credentials,
    };

    let config = Config {
        s3: config,
        retry,
        ..Config::default()
    };

    Bucket::open(
        &"s3://test".parse().unwrap(),
        &config,
        Arc::new(RealDisk),
        clock(),
    )
    .unwrap()
}

/// Returns a process that knows nothing yet.
pub(crate) fn process(bucket: &Bucket, identity: WriterIdentity) -> Manifests {
    Manifests::new(bucket.clone(), clock(), identity)
}
