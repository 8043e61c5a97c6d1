//! The memory of one query, as DataFusion sees it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use datafusion_common::error::{DataFusionError, Result};
use datafusion_execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};
use duramen_qos::{Budget, Reservation};

use crate::error::Error;

/// The pool of all operators of a query together: a part of the budget of the query. First come,
/// first served.
#[derive(Debug)]
pub(super) struct QueryMemory {
    max: usize,
    reserved: Mutex<Reservation>,
}

impl QueryMemory {
    pub(super) fn within(budget: &Budget) -> Self {
        Self {
            max: budget.max(),
            reserved: Mutex::new(budget.reservation()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Reservation> {
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryPool for QueryMemory {
    fn name(&self) -> &'static str {
        "query"
    }

    fn grow(&self, _: &MemoryReservation, additional: usize) {
        self.lock().force(additional);
    }

    fn shrink(&self, _: &MemoryReservation, shrink: usize) {
        self.lock().shrink(shrink);
    }

    fn try_grow(&self, account: &MemoryReservation, additional: usize) -> Result<()> {
        self.lock().grow(additional).map_err(|exceeded| {
            let operator = account.consumer().name().into();
            DataFusionError::from(Error::Memory { operator, exceeded })
        })
    }

    fn reserved(&self) -> usize {
        self.lock().bytes()
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
