//! Where a block is written: a folder of the local disk, or memory.
//!
//! What goes into a file is summed up on its way. A file that reads back as something else was
//! damaged below us, and is refused before its checksums are taken.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use crc32c::crc32c_append;
use duramen_runtime::disk::descriptors::with_spare;
use parking_lot::Mutex;

use crate::error::Error;

/// The files of one block while it is written.
#[derive(Debug)]
pub(crate) struct Folder {
    place: Place,
    files: Mutex<Vec<Named>>,
}

/// The name of a file, and what was put into it.
type Named = (&'static str, Arc<Mutex<Written>>);

#[derive(Debug)]
enum Place {
    Disk(PathBuf),
    Memory,
}

/// What was put into a file.
#[derive(Debug, Default)]
struct Written {
    bytes: u64,
    crc32c: u32,
    /// All of it, for a file in memory.
    held: Vec<u8>,
}

/// What a file is written through. Unbuffered: the Parquet writer buffers.
#[derive(Debug)]
pub(crate) struct BlockFileWriter {
    file: Option<File>,
    written: Arc<Mutex<Written>>,
}

/// A file that is complete, to be read back.
pub(crate) enum WrittenFile {
    Disk(File),
    Memory(Cursor<Bytes>),
}

impl Folder {
    /// Makes the folder `dir`, which must not exist; its parent must.
    pub(crate) fn create(dir: &Path) -> Result<Self, Error> {
        fs::create_dir(dir).map_err(|source| Error::Write {
            path: dir.to_owned(),
            source,
        })?;

        Ok(Self {
            place: Place::Disk(dir.to_owned()),
            files: Mutex::default(),
        })
    }

    pub(crate) fn in_memory() -> Self {
        Self {
            place: Place::Memory,
            files: Mutex::default(),
        }
    }

    /// Where a file is, for messages.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        match &self.place {
            Place::Disk(dir) => dir.join(name),
            Place::Memory => PathBuf::from(name),
        }
    }

    /// Makes the file `name`, which must not exist.
    pub(crate) fn create_file(&self, name: &'static str) -> Result<BlockFileWriter, Error> {
        let file = match &self.place {
            Place::Disk(dir) => {
                let path = dir.join(name);
                let created = with_spare(|| File::create_new(&path));
                Some(created.map_err(|source| Error::Write { path, source })?)
            }
            Place::Memory => None,
        };

        let written = Arc::<Mutex<Written>>::default();
        self.files.lock().push((name, Arc::clone(&written)));
        Ok(BlockFileWriter { file, written })
    }

    /// Opens a complete file, with its length. Fails when it is not what was written.
    pub(crate) fn open_file(&self, name: &str) -> io::Result<(WrittenFile, u64)> {
        let files = self.files.lock();
        let written = files
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, written)| written);

        let mut written = written.ok_or(io::ErrorKind::NotFound)?.lock();

        let mut file = match &self.place {
            Place::Disk(dir) => WrittenFile::Disk(with_spare(|| File::open(dir.join(name)))?),
            Place::Memory => {
                let bytes = Bytes::from(std::mem::take(&mut written.held));
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
        let taken = match &mut self.file {
            Some(file) => file.write(bytes)?,
            None => {
                written.held.extend_from_slice(bytes);
                bytes.len()
            }
        };

        written.bytes += taken as u64;
        written.crc32c = crc32c_append(written.crc32c, &bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WrittenFile {
    /// Length and checksum. The file stands at its start before and after.
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

    /// What is in memory; `None` for a file of the disk.
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
