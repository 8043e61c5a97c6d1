//! Where a block is written: a folder of the local disk, or memory.
//!
//! A checksum is kept of the bytes written to each file. If a file reads back differently, the disk
//! has damaged it, and it is refused before `meta` gets its checksums.

use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use crc32c::crc32c_append;
use duramen_runtime::{Disk, DiskFile};
use parking_lot::Mutex;
use parquet::errors::Result as Encoded;
use parquet::file::reader::{ChunkReader, Length};

use crate::error::Error;

/// The files of one block while it is written.
#[derive(Debug)]
pub(crate) struct Folder {
    place: Place,
    files: Mutex<Vec<Named>>,
}

/// The name of a file, and the length and checksum of the bytes written to it.
type Named = (&'static str, Arc<Mutex<Written>>);

#[derive(Debug)]
enum Place {
    Disk { disk: Arc<dyn Disk>, dir: PathBuf },
    Memory,
}

/// The bytes that were written to a file.
#[derive(Debug, Default)]
struct Written {
    bytes: u64,
    crc32c: u32,
    /// All bytes, for a file in memory.
    content: Vec<u8>,
}

/// Writes one file. It does not buffer, because the Parquet writer does.
#[derive(Debug)]
pub(crate) struct BlockFileWriter {
    file: Option<Box<dyn DiskFile>>,
    written: Arc<Mutex<Written>>,
}

/// A complete file, open to be read back.
pub(crate) enum WrittenFile {
    Disk(DiskReader),
    Memory(Cursor<Bytes>),
}

/// Reads a file of a disk from the offset `at` on.
pub(crate) struct DiskReader {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    length: u64,
    at: u64,
}

impl Folder {
    /// Creates the folder `dir`, which must not exist; its parent must.
    pub(crate) fn create(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        disk.create_dir(dir).map_err(|source| Error::Write {
            path: dir.to_owned(),
            source,
        })?;

        Ok(Self {
            place: Place::Disk {
                disk: Arc::clone(disk),
                dir: dir.to_owned(),
            },
            files: Mutex::default(),
        })
    }

    pub(crate) fn in_memory() -> Self {
        Self {
            place: Place::Memory,
            files: Mutex::default(),
        }
    }

    /// The path of a file, for messages.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        match &self.place {
            Place::Disk { dir, .. } => dir.join(name),
            Place::Memory => PathBuf::from(name),
        }
    }

    /// Creates the file `name`, which must not exist.
    pub(crate) fn create_file(&self, name: &'static str) -> Result<BlockFileWriter, Error> {
        let file = match &self.place {
            Place::Disk { disk, dir } => {
                let path = dir.join(name);
                let created = disk.create_new(&path);
                Some(created.map_err(|source| Error::Write { path, source })?)
            }
            Place::Memory => None,
        };

        let written = Arc::<Mutex<Written>>::default();
        self.files.lock().push((name, Arc::clone(&written)));
        Ok(BlockFileWriter { file, written })
    }

    /// The bytes that were written to all files so far.
    pub(crate) fn bytes(&self) -> u64 {
        let files = self.files.lock();
        files.iter().map(|(_, written)| written.lock().bytes).sum()
    }

    /// Opens a complete file and returns its length too. Fails if its bytes are not those that were
    /// written.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<(WrittenFile, u64)> {
        let files = self.files.lock();
        let written = files
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, written)| written);

        let mut written = written.ok_or(io::ErrorKind::NotFound)?.lock();

        let mut file = match &self.place {
            Place::Disk { disk, dir } => WrittenFile::Disk(DiskReader::open(disk, dir.join(name))?),
            Place::Memory => {
                let bytes = Bytes::from(std::mem::take(&mut written.content));
                WrittenFile::Memory(Cursor::new(bytes))
            }
        };

        if file.sum()? != (written.bytes, written.crc32c) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file is not what was written to it",
            ));
        }

        Ok((file, written.bytes))
    }
}

impl Write for BlockFileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.written.lock();
        match &mut self.file {
            Some(file) => file.append(bytes)?,
            None => written.content.extend_from_slice(bytes),
        }

        written.bytes += bytes.len() as u64;
        written.crc32c = crc32c_append(written.crc32c, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WrittenFile {
    /// Returns length and checksum. The file must be at its start, and is there again on return.
    fn sum(&mut self) -> io::Result<(u64, u32)> {
        let mut buffer = vec![0; 256 << 10];
        let mut bytes = 0;
        let mut crc32c = 0;

        loop {
            let read = self.read(&mut buffer)?;
            if read == 0 {
                break;
            }

            bytes += read as u64;
            crc32c = crc32c_append(crc32c, &buffer[..read]);
        }

        self.seek(SeekFrom::Start(0))?;
        Ok((bytes, crc32c))
    }

    /// Returns the bytes of a file in memory, or `None` for a file on disk.
    pub(crate) fn into_memory(self) -> Option<Bytes> {
        match self {
            Self::Disk(_) => None,
            Self::Memory(cursor) => Some(cursor.into_inner()),
        }
    }
}

impl Read for WrittenFile {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Disk(file) => file.read(out),
            Self::Memory(cursor) => cursor.read(out),
        }
    }
}

impl Seek for WrittenFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Disk(file) => file.seek(to),
            Self::Memory(cursor) => cursor.seek(to),
        }
    }
}

impl DiskReader {
    pub(crate) fn open(disk: &Arc<dyn Disk>, path: PathBuf) -> io::Result<Self> {
        let length = disk.stat(&path)?.length;

        Ok(Self {
            disk: Arc::clone(disk),
            path,
            length,
            at: 0,
        })
    }
}

impl Read for DiskReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let length = out.len().min(left);

        if length == 0 {
            return Ok(0);
        }

        let bytes = self.disk.read_at(&self.path, self.at, length)?;
        out[..length].copy_from_slice(&bytes);
        self.at += length as u64;

        Ok(length)
    }
}

impl Seek for DiskReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };

        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

impl Length for DiskReader {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for DiskReader {
    type T = BufReader<Self>;

    fn get_read(&self, start: u64) -> Encoded<Self::T> {
        Ok(BufReader::new(Self {
            disk: Arc::clone(&self.disk),
            path: self.path.clone(),
            length: self.length,
            at: start,
        }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Encoded<Bytes> {
        Ok(self.disk.read_at(&self.path, start, length)?.into())
    }
}
