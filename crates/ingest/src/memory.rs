//! The memory of the heads, as reported to the account of the process.
//!
//! A flush frees samples, but series and metadata stay as long as they are in use. So samples are
//! bounded by flushing, and series by refusing new ones; samples of known series are still taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use duramen_qos::{Account, Share, Use};
use parking_lot::Mutex;

use crate::rejection::Rejection;

/// The memory of all heads of a process.
#[derive(Debug)]
pub(crate) struct HeadsMemory {
    account: Arc<Account>,
    /// The limit for series and metadata of all heads, in bytes.
    series_bytes_max: usize,
    series_bytes: AtomicUsize,
    sample_bytes: AtomicUsize,
}

impl HeadsMemory {
    pub(crate) fn new(account: Arc<Account>, series_bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            account,
            series_bytes_max,
            series_bytes: AtomicUsize::new(0),
            sample_bytes: AtomicUsize::new(0),
        })
    }

    /// Returns the memory of the series and metadata of all heads, in bytes.
    pub(crate) fn series_bytes(&self) -> usize {
        self.series_bytes.load(Ordering::Relaxed)
    }

    /// Checks whether series or metadata may take `more` bytes.
    pub(crate) fn check(&self, more: usize) -> Result<(), Rejection> {
        let max = self.series_bytes_max;
        if self.series_bytes().saturating_add(more) > max {
            return Err(Rejection::HeadSeriesBytes { max });
        }

        // The rest below the mark is for samples of known series, which are taken for longer.
        let for_samples = self.account.bytes_max() / 32;
        self.account
            .check(Use::Head, more.saturating_add(for_samples))
            .map_err(Rejection::MemoryFull)
    }

    /// Returns the memory of all samples that are not staged or committed, in bytes.
    pub(crate) fn sample_bytes(&self) -> usize {
        self.sample_bytes.load(Ordering::Relaxed)
    }

    /// Returns the limit for the series of a tenant without a limit of its own: half, so that no
    /// tenant can take all.
    pub(crate) const fn series_bytes_of_tenant(&self) -> usize {
        self.series_bytes_max / 2
    }

    /// Returns whether new series are refused now, or soon.
    pub(crate) fn is_short_for_series(&self) -> bool {
        self.is_short() || self.series_bytes() >= self.series_bytes_max / 8 * 7
    }

    /// Returns whether queries would be refused already. Then an early flush is worth its requests.
    pub(crate) fn is_short(&self) -> bool {
        self.account.used() >= self.account.mark(Use::Query)
    }
}

/// The memory of one head.
#[derive(Debug)]
pub(crate) struct HeadMemory {
    all_heads: Arc<HeadsMemory>,
    usage: Mutex<HeadUsage>,
}

#[derive(Debug)]
struct HeadUsage {
    series_bytes: usize,
    sample_bytes: usize,
    share: Share,
}

impl HeadMemory {
    pub(crate) fn new(all_heads: Arc<HeadsMemory>) -> Self {
        let share = all_heads.account.share(Use::Head);
        Self {
            all_heads,
            usage: Mutex::new(HeadUsage {
                series_bytes: 0,
                sample_bytes: 0,
                share,
            }),
        }
    }

    pub(crate) fn all_heads(&self) -> &HeadsMemory {
        &self.all_heads
    }

    /// Returns the memory of series and metadata, as last reported.
    pub(crate) fn series_bytes(&self) -> usize {
        self.usage.lock().series_bytes
    }

    /// Reports the memory of series and metadata, in bytes.
    pub(crate) fn set_series(&self, bytes: usize) {
        let mut usage = self.usage.lock();
        self.all_heads
            .series_bytes
            .fetch_add(bytes, Ordering::Relaxed);
        self.all_heads
            .series_bytes
            .fetch_sub(usage.series_bytes, Ordering::Relaxed);
        usage.series_bytes = bytes;
        usage.report();
    }

    /// Reports the memory of samples, in bytes.
    pub(crate) fn set_samples(&self, bytes: usize) {
        let mut usage = self.usage.lock();
        self.all_heads
            .sample_bytes
            .fetch_add(bytes, Ordering::Relaxed);
        self.all_heads
            .sample_bytes
            .fetch_sub(usage.sample_bytes, Ordering::Relaxed);
        usage.sample_bytes = bytes;
        usage.report();
    }
}

impl HeadUsage {
    fn report(&mut self) {
        self.share.set(self.series_bytes + self.sample_bytes);
    }
}

impl Drop for HeadMemory {
    fn drop(&mut self) {
        let usage = self.usage.get_mut();
        self.all_heads
            .series_bytes
            .fetch_sub(usage.series_bytes, Ordering::Relaxed);
        self.all_heads
            .sample_bytes
            .fetch_sub(usage.sample_bytes, Ordering::Relaxed);
    }
}
