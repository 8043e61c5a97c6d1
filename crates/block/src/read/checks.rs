//! Checks the bytes of files elsewhere (on their way to the bucket) against the block's `meta`.

use duramen_model::BlockStats;
use object_store::path::Path;

use crate::error::Error;
use crate::layout::file_names::META_FILE;
use crate::layout::meta::FileMeta;
use crate::read::meta;

/// What `meta` says about all files of one block.
#[derive(Debug)]
pub struct BlockChecks {
    files: Vec<FileMeta>,
}

/// Compares one file with what `meta` says about it, piece by piece.
#[derive(Debug)]
pub struct FileCheck<'a> {
    file: &'a FileMeta,
    /// How many bytes have been checked or are part of the current extent.
    at: u64,
    /// The current extent, and the checksum of its bytes so far.
    extent: usize,
    crc32c: u32,
}

impl BlockChecks {
    /// Decodes `meta`, whose length and checksum must be those in `stats`.
    pub fn new(meta: &[u8], stats: &BlockStats) -> Result<Self, Error> {
        let key = Path::from(META_FILE);
        meta::check(&key, stats, meta)?;
        let described = meta::decode(&key, stats, meta)?.files;
        let files = described.into_iter().map(|each| each.file).collect();

        Ok(Self { files })
    }

    /// Returns the check of the file `name`, or `None` if the block has no such file.
    pub fn file(&self, name: &str) -> Option<FileCheck<'_>> {
        let file = self.files.iter().find(|file| file.name == name)?;
        Some(FileCheck {
            file,
            at: 0,
            extent: 0,
            crc32c: 0,
        })
    }
}

impl FileCheck<'_> {
    /// The length that the file must have. Once this many bytes were pushed, all of them are
    /// checked.
    pub const fn bytes(&self) -> u64 {
        self.file.bytes
    }

    /// Checks the next bytes of the file. The error names the file and the first extent that
    /// differs.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            if self.extent == self.file.extents.len() {
                let actual = self.at + bytes.len() as u64;
                return Err(Error::Size {
                    key: self.key(),
                    expected: self.file.bytes,
                    actual,
                });
            }

            let extent = self.file.extents.range(self.extent);
            let missing = usize::try_from(extent.end - self.at).unwrap_or(usize::MAX);
            let (piece, rest) = bytes.split_at(missing.min(bytes.len()));

            self.crc32c = crc32c::crc32c_append(self.crc32c, piece);
            self.at += piece.len() as u64;
            bytes = rest;

            if self.at == extent.end {
                let expected = self.file.extents.checksum(self.extent);
                let actual = self.crc32c;

                if expected != actual {
                    return Err(Error::Checksum {
                        key: self.key(),
                        offset: extent.start,
                        expected,
                        actual,
                    });
                }

                self.extent += 1;
                self.crc32c = 0;
            }
        }

        Ok(())
    }

    fn key(&self) -> Path {
        Path::from(self.file.name.as_str())
    }
}
