//! A place where requests wait until the test says go.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Holds requests at a chosen point, with no sleeping and no guessing: the test waits for
/// [`arrived`](Self::arrived), looks around, and then opens. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    arrivals: Arc<Semaphore>,
    passes: Arc<Semaphore>,
}

impl Gate {
    /// A closed gate.
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

    /// Returns once one more request has come to the gate: the n-th call returns after the n-th
    /// arrival, whether or not earlier ones have been let through.
    pub async fn arrived(&self) {
        if let Ok(arrival) = self.arrivals.acquire().await {
            arrival.forget();
        }
    }

    /// Lets one request through: one that waits, else the next to come.
    pub fn let_one_through(&self) {
        self.passes.add_permits(1);
    }

    /// Lets all through, now and from now on.
    pub fn open(&self) {
        self.passes.close();
    }

    /// The request's side: announces itself and waits.
    pub(super) async fn pass(&self) {
        self.arrivals.add_permits(1);

        // A closed semaphore is an open gate.
        if let Ok(pass) = self.passes.acquire().await {
            pass.forget();
        }
    }
}
