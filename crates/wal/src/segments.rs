//! The files of a WAL: their names, the directory, and how a file is created.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_runtime::disk::{create_dir_all_synced, is_full};
use duramen_runtime::{Disk, DiskFile};

use crate::error::Error;
use crate::header::Header;
use crate::position::SegmentId;

/// 20 digits are enough for every number, so names sort as numbers do.
const DIGITS: usize = 20;
const SUFFIX: &str = ".wal";
/// A segment whose header is not durable yet.
const NEW_SUFFIX: &str = ".wal.new";

/// The directory that holds the segments.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) disk: Arc<dyn Disk>,
    path: PathBuf,
}

/// The entries of a directory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// In order.
    pub(crate) segments: Vec<SegmentId>,
    pub(crate) unfinished: Vec<PathBuf>,
    pub(crate) ignored: Vec<String>,
}

/// The result of creating a segment, unless the disk failed.
#[derive(Debug)]
pub(crate) enum Created {
    File(Box<dyn DiskFile>),
    /// There is no space, or no file descriptor. The segment does not exist.
    Full(Error),
    /// The segment exists, but its name may not be durable, because of a full disk. The previous
    /// segment must take no more records, since this one says where the previous one ends. The next
    /// try replaces it.
    Unsettled(Error),
}

/// Returns [`Error::Full`] as a value if the disk is full, else the failure of the disk as an
/// error.
fn full_or_failed(source: io::Error, path: PathBuf) -> Result<Error, Error> {
    if is_full(&source) {
        return Ok(Error::Full { path, source });
    }

    Err(Error::Disk {
        action: "create segment",
        path,
        source,
    })
}

impl Directory {
    /// Returns the directory of a log that another owner has open.
    pub(crate) fn of_another(disk: Arc<dyn Disk>, path: &Path) -> Self {
        Self {
            disk,
            path: path.to_path_buf(),
        }
    }

    /// Opens the directory. Creates it durably if it is missing.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, Error> {
        create_dir_all_synced(&disk, path).map_err(Error::disk("create directory", path))?;
        Ok(Self {
            disk,
            path: path.to_path_buf(),
        })
    }

    pub(crate) fn segment_path(&self, segment: SegmentId) -> PathBuf {
        self.path.join(format!("{:0DIGITS$}{SUFFIX}", segment.0))
    }

    pub(crate) fn list(&self) -> Result<Listing, Error> {
        let mut listing = Listing::default();
        for entry in self
            .disk
            .read_dir(&self.path)
            .map_err(Error::disk("list", &self.path))?
        {
            match parse_name(&entry.name) {
                Some((segment, SUFFIX)) if !entry.is_dir => listing.segments.push(segment),
                Some((_, NEW_SUFFIX)) if !entry.is_dir => {
                    listing.unfinished.push(self.path.join(entry.name))
                }
                _ => listing.ignored.push(entry.name),
            }
        }

        listing.segments.sort_unstable();
        listing.ignored.sort_unstable();
        Ok(listing)
    }

    /// Returns the bytes of all segments.
    pub(crate) fn bytes(&self) -> Result<u64, Error> {
        let mut bytes = 0;

        for segment in self.list()?.segments {
            let path = self.segment_path(segment);
            let stat = self.disk.stat(&path).map_err(Error::disk("stat", &path))?;
            bytes += stat.length;
        }

        Ok(bytes)
    }

    pub(crate) fn read(&self, segment: SegmentId) -> Result<Vec<u8>, Error> {
        let path = self.segment_path(segment);
        self.disk.read(&path).map_err(Error::disk("read", path))
    }

    /// Makes the content of `segment` that an earlier process left, and all names, durable. A
    /// record that a replay hands over must not vanish later.
    pub(crate) fn settle(&self, segment: SegmentId) -> Result<(), Error> {
        let path = self.segment_path(segment);
        let mut file = self
            .disk
            .open_append(&path)
            .map_err(Error::disk("open", &path))?;

        file.sync_data().map_err(Error::disk("sync", &path))?;
        self.sync()
    }

    /// Creates a segment with only a header. Both the file and its name are durable on return, and
    /// a name never exists without a valid header. A file of the same name is replaced: see
    /// [`Created::Unsettled`].
    pub(crate) fn create(&self, header: &Header) -> Result<Created, Error> {
        let path = self.segment_path(header.segment);
        let new = path.with_extension("wal.new");

        let file = match self.write_new(&new, header) {
            Ok(file) => file,
            Err(source) => {
                // If this fails too, the file is removed before the next try or at the next start.
                let _ = self.disk.remove_file(&new);
                return full_or_failed(source, path).map(Created::Full);
            }
        };

        if let Err(source) = self.disk.rename(&new, &path) {
            let _ = self.disk.remove_file(&new);
            return full_or_failed(source, path).map(Created::Full);
        }

        match self.disk.sync_dir(&self.path) {
            Ok(()) => Ok(Created::File(file)),
            Err(source) => full_or_failed(source, path).map(Created::Unsettled),
        }
    }

    fn write_new(&self, new: &Path, header: &Header) -> io::Result<Box<dyn DiskFile>> {
        match self.disk.remove_file(new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }

        let mut file = self.disk.create_new(new)?;
        file.append(&header.encode())?;
        file.sync_data()?;

        Ok(file)
    }

    /// Removes a segment. The removal is durable on return.
    pub(crate) fn remove(&self, segment: SegmentId) -> Result<(), Error> {
        self.remove_if_there(&self.segment_path(segment))?;
        self.sync()
    }

    pub(crate) fn remove_if_there(&self, path: &Path) -> Result<(), Error> {
        match self.disk.remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::disk("remove", path)(source))
            }
            _ => Ok(()),
        }
    }

    fn sync(&self) -> Result<(), Error> {
        self.disk
            .sync_dir(&self.path)
            .map_err(Error::disk("sync directory", &self.path))
    }
}

/// Returns number and suffix if this WAL could have created a file with this name.
fn parse_name(name: &str) -> Option<(SegmentId, &'static str)> {
    let (digits, suffix) = name.split_at_checked(DIGITS)?;
    let suffix = [SUFFIX, NEW_SUFFIX]
        .into_iter()
        .find(|known| *known == suffix)?;

    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }

    Some((SegmentId(digits.parse().ok()?), suffix))
}
