//! A file that is written from front to back, in large pieces.

use std::path::PathBuf;
use std::sync::Arc;

use duramen_runtime::Disk;
use duramen_runtime::disk::DiskFile;

use crate::error::Error;

/// So many bytes are written at once.
const PIECE: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct Output {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    /// What is not in the file yet.
    waiting: Vec<u8>,
    written: u64,
}

impl Output {
    pub(crate) fn create(disk: &Arc<dyn Disk>, path: PathBuf) -> Result<Self, Error> {
        let file = disk.create_new(&path).map_err(|source| Error::Disk {
            path: path.clone(),
            source,
        })?;

        Ok(Self {
            path,
            file,
            waiting: Vec::with_capacity(PIECE),
            written: 0,
        })
    }

    /// How long the file is.
    pub(crate) fn length(&self) -> u64 {
        self.written + self.waiting.len() as u64
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.waiting.len() + bytes.len() > PIECE {
            self.flush()?;
        }

        if bytes.len() > PIECE {
            self.append(bytes)
        } else {
            self.waiting.extend_from_slice(bytes);
            Ok(())
        }
    }

    /// Appends zeros, so that the file has a multiple of `alignment` bytes.
    pub(crate) fn pad(&mut self, alignment: u64) -> Result<(), Error> {
        while !self.length().is_multiple_of(alignment) {
            self.put(&[0])?;
        }

        Ok(())
    }

    /// Makes the file durable. Returns its length.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        self.flush()?;

        let synced = self.file.sync_data();
        synced.map_err(|source| Error::Disk {
            path: self.path.clone(),
            source,
        })?;

        Ok(self.written)
    }

    fn flush(&mut self) -> Result<(), Error> {
        let waiting = std::mem::take(&mut self.waiting);
        self.append(&waiting)?;

        self.waiting = waiting;
        self.waiting.clear();
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let appended = self.file.append(bytes);
        appended.map_err(|source| Error::Disk {
            path: self.path.clone(),
            source,
        })?;

        self.written += bytes.len() as u64;
        Ok(())
    }
}
