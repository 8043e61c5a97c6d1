//! A directory as an object store that survives a loss of power.
//!
//! `object_store`'s own local store never syncs. Here, an acknowledged write is on the disk: its
//! bytes, its name, and the name of every directory above it. What a read returns is also durable,
//! as if the reader had written it.
//!
//! - `paths` maps keys to paths of files. `files` writes, reads and lists them.
//! - `upload` is an upload in parts. `answers` converts errors.

mod answers;
mod files;
mod paths;
mod upload;

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use duramen_runtime::{Clock, Disk};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, RenameTargetMode, Result,
};

use answers::{put_result, store_error};
pub use files::CompleteFile;
use files::{Files, Found, Level, Publish};

/// Stores objects as files under one directory. Cheap to clone. A lock makes sure that only one
/// process has the directory. It ends with the last clone or with the process.
///
/// A key cannot be both an object and a prefix of another key, because a path cannot be both a file
/// and a directory. The second write fails.
#[derive(Clone, Debug)]
pub struct LocalStore {
    files: Arc<Files>,
}

/// A longer body is returned in pieces of this size.
const PIECE_BYTES: u64 = 8 << 20;

impl LocalStore {
    /// Opens the store in `root` and removes staged files that a crash has left. Creates the
    /// directory if it does not exist. This call blocks.
    ///
    /// # Errors
    /// [`crate::Error::StoreLocked`] if another process has the store. A file system without locks
    /// is logged and still accepted.
    pub fn open(
        disk: Arc<dyn Disk>,
        root: &FilePath,
        clock: &dyn Clock,
    ) -> Result<Self, crate::Error> {
        Ok(Self {
            files: Arc::new(Files::open(disk, root, clock.new_ulid())?),
        })
    }

    /// Opens the store in `root` to read it, beside a process that has it. What changes the store
    /// fails.
    pub fn open_to_read(disk: Arc<dyn Disk>, root: &FilePath, clock: &dyn Clock) -> Self {
        Self {
            files: Arc::new(Files::open_to_read(disk, root, clock.new_ulid())),
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        key: &Path,
        work: impl FnOnce(&Files, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let files = Arc::clone(&self.files);
        let owned = key.clone();
        let done = tokio::task::spawn_blocking(move || work(&files, &owned)).await?;

        done.map_err(|e| store_error(key, e))
    }

    async fn delete_one(&self, key: Path) -> Result<Path> {
        match self.blocking(&key, |files, key| files.remove(key)).await {
            // S3 succeeds as well if there is no object. And a retry after a lost response must
            // succeed.
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(key),
            Err(error) => Err(error),
        }
    }
}

fn meta(key: Path, found: &Found) -> ObjectMeta {
    let last_modified =
        DateTime::<Utc>::from_timestamp_millis(found.modified_ms).unwrap_or_default();
    ObjectMeta {
        location: key,
        last_modified,
        size: found.bytes,
        e_tag: Some(found.e_tag()),
        version: None,
    }
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file:{}", self.files.root().display())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for LocalStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        if let Some(file) = opts.extensions.get::<CompleteFile>().cloned() {
            let found = self
                .blocking(location, move |files, key| files.link(&file, key))
                .await?;

            return Ok(put_result(&found));
        }

        let publish = match opts.mode {
            PutMode::Create => Publish::Create,
            PutMode::Overwrite => Publish::Overwrite,
            PutMode::Update(_) => {
                let operation = "put_opts with PutMode::Update".to_owned();
                return Err(object_store::Error::NotImplemented {
                    operation,
                    implementer: self.to_string(),
                });
            }
        };

        let found = self
            .blocking(location, move |files, key| {
                let staged = files.stage()?;
                payload.iter().try_for_each(|piece| staged.append(piece))?;
                files.publish(staged, key, publish)
            })
            .await?;

        Ok(put_result(&found))
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let staged = self.blocking(location, |files, _| files.stage()).await?;
        Ok(Box::new(upload::LocalUpload::new(
            Arc::clone(&self.files),
            location.clone(),
            staged,
        )))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = self
            .blocking(location, |files, key| files.find(key))
            .await?;
        let meta = meta(location.clone(), &found);
        options.check_preconditions(&meta)?;

        let wrong_range = |source| object_store::Error::NotSupported {
            source: Box::new(source),
        };
        let range = match &options.range {
            Some(range) => range.as_range(found.bytes).map_err(wrong_range)?,
            None => 0..found.bytes,
        };

        let body = if options.head {
            stream::empty().boxed()
        } else {
            self.body(location, range.clone())
        };

        Ok(GetResult {
            payload: GetResultPayload::Stream(body),
            meta,
            range,
            attributes: Attributes::default(),
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        crate::retrying::get_ranges(self, location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        locations
            .map(move |location| {
                let this = this.clone();
                async move { this.delete_one(location?).await }
            })
            .buffered(8)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.list_with_offset(prefix, &Path::default())
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let this = self.clone();
        let prefix = prefix.cloned().unwrap_or_default();
        let offset = offset.clone();

        let all = async move {
            let objects = this
                .blocking(&prefix, move |files, prefix| files.list(prefix, &offset))
                .await?;
            Ok::<_, object_store::Error>(stream::iter(
                objects
                    .into_iter()
                    .map(|(key, found)| Ok(meta(key, &found))),
            ))
        };

        all.into_stream().try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        let Level {
            objects,
            prefixes: common_prefixes,
        } = self
            .blocking(&prefix, |files, prefix| files.list_level(prefix))
            .await?;

        let objects = objects
            .into_iter()
            .map(|(key, found)| meta(key, &found))
            .collect();

        Ok(ListResult {
            common_prefixes,
            objects,
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let publish = match options.mode {
            CopyMode::Create => Publish::Create,
            CopyMode::Overwrite => Publish::Overwrite,
        };

        let to = to.clone();
        self.blocking(from, move |files, from| files.copy(from, &to, publish))
            .await
    }

    /// Not atomic: for a moment both names exist, and both may exist after a crash.
    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let mode = match options.target_mode {
            RenameTargetMode::Create => CopyMode::Create,
            RenameTargetMode::Overwrite => CopyMode::Overwrite,
        };

        if from != to {
            self.copy_opts(
                from,
                to,
                CopyOptions {
                    mode,
                    extensions: options.extensions,
                },
            )
            .await?;
            self.delete_one(from.clone()).await?;
        }

        Ok(())
    }
}

impl LocalStore {
    /// Reads the bytes of `range` piece by piece. If an object is replaced meanwhile, the result
    /// may be half old and half new. Our objects are never replaced.
    fn body(&self, key: &Path, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
        let this = self.clone();
        let key = key.clone();

        stream::try_unfold(range.start, move |start| {
            let this = this.clone();
            let key = key.clone();

            async move {
                if start >= range.end {
                    return Ok(None);
                }

                let length = (range.end - start).min(PIECE_BYTES);
                let piece = this
                    .blocking(&key, move |files, key| files.read(key, start, length))
                    .await?;
                Ok(Some((Bytes::from(piece), start + length)))
            }
        })
        .boxed()
    }
}
