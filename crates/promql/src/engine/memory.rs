//! The memory of one query.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion_common::error::{DataFusionError, Result};
use datafusion_execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};
use duramen_qos::Share;

use crate::error::Error;

/// The memory of all operators of a query together. First come, first served. A request for more
/// than `max` is refused with [`Error::Memory`], which names the numbers. Each reservation is also
/// made in the account of the process, which may refuse it as well.
#[derive(Debug)]
pub(super) struct QueryMemory {
    max: usize,
    used: AtomicUsize,
    /// The query's share of the account of the process.
    share: Mutex<Share>,
}

impl QueryMemory {
    /// `share` belongs to the account of the process and is empty.
    pub(super) const fn new(max: usize, share: Share) -> Self {
        Self {
            max,
            used: AtomicUsize::new(0),
            share: Mutex::new(share),
        }
    }

    fn share(&self) -> MutexGuard<'_, Share> {
        self.share.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &'static str {
        "query"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);

        let mut share = self.share();
        let held = share.bytes().saturating_add(additional);
        share.set(held);
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
        self.share().shrink(shrink);
    }

    fn try_grow(&self, account: &MemoryReservation, additional: usize) -> Result<()> {
        let grown = |used: usize| {
            used.checked_add(additional)
                .filter(|used| *used <= self.max)
        };

        let taken = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        taken.map_err(|held| {
            let operator = account.consumer().name().into();
            DataFusionError::from(Error::Memory {
                operator,
                asked: additional,
                held,
                limit: self.max,
            })
        })?;

        let drawn = self.share().grow(additional);
        drawn.map_err(|full| {
            self.used.fetch_sub(additional, Ordering::Relaxed);
            DataFusionError::from(Error::ProcessMemory(full))
        })
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.max)
    }
}

impl fmt::Display for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "query(used_bytes=`{}`, memory_bytes_max=`{}`)",
            self.reserved(),
            self.max
        )
    }
}
