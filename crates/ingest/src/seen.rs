//! The wall clock, and how far it has been: a clock that jumps must not make senders drop what they
//! have.
//!
//! What is too far in the future is judged by the latest time that the clock has shown, going on
//! since, over restarts too; what is too old by the earliest that it can be by the clock now or by
//! the clock at the start. Times that senders send count for nothing: none of them can move a
//! limit.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use duramen_runtime::{Clock, Disk};
use parking_lot::Mutex;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct SeenClock {
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
    file: PathBuf,
    /// The wall clock at the start, and the monotonic one.
    start: (i64, Duration),
    /// The latest time that the wall clock has shown, and when by the monotonic one.
    latest: Mutex<(i64, Duration)>,
    /// When the latest time was written down.
    written: Mutex<Option<Duration>>,
}

/// The time of a request, as far as it can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Now {
    pub(crate) wall_ms: i64,
    /// Not before the wall clock.
    pub(crate) latest_ms: i64,
    /// Not behind the wall clock.
    pub(crate) earliest_ms: i64,
}

/// How often the latest time is written down. What passes while no process runs is not seen, and
/// comes on top.
const WRITE_INTERVAL: Duration = Duration::from_secs(60);

impl SeenClock {
    /// Goes on from what `file` says, if there is one that can be read, and writes down where the
    /// clock stands: whoever is killed soon has seen as much.
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

    /// Whether the latest time is to be written down.
    pub(crate) fn is_due(&self) -> bool {
        let now = self.clock.monotonic();
        self.written
            .lock()
            .is_none_or(|written| now.saturating_sub(written) >= WRITE_INTERVAL)
    }

    /// Writes the latest time down, durably. A disk that cannot take it costs no more than what a
    /// later start knows.
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
