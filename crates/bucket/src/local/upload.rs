//! An upload in parts. The parts are written to one staged file, in the order of their numbers.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use object_store::path::Path;
use object_store::{MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use parking_lot::Mutex;

use super::answers::{put_result, store_error};
use super::files::{Files, Publish, Staged};

#[derive(Debug)]
pub(super) struct LocalUpload {
    files: Arc<Files>,
    key: Path,
    parts: Arc<Mutex<Parts>>,
    /// How many parts were handed in, including those that are not written yet.
    count: usize,
}

#[derive(Debug)]
struct Parts {
    /// `None` once the file has its name, and after an abort or an error.
    staged: Option<Staged>,
    written: usize,
    /// Parts that came before their turn. There are at most as many as the caller sends at once.
    early: BTreeMap<usize, PutPayload>,
}

impl LocalUpload {
    pub(super) fn new(files: Arc<Files>, key: Path, staged: Staged) -> Self {
        let parts = Parts {
            staged: Some(staged),
            written: 0,
            early: BTreeMap::new(),
        };

        Self {
            files,
            key,
            parts: Arc::new(Mutex::new(parts)),
            count: 0,
        }
    }
}

impl Parts {
    fn write(&mut self, number: usize, part: PutPayload) -> io::Result<()> {
        self.early.insert(number, part);

        while let Some(part) = self.early.remove(&self.written) {
            let staged = self.staged.as_ref().ok_or_else(over)?;
            if let Err(error) = part.iter().try_for_each(|piece| staged.append(piece)) {
                self.staged = None;
                return Err(error);
            }

            self.written += 1;
        }

        Ok(())
    }
}

fn over() -> io::Error {
    io::Error::other("the upload is over or has failed")
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for LocalUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let parts = Arc::clone(&self.parts);
        let key = self.key.clone();
        let number = self.count;

        self.count += 1;
        async move {
            let written =
                tokio::task::spawn_blocking(move || parts.lock().write(number, data)).await?;
            written.map_err(|e| store_error(&key, e))
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let files = Arc::clone(&self.files);
        let key = self.key.clone();
        let parts = Arc::clone(&self.parts);
        let count = self.count;

        let done = tokio::task::spawn_blocking(move || {
            let mut parts = parts.lock();
            if parts.written != count {
                return Err(io::Error::other("a part is missing"));
            }

            let staged = parts.staged.take().ok_or_else(over)?;
            files.publish(staged, &key, Publish::Overwrite)
        });

        let found = done.await?.map_err(|e| store_error(&self.key, e))?;
        Ok(put_result(&found))
    }

    async fn abort(&mut self) -> Result<()> {
        self.parts.lock().staged = None;
        Ok(())
    }
}
