//! A place where requests wait until the test lets them go.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Holds requests at a chosen point, so that tests need no sleeps: a test waits for
/// [`arrived`](Self::arrived), checks the state, and then opens the gate. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    arrivals: Arc<Semaphore>,
    passes: Arc<Semaphore>,
}

impl Gate {
    /// Returns a closed gate.
    #[expect(
        clippy::new_without_default,
        reason = "`Default` would not say whether it is open"
    )]
    pub fn new() -> Self {
        Self {
            arrivals: Arc::new(Semaphore::new(0)),
            passes: Arc::new(Semaphore::new(0)),
        }
    }

    /// Waits until one more request has arrived at the gate: the n-th call returns after the n-th
    /// arrival, whether or not earlier requests have been let through.
    pub async fn arrived(&self) {
        if let Ok(arrival) = self.arrivals.acquire().await {
            arrival.forget();
        }
    }

    /// Lets one request through: one that waits, otherwise the next one.
    pub fn let_one_through(&self) {
        self.passes.add_permits(1);
    }

    /// Lets all requests through, now and later.
    pub fn open(&self) {
        self.passes.close();
    }

    /// Called by a request: reports its arrival and waits.
    pub(super) async fn pass(&self) {
        self.arrivals.add_permits(1);

        // Opening the gate closes the semaphore.
        if let Ok(pass) = self.passes.acquire().await {
            pass.forget();
        }
    }
}
