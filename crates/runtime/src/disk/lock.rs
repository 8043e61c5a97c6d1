//! Locks between processes, by a file.

use std::any::Any;
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use rustix::io::Errno;

use super::descriptors::with_spare;

/// The result of [`super::Disk::lock`].
#[derive(Debug)]
pub enum Locked {
    Taken(Lock),
    /// Another process or caller has the lock. `by` is the process id that the holder wrote into
    /// the file, or `unknown`.
    Held {
        by: String,
    },
    /// The file system does not support locks. Some network file systems do not.
    Unsupported(io::Error),
}

/// A lock that is held until it is dropped.
pub struct Lock {
    _held: Box<dyn Any + Send + Sync>,
}

impl Lock {
    /// A lock that lasts until `held` is dropped.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self {
            _held: Box::new(held),
        }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// The length of the text that the holder writes. It is the same for every process id, so that
/// writing it again takes no new space.
const HOLDER_BYTES: usize = 20;

/// Locks the file `path`. Creates it if it is missing.
pub(super) fn lock_file(path: &Path) -> io::Result<Locked> {
    loop {
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
        };

        let file = with_spare(open)?;

        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Locked::Held { by: holder(file) }),
            Err(TryLockError::Error(e)) if is_unsupported(&e) => return Ok(Locked::Unsupported(e)),
            Err(TryLockError::Error(e)) => return Err(e),
        }

        // The file may have been removed since it was opened. Then the lock is on a file that the
        // next process cannot find.
        if is_still_named(&file, path)? {
            // The process id is only for people to read. On a full disk, the lock works without it.
            let _ = file.write_all_at(
                format!("{:<HOLDER_BYTES$}", std::process::id()).as_bytes(),
                0,
            );

            return Ok(Locked::Taken(Lock::new(file)));
        }
    }
}

fn is_still_named(file: &File, path: &Path) -> io::Result<bool> {
    let opened = file.metadata()?;

    match std::fs::metadata(path) {
        Ok(named) => Ok(named.ino() == opened.ino() && named.dev() == opened.dev()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    let codes = [Errno::OPNOTSUPP, Errno::NOSYS, Errno::NOLCK];
    codes
        .iter()
        .any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

/// Reads the text that the holder wrote.
fn holder(file: File) -> String {
    let mut text = String::new();
    let read = file.take(HOLDER_BYTES as u64).read_to_string(&mut text);
    let text = text.trim();
    let is_number = read.is_ok() && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());

    if is_number {
        text.to_owned()
    } else {
        "unknown".to_owned()
    }
}
