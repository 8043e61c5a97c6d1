//! File descriptors: the limit of the process, and a reserve for the disk.
//!
//! Connections take descriptors too, in any number. But acknowledged data must still be written, so
//! the disk keeps some descriptors in reserve, open on `/dev/null`. When a file cannot be opened
//! because no descriptor is left, one of the reserve is closed.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The reserve. It is global, because descriptors belong to the process.
static SPARE: Mutex<Vec<File>> = Mutex::new(Vec::new());
/// How many descriptors the reserve should have; 0 before [`raise`].
static SPARE_WANTED: AtomicUsize = AtomicUsize::new(0);

/// The maximum size of the reserve. A rotation of the log and a flush use some ten descriptors at
/// once.
const SPARE_MAX: usize = 32;
/// The maximum limit that is set. More would be useless, because every connection also needs
/// buffers.
const LIMIT_MAX: u64 = 1 << 20;

/// Raises the soft limit of this process as far as allowed, and fills the reserve. Returns the
/// limit; `None` when there is no limit.
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

/// Whether a call failed because the process, or the machine, has no descriptor left.
pub fn is_exhausted(error: &io::Error) -> bool {
    let codes = [Errno::MFILE, Errno::NFILE];
    codes
        .iter()
        .any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}

/// Runs `open`. If no descriptor is left, it closes one of the reserve and tries again, until the
/// reserve is empty.
pub fn with_spare<T>(open: impl Fn() -> io::Result<T>) -> io::Result<T> {
    loop {
        match open() {
            Err(error) if is_exhausted(&error) => {
                // The popped descriptor is closed, and so free for the next try. If another thread
                // takes it first, the next one of the reserve is closed.
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

/// Adds a descriptor to the reserve. Returns false when the reserve is full or no descriptor is
/// free.
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
