//! A directory of a disk as a read-only object store. With it, staged blocks are read like those in
//! the bucket.

use std::fmt;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use duramen_runtime::Disk;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

/// The files below `root`, by their paths. Requests are not retried, counted or limited. Writing
/// and listing fail.
#[derive(Clone, Debug)]
pub(crate) struct DiskStore {
    disk: Arc<dyn Disk>,
    root: PathBuf,
}

impl DiskStore {
    pub(crate) const fn new(disk: Arc<dyn Disk>, root: PathBuf) -> Self {
        Self { disk, root }
    }

    fn refused(&self, operation: &str) -> Error {
        Error::NotImplemented {
            operation: operation.to_owned(),
            implementer: self.to_string(),
        }
    }
}

/// Reads the whole requested range at once. It is a few extents of a block.
fn read(disk: &dyn Disk, path: &FilePath, key: Path, options: &GetOptions) -> Result<GetResult> {
    let stat = disk.stat(path).map_err(|e| failed(&key, e))?;
    let meta = ObjectMeta {
        location: key,
        last_modified: Default::default(),
        size: stat.length,
        e_tag: None,
        version: None,
    };

    let range = match &options.range {
        Some(range) => range
            .as_range(stat.length)
            .map_err(|source| Error::NotSupported {
                source: Box::new(source),
            })?,
        None => 0..stat.length,
    };

    let body = if options.head {
        Vec::new()
    } else {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        disk.read_at(path, range.start, length)
            .map_err(|e| failed(&meta.location, e))?
    };

    let body = stream::iter([Ok(Bytes::from(body))]).boxed();
    Ok(GetResult {
        payload: GetResultPayload::Stream(body),
        meta,
        range,
        attributes: Attributes::default(),
    })
}

fn failed(key: &Path, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound => Error::NotFound {
            path: key.to_string(),
            source: source.into(),
        },
        _ => Error::Generic {
            store: "staging",
            source: source.into(),
        },
    }
}

impl fmt::Display for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "staging:{}", self.root.display())
    }
}

#[async_trait]
impl ObjectStore for DiskStore {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let disk = Arc::clone(&self.disk);
        let path = self.root.join(location.as_ref());
        let key = location.clone();

        tokio::task::spawn_blocking(move || read(&*disk, &path, key, &options)).await?
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(self.refused("put_opts"))
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(self.refused("put_multipart_opts"))
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        stream::iter([Err(self.refused("delete_stream"))]).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::iter([Err(self.refused("list"))]).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(self.refused("list_with_delimiter"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(self.refused("copy_opts"))
    }
}
