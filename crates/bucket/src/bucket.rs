//! The handle for all requests to the bucket.

use std::fmt;
use std::io;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use crc32c::crc32c_append;
use duramen_runtime::{Clock, Disk};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    WriteMultipart,
};

use crate::error::CheckError;
use crate::gauged::Gauged;
use crate::local::CompleteFile;
use crate::retry::Retries;
use crate::retrying::Retrying;
use crate::{Access, Config, Error, LocalStore, Metrics, StoreUrl, s3};

/// One deployment's part of an object store. Cheap to clone.
///
/// Every request is counted, waits while too many others are running, and is retried here if that
/// is safe. Callers do not retry.
#[derive(Clone)]
pub struct Bucket {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn ObjectStore>,
    name: String,
    metrics: Metrics,
    retries: Retries,
    /// The disk of a store that is a directory. Its files can become objects without a copy.
    disk: Option<Arc<dyn Disk>>,
}

/// Larger files are uploaded in parts of this size. A PUT of 16 MiB takes at most a second, and
/// 10,000 parts are 160 GiB.
const PART_BYTES: usize = 16 << 20;

impl Bucket {
    /// Makes the client of the store. It sends no request. For a directory that is not only read, it
    /// creates the directory and removes old staged files, which blocks. [`crate::probe::probe`] and
    /// [`crate::Deployment::open`] check the store.
    pub fn open(
        url: &StoreUrl,
        config: &Config,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let mut own_disk = None;
        let store: Arc<dyn ObjectStore> = match url {
            StoreUrl::Memory => Arc::new(object_store::memory::InMemory::new()),
            StoreUrl::File(path) => {
                own_disk = Some(Arc::clone(&disk));
                Arc::new(match config.access {
                    Access::Alone => LocalStore::open(disk, path, &*clock)?,
                    Access::Reads => LocalStore::open_to_read(disk, path, &*clock),
                })
            }
            StoreUrl::S3 { bucket, prefix } => {
                let store = s3::open(bucket, config)?;
                if prefix.is_empty() {
                    Arc::new(store)
                } else {
                    Arc::new(PrefixStore::new(store, prefix.as_str()))
                }
            }
        };

        Ok(Self::on(own_disk, store, url.to_string(), config, clock))
    }

    /// Returns a bucket in memory, for tests. Its objects live as long as the bucket.
    pub fn memory(clock: Arc<dyn Clock>) -> Self {
        Self::over(
            Arc::new(object_store::memory::InMemory::new()),
            "memory:".to_owned(),
            &Config::default(),
            clock,
        )
    }

    /// Counts, limits and retries the requests to `store`. `name` is used in messages, so it must
    /// not contain a secret.
    pub fn over(
        store: Arc<dyn ObjectStore>,
        name: String,
        config: &Config,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::on(None, store, name, config, clock)
    }

    fn on(
        disk: Option<Arc<dyn Disk>>,
        store: Arc<dyn ObjectStore>,
        name: String,
        config: &Config,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let metrics = Metrics::default();
        let retries = Retries::new(config.retry, Arc::clone(&clock));
        let gauged = Gauged::new(store, metrics.clone(), clock, config.requests_max);

        let store = Arc::new(Retrying::new(
            Arc::new(gauged),
            retries.clone(),
            metrics.clone(),
        ));

        Self {
            inner: Arc::new(Inner {
                store,
                name,
                metrics,
                retries,
                disk,
            }),
        }
    }

    /// Returns the store with all of the above, for example for a reader of Parquet. A body that
    /// has not been read to its end counts as a running request.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.inner.store)
    }

    pub fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.inner.retries.clock()
    }

    pub(crate) fn retries(&self) -> &Retries {
        &self.inner.retries
    }

    /// The URL of the store, without secrets.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Writes an object, which is durable on return. An existing object is replaced. Use it for
    /// keys that are never reused, because a retry writes the same bytes again. One PUT.
    pub async fn put(&self, key: &Path, body: impl Into<PutPayload>) -> Result<(), Error> {
        self.inner
            .store
            .put(key, body.into())
            .await
            .map_err(|e| Error::store("put", key, e))?;

        Ok(())
    }

    /// Creates an object unless there is one. Returns `None` if it is ours now, or the body of the
    /// other. `body` must differ from that of every other process. 1 PUT, and 1 GET if there is
    /// another, or if the answer was unclear.
    ///
    /// # Errors
    /// It is not known whether the object was created.
    pub async fn offer(
        &self,
        key: &Path,
        body: Bytes,
        bytes_max: u64,
    ) -> Result<Option<Bytes>, Error> {
        let payload = PutPayload::from_bytes(body.clone());
        let put = self
            .inner
            .store
            .put_opts(key, payload, PutMode::Create.into());

        let Err(error) = put.await else {
            return Ok(None);
        };

        match self.get_if_exists(key, bytes_max).await? {
            Some(found) if found == body => Ok(None),
            Some(found) => Ok(Some(found)),
            None => Err(Error::store("create", key, error)),
        }
    }

    /// Writes the file `from`, of `length` bytes, as an object, which is durable on return. One PUT
    /// up to 16 MiB. A larger file takes one request for each 16 MiB and two more.
    ///
    /// In a store that is a directory on `disk`, the file becomes the object: it gets a second name
    /// and no byte is copied. That is one PUT for any size. Nobody may change the file any more.
    ///
    /// `check` gets all bytes in order before the object exists: exactly the bytes that are sent.
    ///
    /// # Errors
    /// [`Error::Damaged`] if the file has another length or `check` refuses it, [`Error::Disk`] if
    /// it cannot be read. In both cases there is no object.
    pub async fn put_file(
        &self,
        key: &Path,
        disk: &Arc<dyn Disk>,
        from: &FilePath,
        length: u64,
        mut check: impl FnMut(&[u8]) -> Result<(), CheckError> + Send,
    ) -> Result<(), Error> {
        let found = blocking_disk(disk, from, "stat", |disk, path| disk.stat(path)).await?;

        if found.length != length {
            let actual = found.length;
            let source =
                format!("the file has another length. expected=`{length}`, actual=`{actual}`")
                    .into();
            return Err(Error::Damaged {
                path: from.to_path_buf(),
                source,
            });
        }

        let mut crc = 0;
        let mut compare = |bytes: &[u8]| {
            crc = crc32c_append(crc, bytes);
            check(bytes)
        };
        let mut parts = Parts::File {
            disk,
            from,
            check: &mut compare,
        };

        if !self.is_on(disk) {
            return self.put_parts(key, length, parts).await;
        }

        let mut offset = 0;
        while offset < length {
            offset += parts.next(offset, length).await?.len() as u64;
        }

        let file = CompleteFile {
            path: from.to_path_buf(),
            id: found.id,
            bytes: length,
            crc32c: crc,
        };

        match self.link(key, file).await {
            Ok(()) => Ok(()),
            // The file system gives no second name here, so the bytes are copied.
            Err(error) if is_no_link(&error) => {
                let parts = Parts::File {
                    disk,
                    from,
                    check: &mut check,
                };
                self.put_parts(key, length, parts).await
            }
            Err(error) => Err(Error::store("put", key, error)),
        }
    }

    /// Returns whether the store is a directory on `disk`.
    fn is_on(&self, disk: &Arc<dyn Disk>) -> bool {
        let own = self.inner.disk.as_ref();
        own.is_some_and(|own| Arc::ptr_eq(own, disk))
    }

    async fn link(&self, key: &Path, file: CompleteFile) -> Result<(), object_store::Error> {
        let mut options = PutOptions::default();
        options.extensions.insert(file);

        let put = self
            .inner
            .store
            .put_opts(key, PutPayload::default(), options);
        put.await.map(drop)
    }

    /// Writes an object from memory, of any size. It is durable on return. Takes as many requests
    /// as [`Bucket::put_file`].
    pub async fn put_large(&self, key: &Path, body: Bytes) -> Result<(), Error> {
        self.put_parts(key, body.len() as u64, Parts::Memory(body))
            .await
    }

    async fn put_parts(&self, key: &Path, length: u64, mut parts: Parts<'_>) -> Result<(), Error> {
        if length <= PART_BYTES as u64 {
            let body = parts.next(0, length).await?;
            return self.put(key, body).await;
        }

        let upload = self
            .inner
            .store
            .put_multipart(key)
            .await
            .map_err(|e| Error::store("upload", key, e))?;

        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let mut offset = 0;

        while offset < length {
            let sent = match parts.next(offset, length).await {
                Ok(bytes) => {
                    offset += bytes.len() as u64;

                    let room = upload
                        .wait_for_capacity(4)
                        .await
                        .map_err(|e| Error::store("upload", key, e));

                    room.map(|()| upload.put(bytes))
                }
                Err(error) => Err(error),
            };

            if let Err(error) = sent {
                // The parts that were uploaded cost money until the bucket's own rule removes them.
                // So try to abort, but report the first error.
                let _ = upload.abort().await;
                return Err(error);
            }
        }

        upload
            .finish()
            .await
            .map_err(|e| Error::store("upload", key, e))?;

        Ok(())
    }

    /// Returns the whole object, which may have at most `bytes_max` bytes. One GET.
    pub async fn get(&self, key: &Path, bytes_max: u64) -> Result<Bytes, Error> {
        let result = self
            .inner
            .store
            .get(key)
            .await
            .map_err(|e| Error::store("get", key, e))?;

        let bytes = result.meta.size;
        if bytes > bytes_max {
            return Err(Error::TooLarge {
                key: key.to_string(),
                bytes,
                bytes_max,
            });
        }

        collect(key, result).await
    }

    /// Does the same as [`Bucket::get`], but returns `None` if there is no such object.
    pub async fn get_if_exists(&self, key: &Path, bytes_max: u64) -> Result<Option<Bytes>, Error> {
        match self.get(key, bytes_max).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns all bytes of `range`, whose end is exclusive. One GET.
    pub async fn get_range(&self, key: &Path, range: std::ops::Range<u64>) -> Result<Bytes, Error> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            ..GetOptions::default()
        };

        let result = self
            .inner
            .store
            .get_opts(key, options)
            .await
            .map_err(|e| Error::store("get", key, e))?;

        if result.range != range {
            let fault = format!("asked for {range:?}, there is {:?}", result.range);
            return Err(Error::Corrupt {
                key: key.to_string(),
                fault,
            });
        }

        collect(key, result).await
    }

    /// Returns size and time of an object. One HEAD.
    pub async fn head(&self, key: &Path) -> Result<ObjectMeta, Error> {
        self.inner
            .store
            .head(key)
            .await
            .map_err(|e| Error::store("head", key, e))
    }

    /// Removes an object. Also succeeds if there is none. One DELETE.
    pub async fn delete(&self, key: &Path) -> Result<(), Error> {
        match self.inner.store.delete(key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Error::store("delete", key, error)),
        }
    }

    /// Lists the objects under a prefix with a key greater than `after`, sorted by key. One LIST
    /// for each 1,000 objects.
    pub async fn list(
        &self,
        prefix: &Path,
        after: Option<&Path>,
    ) -> Result<Vec<ObjectMeta>, Error> {
        let objects = match after {
            Some(after) => self.inner.store.list_with_offset(Some(prefix), after),
            None => self.inner.store.list(Some(prefix)),
        };

        let mut objects: Vec<_> = objects
            .try_collect()
            .await
            .map_err(|e| Error::store("list", prefix, e))?;

        objects.sort_unstable_by(|a, b| a.location.cmp(&b.location));
        Ok(objects)
    }
}

/// Whether a file cannot have a second name in the store, although the disk works.
fn is_no_link(error: &object_store::Error) -> bool {
    let is_of_a_link = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::CrossesDevices
                | io::ErrorKind::Unsupported
                | io::ErrorKind::TooManyLinks
                | io::ErrorKind::PermissionDenied
        )
    };

    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(is_of_a_link) {
            return true;
        }

        cause = error.source();
    }

    false
}

/// The source of the parts of an upload.
enum Parts<'a> {
    File {
        disk: &'a Arc<dyn Disk>,
        from: &'a FilePath,
        check: &'a mut (dyn FnMut(&[u8]) -> Result<(), CheckError> + Send),
    },
    Memory(Bytes),
}

impl Parts<'_> {
    /// Returns the part of `length` bytes at `offset`. Called once for each part, in order.
    async fn next(&mut self, offset: u64, length: u64) -> Result<Bytes, Error> {
        let bytes = usize::try_from(length - offset)
            .unwrap_or(PART_BYTES)
            .min(PART_BYTES);

        match self {
            Self::File { disk, from, check } => {
                let read =
                    move |disk: &dyn Disk, path: &FilePath| disk.read_at(path, offset, bytes);
                let part = blocking_disk(disk, from, "read", read).await?;
                check(&part).map_err(|source| Error::Damaged {
                    path: from.to_path_buf(),
                    source,
                })?;

                Ok(Bytes::from(part))
            }
            Self::Memory(body) => Ok(body.split_to(bytes)),
        }
    }
}

/// Reads a whole body, which must have the length that the response states.
async fn collect(key: &Path, result: object_store::GetResult) -> Result<Bytes, Error> {
    let length = usize::try_from(result.range.end - result.range.start).unwrap_or(usize::MAX);
    let mut pieces = result.into_stream();

    let mut first = pieces
        .try_next()
        .await
        .map_err(|e| Error::store("get", key, e))?
        .unwrap_or_default();

    if first.len() < length {
        let mut whole = BytesMut::with_capacity(length.min(64 << 20));
        whole.extend_from_slice(&first);

        while let Some(piece) = pieces
            .try_next()
            .await
            .map_err(|e| Error::store("get", key, e))?
        {
            whole.extend_from_slice(&piece);
        }
        first = whole.freeze();
    }

    Ok(first)
}

async fn blocking_disk<T: Send + 'static>(
    disk: &Arc<dyn Disk>,
    path: &FilePath,
    operation: &'static str,
    call: impl FnOnce(&dyn Disk, &FilePath) -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let disk = Arc::clone(disk);
    let owned = path.to_path_buf();
    let done = tokio::task::spawn_blocking(move || call(&*disk, &owned)).await;

    done.unwrap_or_else(|e| Err(io::Error::other(e)))
        .map_err(|source| Error::Disk {
            operation,
            path: path.to_path_buf(),
            source,
        })
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}
