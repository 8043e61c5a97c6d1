//! Limits how many requests of one query run at the same time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many GETs of one query may run at the same time. All selections of the query share it: a
/// clone is cheap, and clones share.
///
/// A permit must be held only while a GET runs, by a task of its own. It must not depend on the
/// reader, who may wait for another GET first.
#[derive(Clone, Debug)]
pub struct GetLimit {
    free: Arc<Semaphore>,
}

/// The right to run one GET.
#[derive(Debug)]
pub struct GetPermit {
    _permit: OwnedSemaphorePermit,
}

impl GetLimit {
    /// For a query: 30 blocks that are opened cold send 60 GETs side by side.
    pub const QUERY: usize = 64;
    /// For a selection that belongs to no query.
    const SELECTION: usize = 16;

    pub fn new(gets_max: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(gets_max.max(1))),
        }
    }

    /// Waits until a GET may run. Those who wait are served in order.
    pub async fn permit(&self) -> GetPermit {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        GetPermit {
            _permit: permit.expect("the semaphore is never closed"),
        }
    }

    /// How many more GETs may run now.
    pub fn free(&self) -> usize {
        self.free.available_permits()
    }
}

impl Default for GetLimit {
    fn default() -> Self {
        Self::new(Self::SELECTION)
    }
}
