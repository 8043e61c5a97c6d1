//! A file that reserves disk space. It is given up when the disk is full.
//!
//! A process can only free a full disk by writing: a start needs a new epoch and a new segment of
//! the log, and the contents of the log must be uploaded before any of it can be deleted. The space
//! of the ballast makes this possible.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_runtime::Disk;
use parking_lot::Mutex;
use tracing::{info, warn};

/// A file in a data directory that reserves space and has no contents.
#[derive(Debug)]
pub struct Ballast {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    /// How large the file should be.
    bytes: u64,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There has been no space for the file yet.
    Absent,
    Held,
    /// The file was removed. Its space is for what it was given up for, and for nothing else.
    GivenUp,
}

const FILE: &str = "ballast";
/// About the space that the flush of a medium-sized head needs.
const BYTES_MAX: u64 = 64 << 20;
/// On a small file system, the ballast is one in this many parts of the capacity.
const PART_OF_CAPACITY: u64 = 8;

impl Ballast {
    /// Finds the ballast that an earlier process left in a data directory. Does not create or
    /// remove it. This call blocks.
    pub fn open(disk: Arc<dyn Disk>, directory: &Path) -> Self {
        let capacity = disk
            .space(directory)
            .map_or(u64::MAX, |space| space.capacity);
        let bytes = BYTES_MAX.min(capacity / PART_OF_CAPACITY);
        let is_held = disk
            .stat(&directory.join(FILE))
            .is_ok_and(|stat| stat.length == bytes);
        let state = if is_held { State::Held } else { State::Absent };

        Self {
            disk,
            directory: directory.to_path_buf(),
            bytes,
            state: Mutex::new(state),
        }
    }

    /// The free space that others must not use, because the ballast was given up for something
    /// else.
    pub fn missing_bytes(&self) -> u64 {
        if *self.state.lock() == State::GivenUp {
            self.bytes
        } else {
            0
        }
    }

    /// Gives the ballast up if there is less free space than its size. This call blocks.
    pub fn make_way(&self) {
        if self
            .disk
            .space(&self.directory)
            .is_ok_and(|space| space.free < self.bytes)
        {
            self.give_up();
        }
    }

    /// Gives the ballast up. Returns true if there was one. This call blocks.
    pub fn give_up(&self) -> bool {
        let mut state = self.state.lock();
        if *state == State::GivenUp {
            return false;
        }

        let removed = self.disk.remove_file(&self.directory.join(FILE)).is_ok();

        if removed {
            warn!(
                bytes = self.bytes,
                "the disk is full: the ballast is given up"
            );

            *state = State::GivenUp;
        }

        removed
    }

    /// Creates the ballast again if there is twice as much free space. This call blocks.
    pub fn take_back(&self) {
        let mut state = self.state.lock();
        let has_room = self
            .disk
            .space(&self.directory)
            .is_ok_and(|space| space.free / 2 >= self.bytes);

        if *state == State::Held || !has_room {
            return;
        }

        match self.allocate() {
            Ok(()) => {
                *state = State::Held;
                info!(
                    bytes = self.bytes,
                    "space is kept for when the disk is full"
                );
            }
            // It is tried again soon. A part of a ballast would not help, so it is removed.
            Err(_) => drop(self.disk.remove_file(&self.directory.join(FILE))),
        }
    }

    fn allocate(&self) -> io::Result<()> {
        let path = self.directory.join(FILE);
        match self.disk.remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }

        let mut file = self.disk.create_new(&path)?;
        file.allocate(self.bytes)?;
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use duramen_testkit::SimDisk;

    use super::*;

    fn ballast(disk: &SimDisk) -> Ballast {
        Ballast::open(Arc::new(disk.clone()), Path::new("/"))
    }

    fn free(disk: &SimDisk) -> u64 {
        disk.space(Path::new("/")).unwrap().free
    }

    #[test]
    fn space_is_kept_given_up_when_the_disk_is_full_and_taken_back() {
        let disk = SimDisk::new();
        disk.set_space(Some(800));

        let kept = ballast(&disk);
        kept.take_back();

        assert_eq!((free(&disk), kept.missing_bytes()), (700, 0));

        kept.make_way();
        assert_eq!(free(&disk), 700, "there is space enough without it");

        // Another file fills the disk. The next process finds the ballast.
        disk.create_new(Path::new("/other"))
            .unwrap()
            .append(&[0; 700])
            .unwrap();

        let kept = ballast(&disk);
        kept.make_way();

        assert_eq!((free(&disk), kept.missing_bytes()), (100, 100));
        assert!(!kept.give_up(), "once");

        kept.take_back();
        assert_eq!(free(&disk), 100, "it is in use");

        disk.remove_file(Path::new("/other")).unwrap();
        kept.take_back();

        assert_eq!((free(&disk), kept.missing_bytes()), (700, 0));
    }

    #[test]
    fn a_disk_that_never_had_space_for_it_owes_nothing() {
        let disk = SimDisk::new();
        disk.set_space(Some(0));

        let kept = ballast(&disk);
        kept.make_way();
        kept.take_back();

        assert!(!kept.give_up());
        assert_eq!(kept.missing_bytes(), 0);
    }
}
