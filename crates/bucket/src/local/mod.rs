//! A directory as an object store that keeps its word through a loss of power.
//!
//! `object_store`'s own local store never syncs. Here, what a write has acknowledged is on the
//! disk: its bytes, its name, and the name of every directory above it; and what a read has shown
//! is as durable as if it had been written by the reader.

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
use files::{Files, Found, Level, Publish};

/// Objects as files under one directory. Cheap to clone. One process has the directory, by a lock
/// that ends with the last clone or with the process.
///
/// A key cannot be an object and the prefix of another at once, as a path cannot be a file and a
/// directory: the second write fails.
#[derive(Clone, Debug)]
pub struct LocalStore {
    files: Arc<Files>,
}

/// A longer body is handed out in pieces of this size.
const PIECE_BYTES: u64 = 8 << 20;

impl LocalStore {
    /// Opens the store in `root`, made if it is missing, and removes the files that a crash has
    /// left in staging. Blocks.
    ///
    /// # Errors
    /// [`crate::Error::StoreLocked`] when another process has it. A file system without locks is
    /// logged and taken all the same.
    pub fn open(
        disk: Arc<dyn Disk>,
        root: &FilePath,
        clock: &dyn Clock,
    ) -> Result<Self, crate::Error> {
        Ok(Self {
            files: Arc::new(Files::open(disk, root, clock.new_ulid())?),
        })
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
            // As S3 does, and so that a retry after a lost answer succeeds.
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

    /// Not atomic: for a moment both are there, and after a crash both may be.
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
    /// The bytes of `range`, read piece by piece. An object that is replaced meanwhile may be read
    /// half old, half new; ours never are.
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
