//! Counts GETs and the trips that depend on each other.

use std::time::Duration;

use async_trait::async_trait;
use object_store::path::Path;
use object_store::{GetOptions, GetResult, ObjectStore, Result};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::hooked::OnGet;

/// How long a request takes, on a clock that a test has paused.
pub(super) const TRIP: Duration = Duration::from_secs(1);

/// Counts GETs and trips. It needs a runtime with a paused clock.
///
/// Each GET takes exactly one second of the paused clock, which moves on only when every task
/// waits. So GETs that are sent without waiting for each other take one second together, and the
/// time that a reader takes is the number of dependent trips.
#[derive(Debug)]
pub struct Trips(Mutex<State>);

#[derive(Debug)]
struct State {
    began: Instant,
    gets: Vec<String>,
    bytes: u64,
}

/// What has come and gone since the last count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TripsCount {
    /// The keys of the GETs, in the order of their arrival.
    pub gets: Vec<String>,
    pub bytes: u64,
    pub trips: u64,
}

impl TripsCount {
    /// The number of GETs and of trips.
    pub fn gets_and_trips(&self) -> (usize, u64) {
        (self.gets.len(), self.trips)
    }
}

impl Default for Trips {
    fn default() -> Self {
        Self(Mutex::new(State::begin()))
    }
}

impl State {
    fn begin() -> Self {
        Self {
            began: Instant::now(),
            gets: Vec::new(),
            bytes: 0,
        }
    }
}

impl Trips {
    /// Returns the counts since the last call, and begins anew.
    pub fn take(&self) -> TripsCount {
        let state = std::mem::replace(&mut *self.0.lock(), State::begin());
        TripsCount {
            gets: state.gets,
            bytes: state.bytes,
            trips: state.began.elapsed().as_secs(),
        }
    }
}

#[async_trait]
impl OnGet for Trips {
    async fn get(
        &self,
        store: &dyn ObjectStore,
        key: &Path,
        options: GetOptions,
    ) -> Result<GetResult> {
        self.0.lock().gets.push(key.to_string());

        #[expect(clippy::disallowed_methods, reason = "the clock of the test is paused")]
        tokio::time::sleep(TRIP).await;

        let answer = store.get_opts(key, options).await?;
        self.0.lock().bytes += answer.range.end - answer.range.start;

        Ok(answer)
    }
}
