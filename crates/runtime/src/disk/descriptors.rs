//! File descriptors: how many the process may have, and a few that are kept for the disk.
//!
//! Connections take descriptors too, as many as come. What is acknowledged must be written all the
//! same, so that the disk keeps some in reserve: they are open on `/dev/null`, and one is given up
//! when a file cannot be opened for want of a descriptor.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors belong to the process, and so does the reserve.
static SPARE: Mutex<Vec<File>> = Mutex::new(Vec::new());
/// How many there should be in reserve; none before [`raise`].
static SPARE_WANTED: AtomicUsize = AtomicUsize::new(0);

/// A rotation of the log and a flush hold some ten at once.
const SPARE_MAX: usize = 32;
/// More than this is of no use: every connection has buffers as well.
const LIMIT_MAX: u64 = 1 << 20;

/// Raises the limit of this process to what it may be, and fills the reserve. Returns the limit;
/// `None` when there is none.
pub fn raise() -> io::Result<Option<u64>> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(LIMIT_MAX, |maximum| maximum.min(LIMIT_MAX));

    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(wanted),
                maximum: limit.maximum,
            },
        )?;
    }

    SPARE_WANTED.store(SPARE_MAX, Ordering::Relaxed);
    while refill() {}
    Ok(getrlimit(Resource::Nofile).current)
}

/// Whether a call failed since the process, or the machine, has no descriptor left.
pub fn is_exhausted(error: &io::Error) -> bool {
    let codes = [Errno::MFILE, Errno::NFILE];
    codes
        .iter()
        .any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

/// Runs `open`, with a descriptor of the reserve for as long as there is none otherwise and one is
/// left.
pub fn with_spare<T>(open: impl Fn() -> io::Result<T>) -> io::Result<T> {
    loop {
        match open() {
            Err(error) if is_exhausted(&error) => {
                // Dropped, and so free for the next try. Another thread may be quicker: then the
                // next one of the reserve goes.
                if SPARE.lock().pop().is_none() {
                    return Err(error);
                }
            }
            opened => {
                refill();
                return opened;
            }
        }
    }
}

/// Adds one to the reserve; false when it is full or no descriptor is free.
fn refill() -> bool {
    let wanted = SPARE_WANTED.load(Ordering::Relaxed);
    let mut spare = SPARE.lock();

    if spare.len() >= wanted {
        return false;
    }

    let opened = File::open("/dev/null");
    let is_open = opened.is_ok();
    spare.extend(opened);

    is_open
}
