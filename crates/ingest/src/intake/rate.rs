//! The rate of samples that a tenant may send.

use std::time::Duration;

use duramen_limits::IngestLimits;
use duramen_qos::{Rate, Refused, TokenBucket};
use parking_lot::Mutex;

use super::limit::RequestLimit;
use crate::error::Error;

/// The rate of one tenant.
#[derive(Debug, Default)]
pub(super) struct SampleRate(Mutex<TokenBucket>);

impl SampleRate {
    /// Checks `samples` against the limits before any of them is stored. Takes all or none.
    pub(super) fn take(
        &self,
        now: Duration,
        samples: u64,
        limits: &IngestLimits,
    ) -> Result<(), Error> {
        let Some(per_second) = limits.samples_per_second else {
            return Ok(());
        };

        let burst = limits.samples_burst;
        let rate = Rate { per_second, burst };

        match self.0.lock().take(now, samples, rate) {
            Ok(()) => Ok(()),
            Err(Refused::For(wait)) => Err(Error::RateLimited {
                samples,
                per_second,
                burst,
                wait,
            }),
            Err(Refused::Forever) => Err(Error::OverBurst {
                samples,
                max: burst,
            }),
        }
    }
}

/// Returns the limit because of which [`SampleRate::take`] refused a request.
pub(super) const fn limit_of(error: &Error) -> Option<RequestLimit> {
    match error {
        Error::RateLimited { .. } => Some(RequestLimit::SamplesPerSecond),
        Error::OverBurst { .. } => Some(RequestLimit::SamplesBurst),
        _ => None,
    }
}
