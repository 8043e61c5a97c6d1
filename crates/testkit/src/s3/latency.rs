//! How long the simulated store takes before it does anything.

use std::time::Duration;

/// A distribution of service times, given by three percentiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
    pub p999: Duration,
}

impl Latency {
    /// The latencies of a busy public store, for small requests from the same region.
    pub const TYPICAL: Self = Self {
        p50: Duration::from_millis(15),
        p99: Duration::from_millis(120),
        p999: Duration::from_secs(1),
    };

    /// Returns the service time at `quantile` in `[0, 1)`. Between the given percentiles it grows
    /// geometrically. Below the median it falls to a third of the median. Above the last percentile
    /// it is constant.
    pub(super) fn at(self, quantile: f64) -> Duration {
        let p50 = self.p50.as_secs_f64();
        let p99 = self.p99.as_secs_f64();
        let p999 = self.p999.as_secs_f64();

        let seconds = match quantile {
            q if q < 0.5 => between(p50 / 3.0, p50, q / 0.5),
            q if q < 0.99 => between(p50, p99, (q - 0.5) / 0.49),
            q if q < 0.999 => between(p99, p999, (q - 0.99) / 0.009),
            _ => p999,
        };

        Duration::from_secs_f64(seconds.max(0.0))
    }
}

/// Interpolates geometrically. The result is zero if one end is zero.
fn between(low: f64, high: f64, part: f64) -> f64 {
    if low <= 0.0 {
        return 0.0;
    }

    low * (high / low).powf(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_percentiles_are_met() {
        for (quantile, expected_ms) in [(0.0, 5.0), (0.5, 15.0), (0.99, 120.0), (0.9995, 1000.0)] {
            let actual_ms = Latency::TYPICAL.at(quantile).as_secs_f64() * 1e3;
            assert!(
                (actual_ms - expected_ms).abs() < 0.01,
                "{quantile}: {actual_ms} ms"
            );
        }
    }
}
