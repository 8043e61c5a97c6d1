//! The memory of one query.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};

use crate::error::Error;

/// The accounts of all operators of a query together. First come, first served; what would go beyond `max` is refused with our own error,
/// which says how much that is.
#[derive(Debug)]
pub(super) struct QueryMemory {
    max: usize,
    used: AtomicUsize,
}

impl QueryMemory {
    pub(super) const fn new(max: usize) -> Self {
        Self { max, used: AtomicUsize::new(0) }
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &'static str {
        "query"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.used.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        self.used.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, account: &MemoryReservation, additional: usize) -> Result<()> {
        let grown = |used: usize| used.checked_add(additional).filter(|used| *used <= self.max);
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        taken.map(drop).map_err(|held| {
            let operator = account.consumer().name().into();
            DataFusionError::from(Error::Memory { operator, asked: additional, held, limit: self.max })
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
        write!(f, "query(used_bytes=`{}`, memory_bytes_max=`{}`)", self.reserved(), self.max)
    }
}
