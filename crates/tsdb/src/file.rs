//! A file of a block, read in pieces.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_runtime::Disk;

use crate::error::Error;

/// So many bytes are read at once.
const PIECE: usize = 1 << 20;

/// A file, and the piece of it that was read last.
#[derive(Debug)]
pub(crate) struct SourceFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    bytes: u64,
    piece: Vec<u8>,
    piece_start: u64,
}

impl SourceFile {
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: PathBuf) -> Result<Self, Error> {
        let stat = disk.stat(&path);
        let bytes = stat
            .map_err(|source| Error::Disk {
                path: path.clone(),
                source,
            })?
            .length;

        Ok(Self {
            disk: Arc::clone(disk),
            path,
            bytes,
            piece: Vec::new(),
            piece_start: 0,
        })
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn malformed(&self, offset: u64, what: &'static str) -> Error {
        Error::Malformed {
            path: self.path.clone(),
            offset,
            what,
        }
    }

    /// Returns `length` bytes at `offset`, or fewer if the file ends before.
    pub(crate) fn up_to(&mut self, offset: u64, length: usize) -> Result<&[u8], Error> {
        let left = usize::try_from(self.bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = length.min(left);
        let within = |start: u64| usize::try_from(offset.checked_sub(start)?).ok();

        let is_here = within(self.piece_start)
            .and_then(|at| at.checked_add(length))
            .is_some_and(|end| end <= self.piece.len());

        if !is_here {
            let wanted = length.max(PIECE).min(left);
            let read = self.disk.read_at(&self.path, offset, wanted);

            self.piece = read.map_err(|source| Error::Disk {
                path: self.path.clone(),
                source,
            })?;
            self.piece_start = offset;
        }

        let at = within(self.piece_start).unwrap_or(usize::MAX);
        let end = at.saturating_add(length).min(self.piece.len());
        Ok(self.piece.get(at..end).unwrap_or_default())
    }

    /// Returns `length` bytes at `offset`. It is an error if the file ends before.
    pub(crate) fn exactly(&mut self, offset: u64, length: usize) -> Result<&[u8], Error> {
        let left = self.bytes.saturating_sub(offset);

        if (length as u64) > left {
            return Err(self.malformed(offset, "the file ends before its contents do"));
        }

        self.up_to(offset, length)
    }
}
