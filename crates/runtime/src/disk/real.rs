//! The disk of the machine.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

use super::descriptors::with_spare;
use super::lock::{Locked, lock_file};
use super::{DirEntry, Disk, DiskFile, FileId, FileStat, Space};

/// The file system of the operating system. Every call that opens a file may use the reserve of
/// [`super::descriptors`].
#[derive(Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = with_spare(|| OpenOptions::new().append(true).create_new(true).open(path))?;
        Ok(Box::new(RealFile { file }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = with_spare(|| OpenOptions::new().append(true).open(path))?;
        Ok(Box::new(RealFile { file }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut file = with_spare(|| File::open(path))?;
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(length);

        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        with_spare(|| File::open(path))?.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        stat_of(&fs::metadata(path)?)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();

        for entry in with_spare(|| fs::read_dir(path))? {
            let entry = entry?;
            let is_dir = entry.file_type()?.is_dir();
            entries.push(DirEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_dir,
            });
        }

        Ok(entries)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        with_spare(|| File::open(path))?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Locked> {
        lock_file(path)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        let found = statvfs(path)?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        let capacity = found.f_blocks.saturating_mul(found.f_frsize);

        Ok(Space { free, capacity })
    }
}

fn stat_of(metadata: &Metadata) -> io::Result<FileStat> {
    let since_epoch = metadata
        .modified()?
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();

    let modified_ms = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
    let id = FileId {
        device: metadata.dev(),
        inode: metadata.ino(),
    };

    Ok(FileStat {
        length: metadata.len(),
        modified_ms,
        is_dir: metadata.is_dir(),
        id,
    })
}

#[derive(Debug)]
struct RealFile {
    file: File,
}

impl DiskFile for RealFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn stat(&self) -> io::Result<FileStat> {
        stat_of(&self.file.metadata()?)
    }

    fn allocate(&mut self, length: u64) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::empty(), 0, length) {
            // The file system cannot allocate space, so the bytes are written, which reserves the
            // space too.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => self.fill(length),
            allocated => Ok(allocated?),
        }
    }
}

impl RealFile {
    fn fill(&mut self, length: u64) -> io::Result<()> {
        let zeros = [0; 64 << 10];
        let mut left = length.saturating_sub(self.file.metadata()?.len());

        while left > 0 {
            let piece = usize::try_from(left)
                .unwrap_or(zeros.len())
                .min(zeros.len());
            self.file.write_all(&zeros[..piece])?;
            left -= piece as u64;
        }

        Ok(())
    }
}
