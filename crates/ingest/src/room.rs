//! The space on the disk that the log may take.
//!
//! The log can be deleted only after its samples were written again as blocks. So the log leaves
//! that much space free: writes are refused before the disk is full, heads are flushed early, and
//! the disk gets free again by itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use duramen_bucket::Ballast;
use duramen_runtime::disk::Space;
use duramen_runtime::{Clock, Disk};
use parking_lot::Mutex;

/// The disk has less free space than a flush of the whole log takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoRoom {
    pub(crate) free_bytes: u64,
    pub(crate) needed_bytes: u64,
}

/// The disk of the log.
#[derive(Debug)]
pub(crate) struct Room {
    disk: Arc<dyn Disk>,
    /// The directory of the log.
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    /// The most space that a flush of all heads can take: as staged blocks, and in a store on the
    /// same disk.
    heads_bytes_max: u64,
    ballast: Option<Arc<Ballast>>,
    last: Mutex<Look>,
}

/// The last look at the disk.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    at: Duration,
    log_bytes: u64,
    /// The free bytes beyond the need.
    spare: u64,
}

/// The blocks of a small head, a manifest edit and a new segment.
const NEED_BYTES_MIN: u64 = 256 << 10;
/// How long a look at the disk stays valid, unless the log grows much meanwhile.
const LOOK_AGE_MAX: Duration = Duration::from_secs(1);
/// A look stays valid while the log has grown by less than this part of the spare bytes.
const LOOK_PART: u64 = 4;

impl Room {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        directory: PathBuf,
        clock: Arc<dyn Clock>,
        head_bytes_max: usize,
        ballast: Option<Arc<Ballast>>,
    ) -> Self {
        let heads_bytes_max = (head_bytes_max as u64).saturating_mul(2);
        Self {
            disk,
            directory,
            clock,
            heads_bytes_max,
            ballast,
            last: Mutex::default(),
        }
    }

    /// Fails if the log, which has `log_bytes` now, must not grow.
    pub(crate) fn check(&self, log_bytes: u64) -> Result<(), NoRoom> {
        let now = self.clock.monotonic();
        let last = *self.last.lock();
        let grown = log_bytes.saturating_sub(last.log_bytes);
        let is_recent = last.spare > 0 && now.saturating_sub(last.at) < LOOK_AGE_MAX;

        if is_recent && grown < last.spare / LOOK_PART {
            return Ok(());
        }

        let Some(free_bytes) = self.free() else {
            return Ok(());
        };
        let needed_bytes = self.need(log_bytes);

        *self.last.lock() = Look {
            at: now,
            log_bytes,
            spare: free_bytes.saturating_sub(needed_bytes),
        };

        if free_bytes < needed_bytes {
            Err(NoRoom {
                free_bytes,
                needed_bytes,
            })
        } else {
            Ok(())
        }
    }

    /// Returns whether the heads should be flushed soon: the log, with `log_bytes`, has taken half
    /// of the space that it may take.
    pub(crate) fn is_low(&self, log_bytes: u64) -> bool {
        self.free()
            .is_some_and(|free| free / 2 < self.need(log_bytes))
    }

    /// Deletes the ballast to make room for writes that must succeed on a full disk. Returns
    /// whether there was a ballast.
    pub(crate) fn make_way(&self) -> bool {
        self.ballast
            .as_ref()
            .is_some_and(|ballast| ballast.give_up())
    }

    /// Creates the ballast again if there is space for it.
    pub(crate) fn settle(&self) {
        if let Some(ballast) = &self.ballast {
            ballast.take_back();
        }
    }

    /// Returns the bytes that must stay free. A block takes at most as much as its records in the
    /// log; it is staged and stored.
    fn need(&self, log_bytes: u64) -> u64 {
        let blocks = log_bytes
            .saturating_mul(2)
            .min(self.heads_bytes_max)
            .max(NEED_BYTES_MIN);

        blocks.saturating_add(
            self.ballast
                .as_ref()
                .map_or(0, |ballast| ballast.missing_bytes()),
        )
    }

    /// Returns the free bytes; `None` if the file system does not report them, or reports a size of
    /// zero.
    fn free(&self) -> Option<u64> {
        let Space { free, capacity } = self.disk.space(&self.directory).ok()?;
        (capacity > 0).then_some(free)
    }
}

#[cfg(test)]
mod tests {
    use duramen_runtime::MockClock;
    use duramen_testkit::SimDisk;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn room(free: u64) -> (SimDisk, Arc<MockClock>, Room) {
        let disk = SimDisk::new();
        disk.create_new(std::path::Path::new("/log"))
            .unwrap()
            .append(b"something")
            .unwrap();

        disk.set_space(Some(free));

        let clock = MockClock::at(0);
        let as_clock: Arc<dyn Clock> = Arc::clone(&clock) as _;

        let room = Room::new(
            Arc::new(disk.clone()),
            PathBuf::from("/"),
            as_clock,
            512 << 20,
            None,
        );

        (disk, clock, room)
    }

    #[test]
    fn the_log_leaves_free_what_it_takes_twice_and_no_more_than_the_heads_may_hold() {
        for (free, log, may_grow) in [
            (MIB, 0, true),
            (200 << 10, 0, false),
            (6 * MIB, 2 * MIB, true),
            (6 * MIB, 4 * MIB, false),
            (1023 * MIB, 900 * MIB, false),
            (1025 * MIB, 900 * MIB, true),
        ] {
            let (_, _, room) = room(free);
            assert_eq!(room.check(log).is_ok(), may_grow, "{free} {log}");
        }
    }

    #[test]
    fn a_disk_that_others_fill_is_seen_within_a_second() {
        let (disk, clock, room) = room(100 * MIB);
        room.check(MIB).unwrap();
        disk.set_space(Some(0));
        clock.advance(LOOK_AGE_MAX);
        room.check(MIB).unwrap_err();
        disk.set_space(Some(100 * MIB));
        room.check(MIB).unwrap();
    }

    #[test]
    fn a_log_that_grows_fast_is_seen_at_once() {
        let (disk, _, room) = room(100 * MIB);
        room.check(MIB).unwrap();
        disk.set_space(Some(60 * MIB));
        room.check(41 * MIB).unwrap_err();
    }

    #[test]
    fn heads_are_written_out_before_writes_are_refused() {
        let (_, _, room) = room(10 * MIB);
        assert!(!room.is_low(2 * MIB));
        assert!(room.is_low(3 * MIB));

        room.check(3 * MIB).unwrap();
    }
}
