//! How far the replay of the log is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The progress of a replay, for those who wait for it. Cheap to clone; all clones are about the
/// same replay.
#[derive(Clone, Debug, Default)]
pub struct ReplayProgress {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// The bytes of the log that were read back.
    read: AtomicU64,
    /// The bytes of the whole log; 0 until the replay has begun.
    all: AtomicU64,
}

impl ReplayProgress {
    /// Notes that the replay of `all` bytes begins.
    pub fn begin(&self, all: u64) {
        self.counts.all.store(all.max(1), Ordering::Relaxed);
    }

    /// Notes that the first `read` bytes are applied.
    pub fn note(&self, read: u64) {
        self.counts.read.store(read, Ordering::Relaxed);
    }

    /// Returns how many bytes are applied, and how many there are; `None` if the replay has not
    /// begun.
    pub fn bytes(&self) -> Option<(u64, u64)> {
        let all = self.counts.all.load(Ordering::Relaxed);
        let read = self.counts.read.load(Ordering::Relaxed);
        (all > 0).then_some((read.min(all), all))
    }
}
