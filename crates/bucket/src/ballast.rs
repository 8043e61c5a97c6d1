//! Space that is kept for when the disk is full.
//!
//! A full disk heals by writing: a start begins an epoch and a segment of the log, and what the log
//! holds must go up before any of it can be deleted. So a file without contents lies in the data
//! directory, and is given up then.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use duramen_runtime::Disk;
use parking_lot::Mutex;
use tracing::{info, warn};

/// A file of a data directory that takes space, for nothing but to give it up.
#[derive(Debug)]
pub struct Ballast {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    /// How large it should be.
    bytes: u64,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There never was space for it.
    Absent,
    Held,
    /// The space that it gave up belongs to what it was given up for.
    GivenUp,
}

const FILE: &str = "ballast";
/// As much as a flush of a middling head takes.
const BYTES_MAX: u64 = 64 << 20;
/// The part of a small file system that is kept.
const PART_OF_CAPACITY: u64 = 8;

impl Ballast {
    /// The ballast of a data directory, as an earlier process left it; nothing is made or given up.
    /// Blocks.
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

    /// The space that others must leave free, since it was given up for something else.
    pub fn missing_bytes(&self) -> u64 {
        if *self.state.lock() == State::GivenUp {
            self.bytes
        } else {
            0
        }
    }

    /// Gives the space up, if little else is free. Blocks.
    pub fn make_way(&self) {
        if self
            .disk
            .space(&self.directory)
            .is_ok_and(|space| space.free < self.bytes)
        {
            self.give_up();
        }
    }

    /// Gives the space up. True when there was any. Blocks.
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

    /// Takes the space again, when there is twice as much. Blocks.
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
            // The next try comes soon. Half of a ballast helps nobody.
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

        // Others fill the disk. The next process finds the ballast.
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
