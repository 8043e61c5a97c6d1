//! The wall clock, and the latest time that it has shown. A clock that jumps must not make senders
//! drop their samples.
//!
//! Samples too far in the future are judged by the latest time that the clock has shown, plus the
//! time since then; this holds over restarts too. Samples that are too old are judged by the
//! earlier of two times: the clock now, and the clock at the start plus the time since then. Times
//! in requests have no influence, so a sender cannot move a limit.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use duramen_runtime::{Clock, Disk};
use parking_lot::Mutex;

/// The wall clock with the latest time that it has shown.
#[derive(Debug)]
pub(crate) struct SeenClock {
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    file: PathBuf,
    /// The wall clock in milliseconds and the monotonic clock, at the start.
    start: (i64, Duration),
    /// The latest time that the wall clock has shown in milliseconds, and the monotonic clock at
    /// that moment.
    latest: Mutex<(i64, Duration)>,
    /// When the latest time was last written down, by the monotonic clock.
    written: Mutex<Option<Duration>>,
}

/// The time of a request, with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) wall_ms: i64,
    /// At or after the wall clock.
    pub(crate) latest_ms: i64,
    /// At or before the wall clock.
    pub(crate) earliest_ms: i64,
}

/// How often the latest time is written down. At most this much is lost at a
/// crash, plus the time while no process runs.
const WRITE_INTERVAL: Duration = Duration::from_secs(60);

impl SeenClock {
    /// Reads the latest time from `file`, if that is possible, and writes down the current one. So
    /// even a process that is killed early leaves its time.
    pub(crate) fn open(clock: Arc<dyn Clock>, disk: Arc<dyn Disk>, file: PathBuf) -> Self {
        let start = (clock.now_ms(), clock.monotonic());
        let seen = disk
            .read(&file)
            .ok()
            .and_then(|bytes| std::str::from_utf8(&bytes).ok()?.trim().parse().ok());

        let latest = Mutex::new((start.0.max(seen.unwrap_or(i64::MIN)), start.1));
        let seen = Self {
            clock,
            disk,
            file,
            start,
            latest,
            written: Mutex::new(None),
        };

        seen.write_down();
        seen
    }

    pub(crate) fn now(&self) -> Now {
        let wall_ms = self.clock.now_ms();
        let monotonic = self.clock.monotonic();
        let mut latest = self.latest.lock();
        let gone_on = latest
            .0
            .saturating_add(whole_ms(monotonic.saturating_sub(latest.1)));

        if wall_ms > gone_on {
            *latest = (wall_ms, monotonic);
        }

        let latest_ms = wall_ms.max(gone_on);
        let since_start = self
            .start
            .0
            .saturating_add(whole_ms(monotonic.saturating_sub(self.start.1)));

        Now {
            wall_ms,
            latest_ms,
            earliest_ms: wall_ms.min(since_start),
        }
    }

    /// Returns whether it is time to write the latest time down.
    pub(crate) fn is_due(&self) -> bool {
        let now = self.clock.monotonic();
        self.written
            .lock()
            .is_none_or(|written| now.saturating_sub(written) >= WRITE_INTERVAL)
    }

    /// Writes the latest time down durably. If the disk cannot take it, only a later start knows
    /// less.
    pub(crate) fn write_down(&self) {
        *self.written.lock() = Some(self.clock.monotonic());
        if let Err(error) = self.replace(&self.file) {
            tracing::debug!(%error, "the time that the clock has shown could not be written down");
        }
    }

    fn replace(&self, file: &Path) -> io::Result<()> {
        let staging = file.with_extension("staging");
        match self.disk.remove_file(&staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }

        let text = self.now().latest_ms.to_string();
        let mut staged = self.disk.create_new(&staging)?;
        staged.append(text.as_bytes())?;
        staged.sync_data()?;

        self.disk.rename(&staging, file)
    }
}

fn whole_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
