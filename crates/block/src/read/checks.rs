//! Whether files that lie elsewhere are still those of the block: for bytes that pass by on their
//! way to the bucket.

use duramen_model::BlockStats;
use object_store::path::Path;

use crate::error::Error;
use crate::layout::file_names::META_FILE;
use crate::layout::meta::FileMeta;
use crate::read::meta;

/// What all files of one block must be.
#[derive(Debug)]
pub struct BlockChecks {
    files: Vec<FileMeta>,
}

/// Compares one file with what `meta` says of it, as its bytes come.
#[derive(Debug)]
pub struct FileCheck<'a> {
    file: &'a FileMeta,
    /// Bytes that came.
    at: u64,
    /// The extent that they stand in, and the checksum of its beginning.
    extent: usize,
    crc32c: u32,
}

impl BlockChecks {
    /// Reads `meta`, which must be the bytes that `stats` describe.
    pub fn new(meta: &[u8], stats: &BlockStats) -> Result<Self, Error> {
        let key = Path::from(META_FILE);
        meta::check(&key, stats, meta)?;
        let files = meta::decode(&key, stats, meta)?;

        Ok(Self { files })
    }

    /// The check of the file `name`; `None` when the block has no such file.
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
    /// How long the file must be. When so many bytes have passed, all of them are checked.
    pub const fn bytes(&self) -> u64 {
        self.file.bytes
    }

    /// Takes the next bytes of the file. The error names the file and where it differs.
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
