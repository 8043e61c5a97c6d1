//! What heads hold of the memory of the process, told to its account.
//!
//! Samples go with a flush; series and metadata stay for as long as they are in use. So samples are
//! bounded by flushing, and series by taking no new ones: the samples of known series go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use duramen_qos::{Account, Share, Use};
use parking_lot::Mutex;

use crate::rejection::Rejection;

/// The memory of all heads of a process.
#[derive(Debug)]
pub(crate) struct HeadsMemory {
    account: Arc<Account>,
    /// What series and metadata of all heads may take.
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

    /// What series and metadata of all heads take.
    pub(crate) fn series_bytes(&self) -> usize {
        self.series_bytes.load(Ordering::Relaxed)
    }

    /// Whether series or metadata may take so many bytes more.
    pub(crate) fn check(&self, more: usize) -> Result<(), Rejection> {
        let max = self.series_bytes_max;
        if self.series_bytes().saturating_add(more) > max {
            return Err(Rejection::HeadSeriesBytes { max });
        }

        // What is left below the mark is for samples of known series, which go on for longer.
        let for_samples = self.account.bytes_max() / 32;
        self.account
            .check(Use::Head, more.saturating_add(for_samples))
            .map_err(Rejection::MemoryFull)
    }

    /// What samples of all heads take that are not staged or committed.
    pub(crate) fn sample_bytes(&self) -> usize {
        self.sample_bytes.load(Ordering::Relaxed)
    }

    /// What one tenant may take of it when its limits say nothing: half, so that no tenant has all.
    pub(crate) const fn series_bytes_of_tenant(&self) -> usize {
        self.series_bytes_max / 2
    }

    /// Whether new series are refused now, or soon.
    pub(crate) fn is_short_for_series(&self) -> bool {
        self.is_short() || self.series_bytes() >= self.series_bytes_max / 8 * 7
    }

    /// Whether queries would be refused already, so that a flush before its time is worth its
    /// requests.
    pub(crate) fn is_short(&self) -> bool {
        self.account.used() >= self.account.mark(Use::Query)
    }
}

/// The part of one head.
#[derive(Debug)]
pub(crate) struct HeadMemory {
    of_all: Arc<HeadsMemory>,
    held: Mutex<HeadShare>,
}

#[derive(Debug)]
struct HeadShare {
    series_bytes: usize,
    sample_bytes: usize,
    share: Share,
}

impl HeadMemory {
    pub(crate) fn new(of_all: Arc<HeadsMemory>) -> Self {
        let share = of_all.account.share(Use::Head);
        Self {
            of_all,
            held: Mutex::new(HeadShare {
                series_bytes: 0,
                sample_bytes: 0,
                share,
            }),
        }
    }

    pub(crate) fn of_all(&self) -> &HeadsMemory {
        &self.of_all
    }

    /// What series and metadata take, as it was told last.
    pub(crate) fn series_bytes(&self) -> usize {
        self.held.lock().series_bytes
    }

    /// Tells what series and metadata take now.
    pub(crate) fn set_series(&self, bytes: usize) {
        let mut held = self.held.lock();
        self.of_all.series_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.of_all
            .series_bytes
            .fetch_sub(held.series_bytes, Ordering::Relaxed);
        held.series_bytes = bytes;
        held.report();
    }

    /// Tells what samples take now.
    pub(crate) fn set_samples(&self, bytes: usize) {
        let mut held = self.held.lock();
        self.of_all.sample_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.of_all
            .sample_bytes
            .fetch_sub(held.sample_bytes, Ordering::Relaxed);
        held.sample_bytes = bytes;
        held.report();
    }
}

impl HeadShare {
    fn report(&mut self) {
        self.share.set(self.series_bytes + self.sample_bytes);
    }
}

impl Drop for HeadMemory {
    fn drop(&mut self) {
        let held = self.held.get_mut();
        self.of_all
            .series_bytes
            .fetch_sub(held.series_bytes, Ordering::Relaxed);
        self.of_all
            .sample_bytes
            .fetch_sub(held.sample_bytes, Ordering::Relaxed);
    }
}
