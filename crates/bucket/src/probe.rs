//! Checks whether the store keeps the promises that all other code relies on.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use crate::{Bucket, Error, StoreCost, keys};

/// What the probe found out about a store that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeReport {
    /// How many requests the probe has sent, including retries.
    pub requests: u64,
    /// Whether the store keeps old versions, so that a delete frees nothing. `None` if unknown.
    pub versioned: Option<bool>,
    /// What a GET costs, by the GETs of the probe.
    pub cost: StoreCost,
}

const FIRST: &[u8] = b"the first to come keeps the slot";
const SECOND: &[u8] = b"the second to come must be refused";
/// The object has the text [`FIRST`] this many times: 1 MiB, which takes 11 ms at 90 MB/s. So its
/// GET also shows the bandwidth, and no other request is needed for that.
const FIRST_TIMES: usize = (1 << 20) / FIRST.len();

/// Tests the store with two keys of its own and removes them. It makes two creates of one key, a
/// read, a ranged read, a HEAD, a list and a delete; with the other key a put, a delete and a read of
/// the deleted key. Ten requests in four trips, which send 1 MiB and read it once.
///
/// # Errors
/// [`Error::Probe`] names the check that failed. [`Error::Store`] if the store could not be reached
/// or refused a request.
pub async fn probe(bucket: &Bucket) -> Result<ProbeReport, Error> {
    let before = bucket.metrics().requests_total();
    let examined = Examined::of(bucket);
    let checked = examine(bucket, &examined).await;
    let removed = examined.remove(bucket).await;
    let (versioned, cost) = checked?;

    removed?;
    Ok(ProbeReport {
        requests: bucket.metrics().requests_total() - before,
        versioned,
        cost,
    })
}

/// The object of a probe. Its last step is to remove it.
pub(crate) struct Examined {
    key: Path,
}

impl Examined {
    pub(crate) fn of(bucket: &Bucket) -> Self {
        Self {
            key: new_key(bucket),
        }
    }

    /// One DELETE.
    pub(crate) async fn remove(&self, bucket: &Bucket) -> Result<(), Error> {
        bucket.delete(&self.key).await
    }
}

fn new_key(bucket: &Bucket) -> Path {
    Path::from_iter([keys::PROBE, &bucket.clock().new_ulid().to_string()])
}

/// Makes all checks, and leaves the object of `examined`. Returns whether the store gave it a
/// version, and what a GET costs. Nine requests in three trips.
pub(crate) async fn examine(
    bucket: &Bucket,
    examined: &Examined,
) -> Result<(Option<bool>, StoreCost), Error> {
    let (checked, gone) = tokio::join!(check(bucket, &examined.key), check_delete(bucket));
    let (versioned, read) = checked?;
    let gone = gone?;

    let bytes = FIRST.len() * FIRST_TIMES;
    let cost = StoreCost::measured(read.part.min(gone), read.whole, bytes as u64);
    Ok((versioned, cost))
}

/// Checks that a deleted object is gone. Returns how long the GET took that does not find it.
async fn check_delete(bucket: &Bucket) -> Result<Duration, Error> {
    let key = new_key(bucket);
    let put = bucket.put(&key, Bytes::from_static(FIRST)).await;

    // After a failure the object may be there all the same.
    let deleted = bucket.delete(&key).await;
    put?;
    deleted?;

    let (again, gone) = timed(bucket, bucket.get_if_exists(&key, 1 << 10)).await;
    match again? {
        None => Ok(gone),
        Some(_) => Err(failed(
            "delete",
            "a deleted object can still be read".to_owned(),
        )),
    }
}

/// How long the GETs of the object took.
struct ReadTimes {
    /// A few bytes.
    part: Duration,
    /// The whole object.
    whole: Duration,
}

/// Runs `request` and returns how long it took.
async fn timed<T>(bucket: &Bucket, request: impl Future<Output = T>) -> (T, Duration) {
    let start = bucket.clock().monotonic();
    let result = request.await;
    (result, bucket.clock().monotonic().saturating_sub(start))
}

fn failed(check: &'static str, fault: String) -> Error {
    Error::Probe { check, fault }
}

/// Makes all checks but that of a delete, without the clean-up. Returns whether the store gave the
/// object a version, and how long the GETs took.
async fn check(bucket: &Bucket, key: &Path) -> Result<(Option<bool>, ReadTimes), Error> {
    let first = Bytes::from(FIRST.repeat(FIRST_TIMES));
    let versioned = check_create(bucket, key, &first).await?;
    let (whole, part, size, listed) = tokio::join!(
        check_whole(bucket, key, &first),
        check_part(bucket, key, &first),
        check_size(bucket, key, &first),
        check_list(bucket, key),
    );

    let whole = whole?;
    let part = part?;
    size?;
    listed?;

    Ok((versioned, ReadTimes { part, whole }))
}

async fn check_create(bucket: &Bucket, key: &Path, first: &Bytes) -> Result<Option<bool>, Error> {
    let create = async |body: Bytes| {
        bucket
            .store()
            .put_opts(key, PutPayload::from(body), PutMode::Create.into())
            .await
    };

    let mut versioned = None;

    match create(first.clone()).await {
        Ok(result) => versioned = Some(result.version.is_some()),
        // The response was lost, or it was 409. The read below shows what happened.
        Err(object_store::Error::Generic { .. } | object_store::Error::AlreadyExists { .. }) => {
            bucket.put(key, first.clone()).await?;
        }
        Err(object_store::Error::NotImplemented { operation, .. }) => {
            return Err(failed(
                "conditional PUT",
                format!("the store does not know `{operation}`"),
            ));
        }
        Err(error) => return Err(Error::store("create", key, error)),
    }

    let mut attempts = 0;

    loop {
        match create(Bytes::from_static(SECOND)).await {
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => {
                return Ok(versioned);
            }
            Ok(_) => {
                let fault = "the store answered success to If-None-Match: * on a key that exists";
                return Err(failed("conditional PUT", fault.to_owned()));
            }
            Err(error @ object_store::Error::Generic { .. }) => {
                attempts += 1;
                if !bucket.retries().again(attempts).await {
                    return Err(Error::store("create", key, error));
                }
            }
            Err(object_store::Error::NotImplemented { operation, .. }) => {
                return Err(failed(
                    "conditional PUT",
                    format!("the store does not know `{operation}`"),
                ));
            }
            Err(error) => return Err(Error::store("create", key, error)),
        }
    }
}

async fn check_whole(bucket: &Bucket, key: &Path, first: &Bytes) -> Result<Duration, Error> {
    let bytes_max = first.len() as u64;
    let (content, whole) = timed(bucket, bucket.get_if_exists(key, bytes_max)).await;
    let Some(content) = content? else {
        return Err(failed(
            "read after write",
            "an object that was just written is not found".to_owned(),
        ));
    };

    if content == SECOND {
        return Err(failed(
            "conditional PUT",
            "a create that was refused has overwritten the object".to_owned(),
        ));
    }

    if content != *first {
        return Err(failed(
            "read after write",
            format!("read {} bytes that were never written", content.len()),
        ));
    }

    Ok(whole)
}

async fn check_part(bucket: &Bucket, key: &Path, first: &Bytes) -> Result<Duration, Error> {
    let (content, part) = timed(bucket, bucket.get_range(key, 4..9)).await;
    let content = content.map_err(|error| match error {
        Error::Corrupt { fault, .. } => failed("ranged GET", fault),
        other => other,
    })?;

    if content != first[4..9] {
        return Err(failed(
            "ranged GET",
            "the range holds other bytes than were asked for".to_owned(),
        ));
    }

    Ok(part)
}

async fn check_size(bucket: &Bucket, key: &Path, first: &Bytes) -> Result<(), Error> {
    let expected = first.len() as u64;
    let head = bucket
        .store()
        .head(key)
        .await
        .map_err(|e| Error::store("head", key, e))?;

    if head.size != expected {
        return Err(failed(
            "HEAD",
            format!("wrong size. expected=`{expected}`, actual=`{}`", head.size),
        ));
    }

    Ok(())
}

async fn check_list(bucket: &Bucket, key: &Path) -> Result<(), Error> {
    let listed: Vec<_> = bucket
        .store()
        .list(Some(&Path::from(keys::PROBE)))
        .try_collect()
        .await
        .map_err(|e| Error::store("list", key, e))?;

    if !listed.iter().any(|meta| meta.location == *key) {
        return Err(failed(
            "list after write",
            "an object that was just written is not listed".to_owned(),
        ));
    }

    Ok(())
}
